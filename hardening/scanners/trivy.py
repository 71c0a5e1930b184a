"""Trivy: configuration, secrets, and known vulnerabilities in folders, images and SBOMs.

Its report names neither the files it searched for secrets nor the packages its database does not
know. So each scan begins with a control of the same mode. It never fetches its database while it
scans, and one that is too old is fetched anew before, where that is allowed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from hardening.model import Cause, NotScanned, Scan
from hardening.recognise import is_dockerfile
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.files import LARGEST, There, there_is
from hardening.scanners.locks import REQUIREMENTS, locks_among
from hardening.scanners.plugin import Plugin
from hardening.scanners.programs import Versions, find_program, network_env
from hardening.scanners.running import Plan, Reading, not_asked, nothing_there, scan_by_plan
from hardening.scanners.trivy_report import read
from hardening.scanners.trivy_system import PACKAGE, control
from restoreproof.config.model import ConfigPath, Settings
from restoreproof.errors import Interrupted, RestoreproofError
from restoreproof.process import clean_env, run

SUPPORTED = Versions((0, 70), (1,))
"""0.69.4 was a malicious release: nothing up to it is run for a scan."""

Mode = Literal["config", "secret", "fs", "image", "sbom"]

_SCANNERS: Mapping[str, tuple[str, ...]] = {
    "config": ("misconfig",),
    "secret": ("secret",),
    "fs": ("vuln",),
    "image": ("vuln", "secret"),
    "sbom": ("vuln",),
}
_TAIL = "0123456789abcdefghijABCDEFGHIJ012345"
_CONTROLS = {
    "misconfig": ("Dockerfile", "FROM debian:latest\nUSER root\n"),
    # put together when it runs, so that nobody finds a token here, nor in the byte code
    # and where Trivy by itself looks for none
    "secret": ("tests/control.md", f"ghp_{_TAIL}\n"),
    "vuln": ("requirements.txt", "jinja2==2.10\n"),
}
PIP_LOCKS = ("--file-patterns", f"pip:{REQUIREMENTS}")
"""By itself it knows ``requirements.txt`` only."""

_OWN_NAMES = re.compile(r"(?:Docker|Container)file")
"""Dockerfiles that it surely takes for such; it is told the names of all others."""

_EVERYWHERE = """\
disable-allow-rules:
  [tests, examples, vendor, markdown, usr-dirs, locale-dir, node.js, golang, python, rubygems,
   wordpress, anaconda-log]
"""
"""By itself it passes over secrets in tests, examples and documents; in an image it may, since
other people's packages are full of made-up ones."""

_REMARK = re.compile(rb"(?:trivy|tfsec):ignore:", re.IGNORECASE)

_OVER_TIME = "context deadline exceeded"


class TrivySettings(Settings):
    """``[scanner.NAME]`` with ``kind = "trivy"``."""

    mode: Mode = "config"
    """``config`` (Dockerfiles and the like), ``secret``, ``fs`` (vulnerabilities in lock files),
    ``image``, or ``sbom``."""
    path: str = "."
    """The folder, or with ``sbom`` the file, relative to the root."""
    image: str | None = None
    """With ``image``: its name."""
    archive: ConfigPath | None = None
    """With ``image``: a file that ``docker save`` wrote, instead of a name."""
    cache: ConfigPath | None = None
    """Folder of its vulnerability database; ``restoreproof/trivy`` in the user's cache."""
    skip: tuple[str, ...] = Field(default=())
    """Folders that are left out, relative to the root."""


@dataclass(frozen=True, slots=True)
class Database:
    """What the database says of itself.

    Attributes:
        updated: when its contents were gathered.
    """

    updated: datetime


