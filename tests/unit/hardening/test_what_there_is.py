from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path, PurePosixPath

import pytest

from hardening.scanners.files import there_is, vendored_below, without_values
from hardening.scanners.foreign import below
from tests.harness.forked import run_forked


def test_no_link_is_followed_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("a.py", "b/c.py", ".venv/lib/x.py", "node_modules/y.py", "new\nline.py"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (root / "outside").symlink_to(tmp_path)
    (root / "link.py").symlink_to(root / "a.py")
    os.mkfifo(root / "pipe.py")
    found = there_is(root, lambda path: path.suffix == ".py")
    assert found.files == ("a.py", "b/c.py", "new\nline.py")
    assert [gap.name for gap in found.gaps] == ["pipe.py"]
    assert there_is(root, lambda _path: True, ["nowhere"]).names == ()


def test_copies_of_packages_are_found_where_they_have_no_metadata(tmp_path: Path) -> None:
    for name in (
        "src/_vendor/django/__init__.py",
        "src/_vendor/rich/__init__.py",
        "src/_vendor/rich-15.0.0.dist-info/METADATA",
        "vendor/left-pad/package.json",
        ".venv/vendor/x/__init__.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert vendored_below(tmp_path) == ("src/_vendor/django",)


@pytest.mark.parametrize(
    "line",
    [
        "ENV API_TOKEN=hunter2",
        "ENV PASSWORD hunter2",
        "ARG PASSWORD=hunter2 OTHER=hunter2",
        "  PASSWORD: hunter2",
        "  - PASSWORD=hunter2",
        "password = 'hunter2'",
        'password = "a\\"hunter2"',
        "curl --token=hunter2 https://x",
    ],
)
def test_evidence_holds_no_value(line: str) -> None:
    assert "hunter2" not in without_values(line)
    assert without_values(line) == without_values(line.replace("hunter2", "other"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("./a.py", "a.py"),
        ("/root/x/a.py", "a.py"),
        ("/elsewhere/a.py", "/elsewhere/a.py"),
        ("../y/a.py", "/root/y/a.py"),
        ("b/../a.py", "a.py"),
    ],
)
def test_paths_are_told_relative_to_the_root(name: str, told: str) -> None:
    assert below(Path("/root/x"), name) == told


def python(path: PurePosixPath) -> bool:
    return path.suffix == ".py"


def test_what_is_written_down_and_not_there_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    found = there_is(tmp_path, python, [".", "srcc"], demanded=True)
    assert found.files == ("a.py",)
    assert [(gap.name, gap.reason) for gap in found.gaps] == [("srcc", "is not there")]


@pytest.mark.parametrize("start", ["..", "../..", "/etc", "link"])
def test_a_start_that_leads_out_is_a_gap_and_not_read(start: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.py").write_text("")
    (root / "link").symlink_to(tmp_path)
    found = there_is(root, python, [start])
    assert found.files == ()
    assert ["leads out" in gap.reason for gap in found.gaps] == [True]


@pytest.mark.parametrize("target", ["../outside.py", "nowhere.py", "link.py", "other.name"])
def test_a_link_to_what_is_not_looked_at_is_a_gap(target: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.py").write_text("")
    (root / "other.name").write_text("")
    (root / "link.py").symlink_to(target)
    found = there_is(root, python)
    assert found.files == ()
    assert [gap.name for gap in found.gaps] == ["link.py"]


def test_a_folder_that_cannot_be_read_is_a_gap_and_so_is_a_file() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "closed").mkdir(mode=0)
        (folder / "closed.py").touch(mode=0)
        (folder / "skipped").mkdir(mode=0)
        (folder / "a.py").write_text("")

        def look() -> None:
            if os.geteuid() == 0:
                os.setuid(pwd.getpwnam("nobody").pw_uid)
            found = there_is(folder, python, skipped=["skipped"])
            assert found.files == ("a.py",)
            assert [gap.name for gap in found.gaps] == ["closed", "closed.py"]
            assert all("cannot be read" in gap.reason for gap in found.gaps)

        assert run_forked(look) == 0
