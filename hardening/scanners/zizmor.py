"""zizmor: GitHub workflows and actions. Offline only: what it asks GitHub for needs a token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pydantic import Field

from hardening.model import Finding, Place, Severity
from hardening.scanners.files import without_values
from hardening.scanners.foreign import Foreign, below, parse_list, severity
from hardening.scanners.plugin import FileScanner, PathSettings
from hardening.scanners.programs import Versions
from hardening.scanners.running import Reading

LEVELS = {
    "informational": Severity.INFO,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
}

_CONTROL = """\
on: pull_request_target
jobs:
  control:
    runs-on: ubuntu-latest
    steps:
      - run: echo ${{ github.event.pull_request.title }}
"""


class ZizmorSettings(PathSettings):
    """``[scanner.NAME]`` with ``kind = "zizmor"``."""

    paths: tuple[str, ...] = (".",)
    """Files and folders, relative to the root; in folders, what is in a ``.github/workflows``, and
    actions (``action.yml``) wherever they lie."""

    persona: str = Field(default="regular", pattern="^(regular|pedantic|auditor)$")
    """How strict it is: ``regular``, ``pedantic`` or ``auditor``."""


class _Local(Foreign):
    verbatim_path: str


class _Key(Foreign):
    local: _Local | None = Field(default=None, alias="Local")


class _Symbolic(Foreign):
    key: _Key
    annotation: str
    kind: str


class _Point(Foreign):
    row: int


class _Span(Foreign):
    start_point: _Point


class _Concrete(Foreign):
    location: _Span
    feature: str


class _Location(Foreign):
    symbolic: _Symbolic
    concrete: _Concrete


class _Determinations(Foreign):
    severity: str


class _Found(Foreign):
    ident: str
    desc: str
    url: str
    determinations: _Determinations
    locations: list[_Location] = Field(min_length=1)


class Zizmor(FileScanner[ZizmorSettings]):
    """The scanner."""

    tool = "zizmor"
    model = ZizmorSettings
    supported = Versions((1, 5), (2,))
    # by its folder it knows what it is
    control = (".github/workflows/control.yml", _CONTROL)
    # 1 to 3 are failures; from 11 on it is the worst level that was found
    endings = frozenset({0, 11, 12, 13, 14})

    def accepts(self, path: PurePosixPath, _root: Path) -> bool:
        if path.suffix not in {".yml", ".yaml"}:
            return False
        return path.stem == "action" or path.parts[-3:-1] == (".github", "workflows")

    def arguments(self, _scratch: Path) -> Sequence[str]:
        return (
            *("--offline", "--no-config", "--no-ignores", "--quiet", "--no-progress"),
            *("--persona", self._settings.persona, "--format", "json-v1"),
            # otherwise what cannot be parsed is left out, with a warning
            "--strict-collection",
        )

    def reading(self, raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
        return read(raw, root, files)


def read(raw: bytes, root: Path, files: tuple[str, ...]) -> Reading:
    """``zizmor --format json-v1`` over ``files``.

    Raises:
        Unreadable: it is not.
    """
    report = parse_list(_Found, raw)
    return Reading(scanned=files, findings=tuple(_finding(one, root) for one in report))


def _finding(found: _Found, root: Path) -> Finding:
    primary = next((one for one in found.locations if one.symbolic.kind == "Primary"), None)
    place = primary or found.locations[0]
    key = place.symbolic.key.local
    return Finding(
        tool="zizmor",
        rule=found.ident,
        title=f"{found.desc}: {place.symbolic.annotation}",
        severity=severity(found.determinations.severity, LEVELS),
        said=found.determinations.severity,
        place=Place(
            below(root, key.verbatim_path) if key else "?",
            place.concrete.location.start_point.row + 1,
        ),
        evidence=without_values(next(iter(place.concrete.feature.splitlines()), "")),
        help=found.url,
    )
