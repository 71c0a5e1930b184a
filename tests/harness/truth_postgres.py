"""Rows of the truth table for PostgreSQL: its dumps, its tools, its servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backup_lib.model import Need, Rung, StoreRecord
from backup_lib.stores.postgres.cluster import ROLES_ROLE
from restoreproof.exit_codes import ExitCode
from restoreproof.verdict import Verdict
from tests.harness import fake_tools
from tests.harness.fake_tools import fake_tool
from tests.harness.postgres import bundled_programs
from tests.harness.truth import Row, Scene, judged
from tests.harness.truth_forged import forge, forge_after
from tests.harness.truth_injuries import (
    ask,
    kill_servers,
    need_newer,
    no_programs,
    without_fingerprint,
)

FAILED, INCONCLUSIVE = Verdict.FAILED, Verdict.INCONCLUSIVE
POSTGRES = "postgres"
DUMP = "database"
"""The role of the artifact."""


def alter_row(scene: Scene) -> None:
    def change(plain: bytes) -> bytes:
        assert b"\titem 200\t" in plain
        return plain.replace(b"\titem 200\t", b"\titem 2OO\t", 1)

    forge(scene, DUMP, artifact=change)


def smuggle_role(scene: Scene) -> None:
    forge(scene, ROLES_ROLE, artifact=lambda plain: plain + b"CREATE ROLE smuggled SUPERUSER;\n")


def cut_dump(scene: Scene) -> None:
    forge(scene, DUMP, artifact=lambda plain: plain[: len(plain) // 2])


def garble_contents(scene: Scene) -> None:
    forge(scene, DUMP, artifact=lambda plain: plain[:20] + b"\xff" * 200 + plain[220:])


def need_extension(scene: Scene) -> None:
    def change(record: StoreRecord) -> StoreRecord:
        extension = Need("extension:no_such_thing", "", "the database uses it")
        return replace(
            record, backup=replace(record.backup, needs=(*record.backup.needs, extension))
        )

    forge(scene, DUMP, record=change)


def box(options: str) -> Callable[[Scene], None]:
    return lambda scene: scene.site.configure(sandbox_options=options)


def broken_programs(scene: Scene) -> None:
    """Programs that say their version, and fail at everything else."""
    folder = scene.site.folder / "broken"
    folder.mkdir(mode=0o755)
    for real in bundled_programs().iterdir():
        script = folder / real.name
        script.write_text(
            f'#!/bin/sh\ncase "$1" in --version|-V) exec {real} --version;; esac\n'
            "echo no good >&2; exit 1\n"
        )
        script.chmod(0o755)
    scene.site.configure(sandbox_options='programs = { postgres = "broken" }')


def tool(name: str, behaviour: str, options: str = "") -> Callable[[Scene], None]:
    def injure(scene: Scene) -> None:
        folder = fake_tool(scene.site.folder / "tools", bundled_programs(), name, behaviour)
        size = scene.run.manifest.stores[0].artifacts[0].plain_size
        (folder / "bytes").write_text(str(size))
        scene.site.configure(store_options=f'programs = "{folder}"\n{options}')

    return injure


def connect_as(params: str) -> Callable[[Scene], None]:
    """The connection string with some of its parts replaced."""

    def injure(scene: Scene) -> None:
        path = scene.site.folder / "orders.dsn"
        path.write_text(f"{path.read_text()} {params}")

    return injure


def no_rights(scene: Scene) -> None:
    scene.site.rig.execute(
        "do $$ begin if not exists (select from pg_roles where rolname = 'outsider') then "
        "create role outsider login; end if; end $$"
    )
    connect_as("user=outsider")(scene)


def wrong_password(scene: Scene) -> None:
    scene.site.rig.demand_password()
    connect_as("user=locked password=wrong")(scene)


RUN, LOST = "backup.run", ExitCode.UNREACHABLE
POSTGRES_ROWS: tuple[Row, ...] = (
    judged("one row altered, every checksum repaired", alter_row, FAILED, Rung.CONTENT,
           store=POSTGRES),
    judged("a table dumped empty, every checksum right", forge_after(DUMP, "truncate orders"),
           FAILED, Rung.CONTENT, store=POSTGRES),
    judged("one row too many, every checksum right",
           forge_after(DUMP, "insert into orders (item) values ('x')"), FAILED, Rung.CONTENT,
           store=POSTGRES),
    judged("an index missing in the dump, every checksum right",
           forge_after(DUMP, "drop index by_item"), FAILED, Rung.CONTENT, store=POSTGRES),
    judged("a view altered in the dump, every checksum right",
           forge_after(DUMP, "create or replace view dear as select * from orders where price > 9"),
           FAILED, Rung.CONTENT, store=POSTGRES),
    judged("a superuser added to the roles, every checksum right", smuggle_role, FAILED,
           Rung.CONTENT, store=POSTGRES),
    judged("half of the dump, every checksum right", cut_dump, FAILED, Rung.RESTORE,
           store=POSTGRES),
    judged("the dump's table of contents garbled, every checksum right", garble_contents, FAILED,
           Rung.RESTORE, store=POSTGRES),
    judged("dumped by a newer major version than the disposable server's", need_newer,
           INCONCLUSIVE, Rung.RESTORE, store=POSTGRES),
    judged("needs an extension that the disposable server lacks", need_extension, INCONCLUSIVE,
           Rung.RESTORE, store=POSTGRES),
    judged("made without a fingerprint", without_fingerprint, INCONCLUSIVE, Rung.CONTENT,
           store=POSTGRES),
    judged("an assertion does not hold", ask("select count(*) = 0 from orders"), FAILED,
           Rung.ASSERTIONS, store=POSTGRES),
    judged("an assertion cannot be evaluated", ask("select nonsense"), INCONCLUSIVE,
           Rung.ASSERTIONS, store=POSTGRES),
    judged("the disposable server's programs are missing", no_programs, INCONCLUSIVE,
           Rung.RESTORE, store=POSTGRES),
    judged("the disposable server does not start", broken_programs, INCONCLUSIVE, Rung.RESTORE,
           store=POSTGRES),
    judged("the disposable server is killed in every attempt", kill_servers, INCONCLUSIVE,
           Rung.RESTORE, store=POSTGRES),
    judged("the disposable server takes more than its budget", box('budget = "1MB"'),
           INCONCLUSIVE, Rung.RESTORE, store=POSTGRES),
    Row("pg_dump is killed", tool("pg_dump", fake_tools.ALL_AND_KILLED), RUN, LOST,
        store=POSTGRES),
    Row("pg_dump ends with exit code 1 after all its output",
        tool("pg_dump", fake_tools.ALL_AND_EXIT_1), RUN, LOST, store=POSTGRES),
    Row("pg_dump writes half and ends with exit code 0",
        tool("pg_dump", fake_tools.HALF_AND_EXIT_0), RUN, LOST, store=POSTGRES),
    Row("pg_dump writes garbage and ends with exit code 0",
        tool("pg_dump", fake_tools.GARBAGE_AND_EXIT_0), RUN, LOST, store=POSTGRES),
    Row("pg_dumpall fails", tool("pg_dumpall", fake_tools.ALL_AND_EXIT_1), RUN, LOST,
        store=POSTGRES),
    Row("the server is not there", connect_as("host=/nowhere"), RUN, LOST, store=POSTGRES),
    Row("the database is not there", connect_as("dbname=absent"), RUN, LOST, store=POSTGRES),
    Row("the password is wrong", wrong_password, RUN, LOST, store=POSTGRES),
    Row("the role may not read a table", no_rights, RUN, LOST, store=POSTGRES),
)  # fmt: skip
