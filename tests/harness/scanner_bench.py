"""A bench for programs that lie: each runs in the place of a scanner's own, and is judged."""

from __future__ import annotations

import json
from pathlib import Path

from hardening.kinds import SCANNERS
from hardening.model import Scan, Severity
from hardening.policy.judge import judge
from hardening.policy.model import Judgement, Policy
from hardening.scanners.base import Circumstances, Request
from hardening.services.normalise import issues_of
from restoreproof.clock import SYSTEM_CLOCK
from tests.harness.scanner_fakes import Json, Specimen

STRICT = Policy(block=frozenset(Severity))


class Bench:
    """A folder with the specimen's files, and a program that does what a case wants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def scan(
        self,
        specimen: Specimen,
        report: Json,
        ending: str = "exit 0",
        *,
        limit: float = 30.0,
        version: str | None = None,
        control: str | None = None,
        program: Path | None = None,
    ) -> Scan:
        root, scratch = self._folder / "root", self._folder / "scratch"
        for name, text in specimen.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        scratch.mkdir()
        text = report if isinstance(report, str) else json.dumps(report)
        made = specimen.program(
            self._folder / "bin", text, ending, version=version, control=control
        )
        plugin = SCANNERS.load(specimen.kind)
        scanner = plugin.from_settings(
            plugin.settings().model_validate(dict(specimen.settings)),
            Circumstances(specimen.kind, program or made, limit),
        )
        return scanner.scan(Request(root=root, scratch=scratch))


def judged(scan: Scan) -> Judgement:
    return judge([scan], issues_of(scan.findings, {}), STRICT, SYSTEM_CLOCK.now())
