"""A planted password is nowhere: not in output, files, arguments, or others' environments."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from restoreproof.exit_codes import ExitCode
from tests.harness.fake_tools import fake_tool
from tests.harness.fault_site import FaultSite, make_fault_site
from tests.harness.fault_stores import postgres_rig
from tests.harness.planted import SECRET, Watch, forms, look
from tests.harness.planted_site import check_files, run_watched
from tests.harness.postgres import MakeServer, PostgresServer, bundled_programs

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

RECORDS = (
    'tr "\\0" "\\n" < /proc/$$/environ >> "$HERE/record"; '
    'echo "$0 $@" >> "$HERE/record"; exec "$REAL" "$@"'
)
TOOLS = ("pg_dump", "pg_dumpall", "pg_restore")
TROUBLE = """
import backup_lib.stores.postgres.source as source
def broken(*_):
    raise RuntimeError("boom with " + open({path!r}).read())
source.needs = broken
from restoreproof_cli.main import main
main()
"""


@pytest.fixture(scope="module")
def locked_server(make_module_server: MakeServer) -> PostgresServer:
    return make_module_server(password=SECRET, tcp=True)


@pytest.fixture
def site(locked_server: PostgresServer, short_folder: Path) -> FaultSite:
    site = make_fault_site(postgres_rig(locked_server), short_folder)
    tools = fake_tool(short_folder / "tools", bundled_programs(), TOOLS, RECORDS)
    site.configure(store_options=f'programs = "{tools}"')
    path = f"{tools}:{site.environment['PATH']}"
    return replace(site, environment={**site.environment, "PATH": path})


def references(site: FaultSite, how: str) -> dict[str, str]:
    """Configure the store so that it refers to the secret; the environment for that."""
    dsn = (site.folder / "orders.dsn").read_text()
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    host, port, name = parts["host"], parts["port"], parts["dbname"]
    (site.folder / "orders.dsn").unlink()
    place = f'host = "{host}"\nport = {port}\ndbname = "{name}"\nuser = "postgres"\n'
    url = f"postgresql://postgres:{quote(SECRET, safe='')}@{host}:{port}/{name}"
    secret = site.folder / "secret"
    match how:
        case "dsn in a file":
            secret.write_text(url)
            site.configure(section='dsn = { file = "secret" }')
        case "dsn in the environment":
            site.configure(section='dsn = { env = "PLANTED" }')
            return {"PLANTED": dsn}
        case "password in a file":
            secret.write_text(SECRET + "\n")
            site.configure(section=place + 'password = { file = "secret" }')
        case _:
            site.configure(section=place + 'password = { env = "PLANTED" }')
            return {"PLANTED": SECRET}
    secret.chmod(0o600)
    return {}


def test_all_forms_are_found_by_the_search() -> None:
    for way, form in forms().items():
        assert list(look(b"xx" + form + b"yy", "here")), way
    for before in (b"", b"a", b"ab"):
        assert list(look(base64.b64encode(before + SECRET.encode() + b"tail"), "here"))


def test_a_child_that_shows_it_is_seen() -> None:
    script = "import subprocess, sys; subprocess.run(['sleep', '1'], env={'X': sys.argv[1][::-1]})"
    argv = [sys.executable, "-c", script, SECRET[::-1]]
    with subprocess.Popen(argv) as parent, Watch(parent.pid) as watch:
        parent.wait()
    assert watch.found == {"environment of sleep: " + way for way in ways_of(SECRET)}


def ways_of(text: str) -> set[str]:
    return {hit.partition(": ")[2] for hit in look(text.encode(), "")}


@pytest.mark.parametrize(
    "how",
    [
        "dsn in a file",
        "dsn in the environment",
        "password in a file",
        "password in the environment",
    ],
)
def test_a_planted_secret_appears_nowhere(site: FaultSite, how: str) -> None:
    environment = references(site, how)
    name = site.rig.place
    commands: list[tuple[str, ...]] = [
        ("backup.run", "--json"),
        ("backup.restore", "--set", "nightly", "--overwrite", "--confirm", name),
        ("backup.doctor",),
    ]
    if how == "password in the environment":
        commands += [("backup.verify", "--json"), ("backup.show", "--json"), ("backup.list",)]
    for command in commands:
        wanted = command if "--set" in command else (*command[:1], "--set", "nightly", *command[1:])
        done = run_watched(
            site, environment, *(command if command[0] == "backup.doctor" else wanted)
        )
        # what the doctor finds is of no interest here, as long as it looks
        accepted = {ExitCode.OK, ExitCode.BAD, ExitCode.INCONCLUSIVE}
        if command[0] != "backup.doctor":
            accepted = {ExitCode.OK}
        assert done.code in accepted, f"{done.out}\n{done.err}"
    record = (site.folder / "tools" / "record").read_text()
    for tool in ("pg_dump", "pg_dumpall", "pg_restore"):
        assert f"/{tool} " in record, f"{tool} was not run through its recorder"
    check_files(site)


@pytest.mark.parametrize("trouble", ["host", "port", "dbname", "user", "crash"])
def test_nor_when_things_go_wrong(site: FaultSite, trouble: str) -> None:
    site.back_up()
    path = site.folder / "orders.dsn"
    wrong = {"host": "host=/nowhere", "port": "port=1", "dbname": "dbname=absent"}
    wrong |= {"user": "user=nobody_of_that_name", "crash": ""}
    path.write_text(f"{path.read_text()} {wrong[trouble]}")
    path.rename(site.folder / "secret")
    site.configure(section='dsn = { file = "secret" }')
    if trouble == "crash":
        secret = site.folder / "secret"
        argv = [sys.executable, "-c", TROUBLE.format(path=str(secret)), "backup.run"]
        site = _with_argv(site, argv)
    commands: list[tuple[str, ...]] = [("backup.run", "--set", "nightly", "--json")]
    if trouble == "host":
        commands += [("backup.doctor",), ("backup.restore", "--set", "nightly")]
    for command in commands:
        done = run_watched(site, {}, *command)
        expected = ExitCode.INTERNAL if trouble == "crash" else None
        assert done.code == expected or (expected is None and done.code), done
    assert os.listdir(site.tmp) == [] or trouble == "crash"  # noqa: PTH208  # names suffice
    check_files(site)


class _Crashing(FaultSite):
    def argv(self, *arguments: str) -> list[str]:
        return [*self.configured["argv"].split("\0"), *arguments[1:]]


def _with_argv(site: FaultSite, argv: list[str]) -> FaultSite:
    configured = {**site.configured, "argv": "\0".join(argv)}
    return _Crashing(site.folder, site.rig, site.backups, site.environment, configured)
