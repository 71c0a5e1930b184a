"""A software bill of materials in CycloneDX, through Trivy."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hardening.scanners.base import Circumstances
from hardening.scanners.running import located
from hardening.scanners.trivy import PIP_LOCKS, SUPPORTED, default_cache
from restoreproof.atomic import write_bytes
from restoreproof.errors import Inconclusive, UsageError
from restoreproof.process import Cancellation, clean_env, run


@dataclass(frozen=True, slots=True)
class Sbom:
    """A bill that was written.

    Attributes:
        path: the file.
        components: how many it names; never 0.
        version: of Trivy.
        seconds: it took.
    """

    path: Path
    components: int
    version: str
    seconds: float


def write_sbom(root: Path, path: Path, cancel: Cancellation | None = None) -> Sbom:
    """Write the bill of what lies below ``root``.

    Raises:
        UsageError: there is no such folder.
        Inconclusive: Trivy is missing, or what it wrote is no bill, or an empty one.
        ChildFailed: it failed.
    """
    if not root.is_dir():
        raise UsageError(f"there is no folder at {root}", hint="--root names what to look at")
    program, version, why_not = located("trivy", "trivy", SUPPORTED, Circumstances("sbom"))
    if program is None or why_not is not None:
        reason = why_not.reason if why_not else "trivy is not installed"
        raise Inconclusive(f"no bill of materials: {reason}", hint=why_not.hint if why_not else "")
    with tempfile.TemporaryDirectory(prefix="restoreproof-sbom-") as scratch:
        written = Path(scratch) / "sbom.json"
        done = run(
            [
                str(program),
                *("fs", "--format", "cyclonedx", "--quiet", "--offline-scan"),
                *(*PIP_LOCKS, "--skip-dirs", "**/.venv", "--skip-dirs", "**/.scanners"),
                *("--skip-version-check", "--disable-telemetry", "--cache-dir"),
                *(str(default_cache()), "--output", str(written), "."),
            ],
            env=clean_env(),
            cwd=root,
            cancel=cancel,
            title="trivy",
        )
        raw = written.read_bytes() if written.exists() else b""
    components = _components(raw)
    if not components:
        raise Inconclusive(
            "trivy wrote no bill of materials that names anything",
            hint="look whether the folder has lock files that it knows",
        )
    write_bytes(path, raw, 0o644)
    return Sbom(path, components, version, done.seconds)


def _components(raw: bytes) -> int:
    try:
        document = json.loads(raw)
        if document["bomFormat"] != "CycloneDX":
            return 0
        return sum(1 for one in document["components"] if one.get("purl"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0
