"""Locks that are looked up, or told as gaps, whatever they are called."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardening.kinds import SCANNERS
from hardening.model import Scan
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.pip_audit import PipAudit, PipAuditSettings, pins_in
from tests.harness.trivy_db import CRITICAL, write_database

pytestmark = pytest.mark.usefixtures("scanner_tools")

NOW = datetime.now(UTC)
REQUIREMENTS = (
    *("requirements.txt", "dev-requirements.txt", "requirements-dev.txt", "requirements_x.txt"),
    *("requirements.prod.txt", "requirements/dev.txt", "sub/requirements/a b.txt"),
    *("constraints.txt", "a/b/test_requirements-3.12.txt"),
)
POETRY = """\
[[package]]
name = "django"
version = "1.2"
description = ""
optional = false
python-versions = "*"
files = []

[metadata]
lock-version = "2.0"
python-versions = "*"
content-hash = "x"
"""
UV = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "mine"
version = "0.1"
source = { virtual = "." }
dependencies = [{ name = "django" }]

[[package]]
name = "django"
version = "1.2"
source = { registry = "https://example.org/simple" }
"""
NPM = """\
{"name": "a", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
  "": {"name": "a", "version": "1.0.0", "devDependencies": {"b": "1.0.0"}},
  "node_modules/b": {"version": "1.0.0", "resolved": "https://example.org/b.tgz", "dev": true}}}
"""
PIPENV = '{"_meta": {}, "default": {"django": {"version": "==1.2"}}, "develop": {}}\n'


def put(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "root" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def looked_up(tmp_path: Path, path: str = ".", skip: tuple[str, ...] = ()) -> Scan:
    write_database(tmp_path / "cache", CRITICAL, updated=NOW)
    (tmp_path / "scratch").mkdir()
    plugin = SCANNERS.load("trivy")
    settings = {"mode": "fs", "cache": str(tmp_path / "cache"), "path": path, "skip": skip}
    chosen = plugin.settings().model_validate(settings)
    scanner = plugin.from_settings(chosen, Circumstances("trivy", limit=120.0))
    return scanner.scan(Request(root=tmp_path / "root", scratch=tmp_path / "scratch"))


def gaps(scan: Scan) -> list[str]:
    return [one.name for one in scan.not_scanned]


def test_requirements_are_looked_up_whatever_they_are_called(tmp_path: Path) -> None:
    for name in REQUIREMENTS:
        put(tmp_path, name, "django==1.2\n")
    done = looked_up(tmp_path)
    assert gaps(done) == []
    assert {one.place.path for one in done.findings} == set(REQUIREMENTS)
    expected = PipAudit(PipAuditSettings(), Circumstances("pip-audit")).expected(tmp_path / "root")
    assert set(expected) == set(REQUIREMENTS)


def test_other_locks_are_looked_up_those_for_development_too(tmp_path: Path) -> None:
    put(tmp_path, "a/poetry.lock", POETRY)
    put(tmp_path, "b/uv.lock", UV)
    put(tmp_path, "c/package-lock.json", NPM)
    put(tmp_path, "d/Pipfile.lock", PIPENV)
    done = looked_up(tmp_path)
    assert gaps(done) == []
    assert {one.place.path for one in done.findings} == {
        "a/poetry.lock",
        "b/uv.lock",
        "d/Pipfile.lock",
    }


def test_a_lock_that_trivy_does_not_read_is_a_gap_by_name(tmp_path: Path) -> None:
    put(tmp_path, "requirements.txt", "django==1.2\n")
    put(tmp_path, "pdm.lock", POETRY)
    put(tmp_path, "poetry.lock", "[[package]]\nname = 1\n")
    put(tmp_path, "dev-requirements.txt", "django>=1.2\n")
    put(tmp_path, "web/npm-shrinkwrap.json", NPM)
    done = looked_up(tmp_path)
    assert gaps(done) == [
        "dev-requirements.txt",
        "pdm.lock",
        "poetry.lock",
        "web/npm-shrinkwrap.json",
    ]


def test_a_lock_without_packages_is_none(tmp_path: Path) -> None:
    put(tmp_path, "requirements.txt", "django==1.2\n")
    put(tmp_path, "dev-requirements.txt", "# nothing yet\n-r requirements.txt\n")
    put(tmp_path, "system-requirements.txt", "What this needs to run:\n - much memory\n")
    put(tmp_path, "poetry.lock", POETRY.partition("\n\n")[2])
    put(tmp_path, "uv.lock", UV.rpartition("\n\n")[0])
    put(tmp_path, "package-lock.json", '{"name": "a", "lockfileVersion": 3, "packages": {"": {}}}')
    assert gaps(looked_up(tmp_path)) == []


def test_below_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "sub/requirements-dev.txt", "django==1.2\n")
    put(tmp_path, "sub/pdm.lock", POETRY)
    put(tmp_path, "pdm.lock", POETRY)
    assert gaps(looked_up(tmp_path, "sub")) == ["sub/pdm.lock"]


def test_what_is_left_out_is_no_gap(tmp_path: Path) -> None:
    put(tmp_path, "requirements.txt", "django==1.2\n")
    for name in ("a/fixtures/pdm.lock", "fixtures/pdm.lock", "b/c/pdm.lock"):
        put(tmp_path, name, POETRY)
    assert gaps(looked_up(tmp_path, skip=("**/fixtures", "b/c"))) == []


def test_what_pip_is_told_in_a_lock_is_no_package(tmp_path: Path) -> None:
    text = "-r base.txt\n-c../constraints.txt\n--no-binary x\n-e .\n-r nowhere.txt\ndjango==1.2\n"
    put(tmp_path, "requirements/dev.txt", text)
    others = ("requirements/base.txt", "constraints.txt")
    told = list(pins_in(tmp_path / "root", "requirements/dev.txt", others))
    assert [one.name for one in told] == [
        "requirements/dev.txt:4",
        "requirements/dev.txt:5",
        "django",
    ]
