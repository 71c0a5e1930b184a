"""Rows of the truth table for PostgreSQL: its dumps, its tools, its servers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from backup_lib.destinations.base import SetRef
from backup_lib.format.pipeline import StoredArtifactSink
from backup_lib.format.sets import sign_manifest
from backup_lib.format.source import StoredArtifactSource
from backup_lib.model import Need, Rung, StoreRecord
from restoreproof.exit_codes import ExitCode
from restoreproof.process import procfs
from restoreproof.verdict import Verdict
from tests.harness import fake_tools
from tests.harness.fake_tools import fake_tool
from tests.harness.postgres import bundled_programs
from tests.harness.sandboxes import processes_in
from tests.harness.truth import Row, Scene, judged

FAILED, INCONCLUSIVE = Verdict.FAILED, Verdict.INCONCLUSIVE
POSTGRES = "postgres"


def forge(
    scene: Scene,
    *,
    dump: Callable[[bytes], bytes] = lambda plain: plain,
    record: Callable[[StoreRecord], StoreRecord] = lambda record: record,
) -> None:
    """Publish a newer set with the dump or the record altered, and every checksum right."""
    site, work = scene.site.site(), scene.site.work()
    original = scene.run.manifest
    (store,) = original.stores
    destination = site.destination("disk")
    source = StoredArtifactSource(destination, scene.run.ref, store)
    ref = SetRef("nightly", scene.run.ref.set_id[:-6] + "ffffff")
    with destination.write_set(ref) as writer:
        sink = StoredArtifactSink(writer, store.name, work)
        for artifact in store.artifacts:
            with source.open(artifact.role) as stream:
                plain = stream.read()
            if artifact.role == "database":
                plain = dump(plain)
            name = Path(artifact.name).name.removesuffix(".zst")
            with sink.open(name, role=artifact.role, media_type=artifact.media_type) as out:
                out.write(plain)
        forged = replace(
            original,
            set_id=ref.set_id,
            sequence=original.sequence + 1,
            stores=(record(replace(store, artifacts=sink.artifacts)),),
        )
        writer.publish(sign_manifest(forged, site.signing_key()))


def alter_row(scene: Scene) -> None:
    def change(plain: bytes) -> bytes:
        assert b"\titem 200\t" in plain
        return plain.replace(b"\titem 200\t", b"\titem 2OO\t", 1)

    forge(scene, dump=change)


def dump_after(statement: str) -> Callable[[Scene], None]:
    """The dump is that of a database in which the statement was executed."""

    def injure(scene: Scene) -> None:
        rig = scene.site.rig
        rig.execute(statement)
        later = scene.site.back_up("weekly")
        scene.site.configure(set_options='size_drop = "99%"')  # the size alone would tell
        (store,) = later.manifest.stores
        source = StoredArtifactSource(scene.site.site().destination("disk"), later.ref, store)
        with source.open("database") as stream:
            plain = stream.read()
        forge(scene, dump=lambda _good: plain)

    return injure


def cut_dump(scene: Scene) -> None:
    forge(scene, dump=lambda plain: plain[: len(plain) // 2])


def garble_contents(scene: Scene) -> None:
    forge(scene, dump=lambda plain: plain[:20] + b"\xff" * 200 + plain[220:])


def need_newer(scene: Scene) -> None:
    def change(record: StoreRecord) -> StoreRecord:
        needs = tuple(need for need in record.backup.needs if need.feature != "server")
        newer = Need("server", "99", "dumped by 99.1")
        return replace(record, backup=replace(record.backup, needs=(*needs, newer)))

    forge(scene, record=change)


def need_extension(scene: Scene) -> None:
    def change(record: StoreRecord) -> StoreRecord:
        extension = Need("extension:no_such_thing", "", "the database uses it")
        return replace(
            record, backup=replace(record.backup, needs=(*record.backup.needs, extension))
        )

    forge(scene, record=change)


def without_fingerprint(scene: Scene) -> None:
    scene.site.configure(store_options="fingerprint = false")
    scene.site.back_up()


def ask(assertion: str) -> Callable[[Scene], None]:
    return lambda scene: scene.site.configure(store_options=f'assertions = ["{assertion}"]')


def box(options: str) -> Callable[[Scene], None]:
    return lambda scene: scene.site.configure(sandbox_options=options)


def no_programs(scene: Scene) -> None:
    (scene.site.folder / "empty").mkdir()
    scene.site.configure(sandbox_options='programs = { postgres = "empty" }')


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


def kill_servers(scene: Scene) -> None:
    """Every disposable server is killed as soon as it answers."""
    boxes = scene.site.folder / "boxes"
    over = threading.Event()

    def hunt() -> None:
        while not over.wait(0.01):
            if any(boxes.glob("*/home/.s.PGSQL.5432")):
                for pid in processes_in(boxes):
                    stat = procfs.stat_of(pid)
                    if stat is not None:
                        procfs.kill({stat.identity})

    hunter = threading.Thread(target=hunt)
    hunter.start()
    scene.stack.callback(hunter.join)
    scene.stack.callback(over.set)


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
    judged("a table dumped empty, every checksum right", dump_after("truncate orders"), FAILED,
           Rung.CONTENT, store=POSTGRES),
    judged("one row too many, every checksum right",
           dump_after("insert into orders (item) values ('x')"), FAILED, Rung.CONTENT,
           store=POSTGRES),
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
