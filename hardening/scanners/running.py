"""Running a tool and settling what its report is worth: the same for every scanner."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from hardening.model import Cause, Finding, NotScanned, Scan
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.foreign import LARGEST, NoData, Unreadable, read_limited
from hardening.scanners.programs import Versions, find_program, version_of
from restoreproof.config.model import format_duration
from restoreproof.errors import Interrupted, RestoreproofError
from restoreproof.process import clean_env, run
from restoreproof.process.cancellation import Cancellation
from restoreproof.process.diagnostics import last_meaningful_line

_ANY_CODE = range(-64, 256)
_LONGEST_ARGUMENTS = 1_500_000
"""Bytes; systems refuse 2 MiB."""

MEMORY = 4 << 30
"""Bytes of data that a tool may have: a hostile file must not take the whole machine's."""


class _OverTime(Interrupted):
    """The limit was reached, not by anybody's wish."""


class _Deadline(Cancellation):
    """Requested when its parent is, or when the time is over."""

    def __init__(self, parent: Cancellation, seconds: float) -> None:
        super().__init__()
        self._parent = parent
        self._end = time.monotonic() + seconds

    @property
    def requested(self) -> bool:
        return super().requested or self._parent.requested or self.over

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._end

    def check(self) -> None:
        self._parent.check()
        if self.over:
            raise _OverTime("the time limit was reached")
        super().check()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a report says.

    Attributes:
        scanned: what it says was looked at, as the tool was told it.
        not_scanned: what it says was not.
        findings: paths relative to the root.
        data_from: how old its data is.
        facts: what else is worth a line.
    """

    scanned: tuple[str, ...] = ()
    not_scanned: tuple[NotScanned, ...] = ()
    findings: tuple[Finding, ...] = ()
    data_from: datetime | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """How one tool is run and read.

    Attributes:
        tool: the kind.
        supported: versions whose report is known.
        args: arguments of the program.
        expected: what there is to look at.
        read: the report; raises Unreadable.
        files: what is named after the arguments, with the control as the last: without it the
            others were not all read. None where the arguments say it all.
        program: name of the executable.
        report: file that the report is written to; standard output where None.
        gaps: what cannot even be named to it.
        control: the path of the planted file, as findings have it; empty where there is none.
        endings: exit codes that go with a report. Any other one that the report does not explain
            says that the tool failed.
        env: beyond the clean environment.
        version_args: what makes it state its version.
        over_time: tells, from what the tool said, whether it ran into a limit of its own.
        unreachable: tells, from what the tool said, whether its data could not be had.
    """

    tool: str
    supported: Versions
    args: Sequence[str]
    expected: tuple[str, ...]
    read: Callable[[bytes], Reading]
    program: str
    files: tuple[str, ...] | None = None
    report: Path | None = None
    gaps: tuple[NotScanned, ...] = ()
    control: str = ""
    endings: frozenset[int] = frozenset({0, 1})
    env: Mapping[str, str] = field(default_factory=dict)
    version_args: tuple[str, ...] = ("--version",)
    over_time: Callable[[str], bool] = lambda _said: False
    unreachable: Callable[[str], bool] = lambda _said: False


@dataclass(frozen=True, slots=True)
class _Ran:
    returncode: int
    raw: bytes
    said: str


def located(
    tool: str, program: str, supported: Versions, circumstances: Circumstances, *args: str
) -> tuple[Path | None, str, NotScanned | None]:
    """Program and version, and why it cannot be used, if it cannot."""
    path = circumstances.program or find_program(program)
    if path is None or not path.is_file():
        hint = f"install {program} {supported}, or set program in its table"
        return None, "", NotScanned(tool, f"{program} is not installed", hint, Cause.MISSING)
    version = version_of(path, *(args or ("--version",)))
    if not version or version not in supported:
        found = f"version {version}" if version else "a version it does not state"
        reason = f"{program} is there in {found}; supported is {supported}"
        hint = "its report may mean something else: install a supported version"
        return path, version, NotScanned(tool, reason, hint, Cause.MISSING)
    return path, version, None


def scan_by_plan(plan: Plan, request: Request, circumstances: Circumstances) -> Scan:
    """Run the tool and settle what its report is worth.

    Raises:
        Interrupted: it was asked to stop.
    """
    begun = request.clock.monotonic()
    program, version, why_not = located(
        plan.tool, plan.program, plan.supported, circumstances, *plan.version_args
    )
    facts = {"scanner": circumstances.name, "supported": str(plan.supported)}
    if program is None or why_not is not None:
        gaps = (*((why_not,) if why_not else ()), *plan.gaps)
        return Scan(plan.tool, version, not_scanned=gaps, facts=facts)
    reading = _reading(_with_files(plan), program, request, circumstances)
    return Scan(
        tool=plan.tool,
        version=version,
        scanned=reading.scanned,
        not_scanned=(*reading.not_scanned, *plan.gaps),
        findings=reading.findings,
        data_from=reading.data_from,
        seconds=request.clock.monotonic() - begun,
        facts={**facts, **reading.facts},
    )


def _with_files(plan: Plan) -> Plan:
    """The plan with its files, and the control as the last of them, among the arguments."""
    if plan.files is None:
        return plan
    named = [f"./{name}" for name in plan.files]
    return replace(plan, args=[*plan.args, *named, plan.control])


def not_asked(
    tool: str, circumstances: Circumstances, expected: tuple[str, ...], reason: str, hint: str
) -> Scan:
    """A scan that was not even begun, since its vulnerability data cannot be had."""
    gap = NotScanned(tool, reason, hint, Cause.OFFLINE)
    rest = tuple(NotScanned(name, reason, cause=Cause.OFFLINE) for name in expected)
    return Scan(tool, "", not_scanned=(gap, *rest), facts={"scanner": circumstances.name})


def nothing_there(tool: str, circumstances: Circumstances) -> Scan:
    """A scan that found nothing to look at; the policy never takes it for a pass."""
    return Scan(tool, "", facts={"scanner": circumstances.name})


def settle(plan: Plan, reading: Reading, returncode: int) -> Reading:
    """What a reading is worth beside what was expected, the control and the exit code."""
    findings = tuple(one for one in reading.findings if one.place.path != plan.control)
    scanned = tuple(sorted(set(reading.scanned) - {plan.control}))
    if plan.files is not None:
        # what nobody named is no answer
        scanned = tuple(name for name in scanned if name in plan.expected)
    if plan.control and len(findings) == len(reading.findings):
        scanned = ()
        lost = NotScanned(
            plan.tool,
            "the weakness that was planted for it is not in its report",
            "look whether its configuration or environment switches rules off",
        )
        reading = replace(reading, not_scanned=(*reading.not_scanned, lost))
    told = {gap.name for gap in reading.not_scanned}
    missing = tuple(
        NotScanned(name, "is not in the report", cause=Cause.SKIPPED)
        for name in sorted(set(plan.expected) - set(scanned) - told)
    )
    gaps = (*reading.not_scanned, *missing)
    unexplained = returncode not in plan.endings and not reading.not_scanned
    if unexplained or (returncode != 0 and not gaps and not findings and not plan.control):
        scanned = ()
        said = "its report is clean" if not findings else "its report does not say why"
        gaps = (
            NotScanned(
                plan.tool,
                f"{plan.program} ended with exit code {returncode}, but {said}",
                "run it by hand to see what it means",
            ),
            *(NotScanned(name, f"{plan.program} failed") for name in plan.expected),
        )
    return replace(reading, scanned=scanned, not_scanned=gaps, findings=findings)


def _reading(plan: Plan, program: Path, request: Request, of: Circumstances) -> Reading:
    size = sum(len(arg.encode(errors="surrogateescape")) + 9 for arg in plan.args)
    if size > _LONGEST_ARGUMENTS:
        return _nothing(plan, "there are more files than can be named at once", "name fewer paths")
    try:
        ran = _run(plan, program, request, of)
    except _OverTime:
        return _nothing(plan, *over_time(of.limit), Cause.TIME)
    except Interrupted:
        raise
    except Unreadable as error:
        return _nothing(plan, str(error))
    except RestoreproofError as error:
        return _nothing(plan, error.message, error.hint)
    if ran.returncode < 0:
        return _nothing(plan, f"{plan.program} was killed by signal {-ran.returncode}")
    try:
        reading = plan.read(ran.raw)
    except Unreadable as error:
        return _unreadable(plan, error, ran, of)
    return settle(plan, reading, ran.returncode)


def over_time(limit: float) -> tuple[str, str]:
    """Reason and hint of a tool that took too long."""
    now = format_duration(timedelta(seconds=max(1.0, limit)))
    more = format_duration(timedelta(seconds=max(1.0, limit) * 4))
    return f"it did not end within its time limit of {now}", f'set limit = "{more}" in its table'


def _unreadable(plan: Plan, error: Unreadable, ran: _Ran, of: Circumstances) -> Reading:
    if plan.over_time(ran.said):
        return _nothing(plan, *over_time(of.limit), Cause.TIME)
    if isinstance(error, NoData) or plan.unreachable(ran.said):
        hint = "run it where its service can be reached"
        reason = "its vulnerability data cannot be had from here"
        return _nothing(plan, reason, hint, Cause.OFFLINE)
    last = last_meaningful_line(ran.said, plan.program)
    return _nothing(plan, f"{error}; {plan.program} said: {last}" if last else str(error))


def _nothing(plan: Plan, reason: str, hint: str = "", cause: Cause = Cause.UNREADABLE) -> Reading:
    """Nothing of what was expected was looked at."""
    gap = NotScanned(plan.tool, reason, hint, cause)
    rest = tuple(NotScanned(name, reason, cause=cause) for name in plan.expected)
    return Reading(not_scanned=(gap, *rest))


def _run(plan: Plan, program: Path, request: Request, of: Circumstances) -> _Ran:
    pieces = bytearray()

    def keep(piece: memoryview) -> None:
        if len(pieces) + len(piece) > LARGEST:
            raise Unreadable(f"the report is larger than {LARGEST // 1024 // 1024} MiB")
        pieces.extend(piece)

    finished = run(
        [str(program), *plan.args],
        env=clean_env(**plan.env),
        stdout=keep,
        stall_timeout=of.limit + 60,
        cancel=_Deadline(request.cancel, of.limit),
        cwd=request.root,
        title=plan.program,
        accept=_ANY_CODE,
        memory=MEMORY,
    )
    raw = bytes(pieces)
    if plan.report is not None:
        raw = read_limited(plan.report) if plan.report.exists() else b""
    return _Ran(finished.returncode, raw, finished.stderr)
