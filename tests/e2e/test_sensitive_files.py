"""No secret that lies about where an image is built gets into it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hardening.rules import scan_image
from tests.harness.engine import Engine
from tests.harness.locks import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SECRET = b"SECRET-THAT-MUST-NOT-LEAVE"


def planted(folder: Path) -> list[str]:
    """A copy of what git tracks, with secrets beside it as people have them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    secrets = [".env", "id_rsa", "examples/.env", "docker/secrets/ca.key", ".git/config"]
    for name in secrets:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(SECRET)
    return secrets


@pytest.mark.parametrize("name", ["sample", "toolbox"])
def test_no_sensitive_files_in_image(
    engine: Engine, toolbox_options: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    planted(tmp_path)
    text = (tmp_path / "docker" / name / "Dockerfile").read_text()
    tag = f"planted:{name}"
    engine.build(text, tmp_path, tag, *toolbox_options)
    scan = scan_image(tag, address=engine.address)
    assert scan.scanned == (tag,)
    assert scan.findings == ()
    saved = engine.docker("save", tag).stdout
    assert SECRET not in saved
    for index in re.findall(r"[a-z]+://[^ /]+", Path(pip_settings(toolbox_options)).read_text()):
        assert index.encode() not in saved


def test_without_the_ignore_file_they_are_found(engine: Engine, base: str, tmp_path: Path) -> None:
    secrets = planted(tmp_path)
    (tmp_path / ".dockerignore").unlink()
    careless = f"FROM {base}\nCOPY . /app\nRUN rm -rf /app/.env /app/id_rsa\n"
    engine.build(careless, tmp_path, "careless")
    assert SECRET in engine.docker("save", "careless").stdout
    leaked = {
        one.evidence
        for one in scan_image("careless", address=engine.address).findings
        if one.rule == "RP-I004"
    }
    assert {f"app/{name}" for name in secrets if not name.startswith(".git/")} <= leaked


def pip_settings(options: tuple[str, ...]) -> str:
    """The file with pip's settings that a build is given as a secret."""
    given = next(option for option in options if option.startswith("id=pip,"))
    return given.partition("src=")[2]