class Trivy(Plugin[TrivySettings]):
    """The scanner."""

    tool = "trivy"
    model = TrivySettings
    supported = SUPPORTED

    def __init__(self, settings: TrivySettings, circumstances: Circumstances) -> None:
        super().__init__(settings, circumstances)
        self._cache = settings.cache or default_cache()

    @property
    def _target(self) -> str:
        if self._settings.mode == "image":
            return str(self._settings.archive or self._settings.image or "")
        return self._settings.path

    def expected(self, root: Path) -> tuple[str, ...]:
        there = self._there(root)
        return (*self._expected(there), *(gap.name for gap in there.gaps))

    def _there(self, root: Path) -> There:
        mode, start = self._settings.mode, (self._settings.path,)
        skipped = self._settings.skip
        if mode == "config":
            return there_is(
                root,
                lambda path: is_dockerfile(root / path),
                start,
                demanded=True,
                skipped=skipped,
                most=LARGEST,
            )
        if mode in {"secret", "fs"}:
            return there_is(
                root, lambda _path: True, start, demanded=True, skipped=skipped, by_name=False
            )
        return There((self._target,) if self._target else ())

    def _expected(self, there: There) -> tuple[str, ...]:
        """What it can be asked for: Dockerfiles, or the one folder where there is a file in it."""
        if self._settings.mode in {"secret", "fs"}:
            return (self._target,) if there.files else ()
        return there.files

    def scan(self, request: Request) -> Scan:
        there = self._there(request.root)
        expected = self._expected(there)
        scan = self._scan(request, expected, [gap.name for gap in there.gaps])
        remarks = (
            tuple(_switched_off(request.root, expected)) if self._settings.mode == "config" else ()
        )
        silenced = {gap.name for gap in remarks}
        return replace(
            scan,
            scanned=tuple(name for name in scan.scanned if name not in silenced),
            not_scanned=(*scan.not_scanned, *there.gaps, *remarks),
        )

    def _scan(self, request: Request, expected: tuple[str, ...], left_out: Sequence[str]) -> Scan:
        if not expected:
            return nothing_there(self.tool, self._circumstances)
        data: Database | None = None
        if self._looks_for_vulnerabilities:
            data = self._database(request)
            if data is None:
                return not_asked(
                    self.tool,
                    self._circumstances,
                    expected,
                    "there is no vulnerability database, and it cannot be fetched from here",
                    f"trivy image --download-db-only --cache-dir {self._cache}",
                )
        control = self._control(request)
        if control.not_scanned:
            rest = tuple(replace(control.not_scanned[0], name=name) for name in expected)
            return replace(control, not_scanned=(*control.not_scanned, *rest))
        scan = scan_by_plan(self._plan(request, expected, left_out), request, self._circumstances)
        unknown = self._unknown_system(request, scan)
        if unknown:
            judged = tuple(name for name in scan.scanned if name not in expected)
            gaps = tuple(replace(unknown, name=name) for name in expected)
            scan = replace(scan, scanned=judged, not_scanned=(*scan.not_scanned, *gaps))
        facts = {**scan.facts, "mode": self._settings.mode}
        if data is not None:
            facts["database"] = f"{data.updated:%Y-%m-%d %H:%M} UTC"
        return replace(
            scan,
            data_from=data.updated if data else None,
            seconds=scan.seconds + control.seconds,
            facts=facts,
        )

    @property
    def _looks_for_vulnerabilities(self) -> bool:
        return self._settings.mode in {"fs", "image", "sbom"}

    def _plan(self, request: Request, expected: tuple[str, ...], left_out: Sequence[str]) -> Plan:
        mode = self._settings.mode
        command: list[str] = ["sbom"] if mode == "sbom" else ["image" if mode == "image" else "fs"]
        if mode != "sbom":
            command += ["--scanners", ",".join(_SCANNERS[mode])]
        if mode == "fs":
            command += (*PIP_LOCKS, "--include-dev-deps")
        for name in sorted({Path(one).name for one in expected}) if mode == "config" else ():
            if not _OWN_NAMES.fullmatch(name):
                command += ["--file-patterns", f"dockerfile:(^|/){_exactly(name)}$"]
        if mode == "image":
            command += ["--image-config-scanners", "misconfig,secret"]
        for folder in self._settings.skip:
            command += ["--skip-dirs", folder]
        for name in left_out if mode == "config" else ():
            command += ["--skip-files", _literally(name)]
        if self._settings.archive and mode == "image":
            command += ["--input", str(self._settings.archive)]
        else:
            command += ["--", self._target]
        locks: tuple[str, ...] = ()
        if mode == "fs":
            locks = tuple(locks_among(request.root, self._not_skipped(request.root)))
        return self._run(
            request,
            command,
            expected,
            lambda raw: read(raw, request.root, mode, expected, locks, self._target),
        )

    def _not_skipped(self, root: Path) -> Iterator[str]:
        """All files but those in folders that are left out, which may be patterns."""
        patterns = [*self._settings.skip, *(f"/{one}" for one in self._settings.skip)]
        for name in self._there(root).files:
            above = [f"/{folder}" for folder in PurePosixPath(name).parents]
            if not any(fnmatchcase(one, pattern) for one in above for pattern in patterns):
                yield name

    def _control(self, request: Request) -> Scan:
        scanner = _SCANNERS[self._settings.mode][0]
        folder = request.scratch / "control"
        folder.mkdir()
        name, content = _CONTROLS[scanner]
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
        plan = replace(
            self._run(
                request,
                ["fs", "--scanners", scanner, "."],
                (),
                lambda raw: read(raw, folder, "fs", ()),
            ),
            control=name,
        )
        return scan_by_plan(plan, replace(request, root=folder), self._circumstances)

    def _unknown_system(self, request: Request, scan: Scan) -> NotScanned | None:
        """Why the packages of the system were not looked up; None where they were."""
        system = scan.facts.get("system")
        if system is None or not self._looks_for_vulnerabilities:
            return None
        document = request.scratch / "system.cdx.json"
        document.write_text(control(system))
        plan = self._run(
            request,
            ["sbom", "--", str(document)],
            (),
            lambda raw: read(raw, request.scratch, "fs", ()),
        )
        looked = scan_by_plan(plan, request, self._circumstances)
        if looked.not_scanned:
            return looked.not_scanned[0]
        if any(one.place.subject.startswith(f"{PACKAGE}@") for one in looked.findings):
            return None
        return NotScanned(
            document.name,
            f"the database has no vulnerability of {system}: its packages were not looked up",
            "take a base image of a release that Trivy knows, or fetch the database again",
            Cause.SKIPPED,
        )

    def _run(
        self,
        request: Request,
        command: Sequence[str],
        expected: tuple[str, ...],
        reader: Callable[[bytes], Reading],
    ) -> Plan:
        docker = {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
        return Plan(
            tool=self.tool,
            program="trivy",
            supported=SUPPORTED,
            args=[command[0], *_quiet(request), *self._options(request, command[0]), *command[1:]],
            expected=expected,
            read=reader,
            env=docker,
            endings=frozenset({0}),
            over_time=lambda said: _OVER_TIME in said,
        )

    def _options(self, request: Request, command: str) -> list[str]:
        secrets = ""
        if command == "fs":
            everywhere = request.scratch / "secret.yaml"
            everywhere.write_text(_EVERYWHERE)
            secrets = str(everywhere)
        seconds = f"{max(1, int(self._circumstances.limit))}s"
        return [
            *("--format", "json", "--timeout", seconds, "--cache-dir", str(self._cache)),
            *("--ignorefile", "", "--offline-scan", "--skip-db-update", "--skip-java-db-update"),
            *(() if command == "sbom" else ("--secret-config", secrets, "--skip-check-update")),
        ]

    def _database(self, request: Request) -> Database | None:
        found = database(self._cache)
        fresh = found and request.clock.now() - found.updated <= request.max_data_age
        program = self._circumstances.program or find_program("trivy")
        if fresh or request.offline or program is None:
            return found
        try:
            run(
                [
                    str(program),
                    *("image", *_quiet(request), "--download-db-only"),
                    *("--cache-dir", str(self._cache)),
                ],
                env=clean_env(**network_env()),
                stall_timeout=self._circumstances.limit,
                cancel=request.cancel,
                title="trivy",
            )
        except Interrupted:
            raise
        except RestoreproofError:
            return found  # an old one is better than none: its age is judged
        return database(self._cache)


def _quiet(request: Request) -> list[str]:
    configuration = request.scratch / "trivy.yaml"
    configuration.write_text("{}\n")  # instead of one that lies about somewhere
    return [
        "--quiet",
        "--config",
        str(configuration),
        "--skip-version-check",
        "--disable-telemetry",
    ]


def _switched_off(root: Path, names: Sequence[str]) -> Iterator[NotScanned]:
    """Files with a remark that switches rules off in them: Trivy cannot be told to pass over it."""
    for name in names:
        try:
            text = (root / name).read_bytes()
        except OSError:
            continue  # Trivy could not read it either, and its report does not have it
        found = _REMARK.search(text)
        if found:
            line = text.count(b"\n", 0, found.start()) + 1
            reason = f"a remark on line {line} switches rules of Trivy off"
            hint = "take it out, and put an ignore with its reason into the policy"
            yield NotScanned(name, reason, hint, Cause.SKIPPED)


def _literally(name: str) -> str:
    """A path as a pattern of Trivy that matches nothing else."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", name)


def _exactly(name: str) -> str:
    """A name as an expression that matches nothing else; commas would part it."""
    return "".join(
        char if char.isascii() and char.isalnum() else f"\\x{{{ord(char):x}}}" for char in name
    )


def default_cache() -> Path:
    """Where the database is kept: shared by all projects of a user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "restoreproof" / "trivy"


def database(cache: Path) -> Database | None:
    """The database in a cache folder; None where there is none that can be used."""
    try:
        stated = json.loads((cache / "db" / "metadata.json").read_text())
        updated = datetime.fromisoformat(stated["UpdatedAt"])
        known = stated["Version"] == 2 and updated.tzinfo is not None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Database(updated) if known and (cache / "db" / "trivy.db").is_file() else None
