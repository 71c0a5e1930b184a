from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from hardening.scanners.compose_lint import is_compose_file
from hardening.scanners.dockerfiles import is_dockerfile
from hardening.scanners.files import files_below, vendored_below, without_values
from hardening.scanners.foreign import below


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("Dockerfile", True),
        ("dockerfile", True),
        ("Containerfile", True),
        ("Dockerfile.dev", True),
        ("web.Dockerfile", True),
        ("a/b/Dockerfile", True),
        ("Dockerfile.dockerignore", False),
        ("dockerfile.py", False),
        ("Dockerfile.j2", False),
        ("dockerfiles.md", False),
        ("README", False),
    ],
)
def test_what_is_a_dockerfile(name: str, is_one: bool) -> None:
    assert is_dockerfile(PurePosixPath(name)) is is_one


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("compose.yaml", True),
        ("docker-compose.yml", True),
        ("compose.prod.yml", True),
        ("compose.override.yml", False),  # is merged into the one beside it
        ("composer.yml", False),
        ("compose.json", False),
    ],
)
def test_what_is_a_compose_file(name: str, is_one: bool) -> None:
    assert is_compose_file(PurePosixPath(name)) is is_one


def test_no_link_is_followed_and_installed_packages_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("a.py", "b/c.py", ".venv/lib/x.py", "node_modules/y.py", "new\nline.py"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (root / "outside").symlink_to(tmp_path)
    (root / "link.py").symlink_to(root / "a.py")
    os.mkfifo(root / "pipe.py")
    found = files_below(root, lambda path: path.suffix == ".py")
    assert found == ("a.py", "b/c.py", "new\nline.py")
    assert files_below(root, lambda _path: True, ["nowhere"]) == ()


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
