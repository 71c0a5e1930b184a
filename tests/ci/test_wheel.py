"""What ``pip install`` gets: built offline, by the locked build backend."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness.locks import ROOT, pyproject


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = Path(folder).glob("*.whl")
    return zipfile.Path(file)


def names(wheel: zipfile.Path) -> set[str]:
    return {name for name in wheel.root.namelist() if not name.endswith("/")}


def test_wheel_holds_the_packages_whole_and_nothing_else(wheel: zipfile.Path) -> None:
    packages = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    listed = subprocess.run(
        ["git", "ls-files", *packages], cwd=ROOT, check=True, capture_output=True, text=True
    )
    metadata = {name for name in names(wheel) if ".dist-info/" in name}
    assert names(wheel) - metadata >= set(listed.stdout.split())
    assert {name.partition("/")[0] for name in names(wheel) - metadata} == set(packages)


def test_wheel_carries_its_licence_and_that_it_is_typed(wheel: zipfile.Path) -> None:
    found = names(wheel)
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in found)
    assert {"restoreproof/py.typed", "backup_lib/py.typed", "restoreproof_cli/py.typed"} <= found


def test_console_script_is_the_program_behind_the_wrapper(wheel: zipfile.Path) -> None:
    (entry_points,) = (name for name in names(wheel) if name.endswith("/entry_points.txt"))
    parser = configparser.ConfigParser()
    parser.read_string(wheel.joinpath(entry_points).read_text())
    assert dict(parser["console_scripts"]) == {"restoreproof": "restoreproof_cli.main:main"}
    assert "-m restoreproof_cli.main" in (ROOT / "inv").read_text()
