"""Running scanners side by side, and judging what comes out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hardening.config import HardeningConfig
from hardening.model import NotScanned, Scan
from hardening.policy.judge import judge
from hardening.policy.model import Judgement
from hardening.scanners.base import Request, Scanner
from hardening.services.normalise import issues_of
from hardening.services.policy_files import policy_of
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import Interrupted, RestoreproofError, UsageError
from restoreproof.events import Listener, silent, step
from restoreproof.process import Cancellation
from restoreproof.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may be told beyond the configuration.

    Attributes:
        only: names or kinds of scanners; all where empty.
        offline: ask no service on the network.
    """

    only: tuple[str, ...] = ()
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of a run.

    Attributes:
        root: the folder that was scanned.
        judgement: of all of it.
    """

    root: Path
    judgement: Judgement

    @property
    def verdict(self) -> Verdict:
        """Of the judgement."""
        return self.judgement.verdict


def scan_and_judge(
    config: HardeningConfig,
    options: Options = Options(),
    *,
    emit: Listener = silent,
    cancel: Cancellation | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Report:
    """Run the configured scanners, and say what the policy says.

    Raises:
        ConfigError, UsageError: the configuration, the baseline or a VEX document is wrong.
        Interrupted: it was asked to stop.
    """
    if not config.root.is_dir():
        raise UsageError(
            f"there is no folder at {config.root}", hint="root in [hardening] names what is scanned"
        )
    chosen = config.chosen(options.only)
    return judge_with(
        config,
        chosen,
        options,
        emit=emit,
        cancel=cancel,
        clock=clock,
        some=bool(options.only),
    )


def judge_with(
    config: HardeningConfig,
    scanners: Mapping[str, Scanner],
    options: Options = Options(),
    *,
    emit: Listener = silent,
    cancel: Cancellation | None = None,
    clock: Clock = SYSTEM_CLOCK,
    some: bool = True,
) -> Report:
    """Run these scanners, and say what the policy says.

    Args:
        config: the policy is in it.
        scanners: by name.
        options: of the run.
        emit: who is told.
        cancel: the request to stop.
        clock: for moments.
        some: these are not all scanners that the policy is for.

    Raises:
        ConfigError: the baseline or a VEX document is wrong.
        Interrupted: it was asked to stop.
    """
    policy = policy_of(config)
    cancelled = cancel or Cancellation()

    def request(scratch: Path) -> Request:
        return Request(
            root=config.root,
            scratch=scratch,
            offline=options.offline,
            max_data_age=policy.max_data_age,
            emit=emit,
            cancel=cancelled,
            clock=clock,
        )

    at_once = config.settings.at_once or os.cpu_count() or 1
    scans = run_all(scanners, request, at_once)
    issues = issues_of((found for scan in scans for found in scan.findings), policy.looked_up)
    return Report(config.root, judge(scans, issues, policy, clock.now(), some=some))


def run_all(
    scanners: Mapping[str, Scanner], request: Callable[[Path], Request], at_once: int
) -> tuple[Scan, ...]:
    """Every scanner, so many at once; each in a private folder that is removed again.

    A scanner that cannot do its work looked at nothing; the others go on.

    Raises:
        Interrupted: it was asked to stop.
    """
    if not scanners:
        return ()
    with (
        tempfile.TemporaryDirectory(prefix="restoreproof-harden-") as folder,
        ThreadPoolExecutor(min(at_once, len(scanners)), "scanner") as pool,
    ):
        running = []
        for number, (name, scanner) in enumerate(scanners.items()):
            scratch = Path(folder) / str(number)
            scratch.mkdir()
            running.append(pool.submit(_run, name, scanner, request(scratch)))
        return tuple(one.result() for one in running)


def _run(name: str, scanner: Scanner, request: Request) -> Scan:
    request.cancel.check()
    with step(request.emit, name, name, unit="items", monotonic=request.clock.monotonic) as told:
        try:
            scan = scanner.scan(request)
        except Interrupted:
            raise
        except RestoreproofError as error:
            return Scan(
                scanner.tool, "", not_scanned=(NotScanned(name, error.message, error.hint),)
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            return Scan(scanner.tool, "", not_scanned=(NotScanned(name, reason),))
        told.outcome = (
            f"{len(scan.scanned)} looked at, {len(scan.not_scanned)} not, "
            f"{len(scan.findings)} findings"
        )
        return scan
