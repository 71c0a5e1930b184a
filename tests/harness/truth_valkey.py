"""Rows of the truth table for Valkey: its RDB files, its users, its servers."""

from __future__ import annotations

from collections.abc import Callable

from backup_lib.model import Rung
from backup_lib.stores.valkey.roles import DATA_ROLE, USERS_ROLE
from backup_lib.stores.valkey.server import ValkeyRecipe
from restoreproof.exit_codes import ExitCode
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.damage import with_right_crc
from tests.harness.cutting_proxy import cutting_proxy
from tests.harness.fault_site import eventually
from tests.harness.truth import Row, Scene, judged
from tests.harness.truth_forged import forge, forge_after
from tests.harness.truth_injuries import (
    ask,
    kill_servers,
    need_newer,
    no_programs,
    without_fingerprint,
)
from tests.harness.valkey import ValkeyServer, free_port

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
VALKEY = "valkey"
_END = b"\xff"
_WITHOUT_CRC = -9
"""End mark and CRC-64 are the last nine bytes."""


def rdb(change: Callable[[bytes], bytes]) -> Callable[[Scene], None]:
    return lambda scene: forge(scene, DATA_ROLE, artifact=change)


def within_a_value(plain: bytes, after: int) -> int:
    """A place that is no boundary: a cut between two keys would leave a whole file, and a bit of
    what says what follows may look like another server's file."""
    return plain.index(b"item ", after) + 2


def flip(plain: bytes) -> bytes:
    at = within_a_value(plain, len(plain) // 2)
    return plain[:at] + bytes([plain[at] ^ 1]) + plain[at + 1 :]


def two_thirds(plain: bytes) -> bytes:
    return with_right_crc(plain[: within_a_value(plain, len(plain) * 2 // 3)] + _END + bytes(8))


def with_magic(magic: bytes) -> Callable[[bytes], bytes]:
    return lambda plain: with_right_crc(magic + plain[len(magic) :])


def other_value(plain: bytes) -> bytes:
    assert b"item 200" in plain
    return with_right_crc(plain.replace(b"item 200", b"item 2OO", 1))


def other_rights(scene: Scene) -> None:
    def change(plain: bytes) -> bytes:
        assert b"~order:*" in plain
        return plain.replace(b"~order:*", b"~other:*", 1)

    forge(scene, USERS_ROLE, artifact=change)


def one_user_more(scene: Scene) -> None:
    more = b"user intruder on nopass ~* &* +@all\n"
    forge(scene, USERS_ROLE, artifact=lambda plain: plain + more)


def expire(scene: Scene) -> None:
    """A key that was backed up has expired since."""
    rig = scene.site.rig
    without = rig.content()
    rig.execute("SET token x PX 3000")
    scene.site.back_up()
    assert rig.content() != without, "it expired too early"
    assert eventually(lambda: rig.content() == without)


def broken_program(scene: Scene) -> None:
    """A program that says its version, and fails at everything else."""
    folder = scene.site.folder / "broken"
    folder.mkdir(mode=0o755)
    bundled = ValkeyRecipe().bundled_programs()
    assert bundled is not None
    script = folder / "valkey-server"
    script.write_text(
        f'#!/bin/sh\ncase "$1" in --version) exec {bundled}/valkey-server --version;; esac\n'
        "echo no good >&2; exit 1\n"
    )
    script.chmod(0o755)
    scene.site.configure(sandbox_options='programs = { valkey = "broken" }')


def reach(scene: Scene, url: str) -> None:
    (scene.site.folder / "orders.url").write_text(url)


def log_in(name: str, password: str) -> Callable[[Scene], None]:
    def injure(scene: Scene) -> None:
        (scene.site.folder / "password").write_text(password)
        (scene.site.folder / "password").chmod(0o600)
        options = f'username = "{name}"\npassword = {{ file = "password" }}'
        scene.site.configure(store_options=options)

    return injure


def wrong_password(scene: Scene) -> None:
    scene.site.rig.demand_password()
    log_in("locked", "wrong")(scene)


def no_right_to_replicate(scene: Scene) -> None:
    scene.site.rig.execute("ACL SETUSER outsider on >right ~* &* +@all -psync -sync")
    log_in("outsider", "right")(scene)


def nowhere(scene: Scene) -> None:
    reach(scene, f"valkey://127.0.0.1:{free_port()}")


def other_server(*settings: str) -> Callable[[Scene], None]:
    """The store is another server, started with those settings."""

    def injure(scene: Scene) -> None:
        home = scene.site.folder / "other"
        home.mkdir()
        server = ValkeyServer(home, *settings)
        scene.stack.callback(server.stop)
        reach(scene, server.unix_url)

    return injure


def orphan(scene: Scene) -> None:
    """The store is a replica whose primary is gone."""
    other_server("--replicaof", "127.0.0.1", str(free_port()))(scene)


def break_off(scene: Scene) -> None:
    """The connection ends in the middle of the data."""
    scene.site.rig.grow(4 << 20)
    port = scene.stack.enter_context(cutting_proxy(scene.site.rig.port, after=1 << 20))
    reach(scene, f"valkey://127.0.0.1:{port}")


def keep_appending(scene: Scene) -> None:
    rig = scene.site.rig
    scene.stack.callback(rig.execute, "CONFIG SET appendonly no")
    rig.execute("CONFIG SET appendonly yes")
    scene.command += ["--overwrite", "--confirm", rig.place]


def later(*statements: str) -> Callable[[Scene], None]:
    return forge_after(DATA_ROLE, *statements)


RUN, RESTORE, LOST = "backup.run", "backup.restore", ExitCode.UNREACHABLE
VALKEY_ROWS: tuple[Row, ...] = (
    judged("one bit of the RDB file flipped before its digest was made", rdb(flip), FAILED,
           Rung.RESTORE, store=VALKEY),
    judged("a third of the RDB file missing, every checksum right", rdb(two_thirds), FAILED,
           Rung.RESTORE, store=VALKEY),
    judged("an RDB file of Redis 7.4, every checksum right", rdb(with_magic(b"REDIS0012")), FAILED,
           Rung.RESTORE, store=VALKEY),
    judged("one value altered, every checksum repaired", rdb(other_value), FAILED, Rung.CONTENT,
           store=VALKEY),
    judged("one key missing, every checksum right", later("DEL order:200"), FAILED, Rung.CONTENT,
           store=VALKEY),
    judged("one key too many, every checksum right", later("SET order:301 x"), FAILED,
           Rung.CONTENT, store=VALKEY),
    judged("a key that expires where it should last, every checksum right",
           later("EXPIRE order:200 90000"), FAILED, Rung.CONTENT, store=VALKEY),
    judged("a function missing, every checksum right", later("FUNCTION FLUSH"), FAILED,
           Rung.CONTENT, store=VALKEY),
    judged("the rights of a user altered, every checksum right", other_rights, FAILED,
           Rung.CONTENT, store=VALKEY),
    judged("a user added, every checksum right", one_user_more, FAILED, Rung.CONTENT,
           store=VALKEY),
    judged("a key has expired since: no difference", expire, PASSED, store=VALKEY),
    judged("of a newer format than the disposable server's", need_newer, INCONCLUSIVE,
           Rung.RESTORE, store=VALKEY),
    judged("made without a fingerprint", without_fingerprint, INCONCLUSIVE, Rung.CONTENT,
           store=VALKEY),
    judged("an assertion does not hold", ask("DBSIZE == 0"), FAILED, Rung.ASSERTIONS,
           store=VALKEY),
    judged("an assertion cannot be evaluated", ask("NONSENSE"), INCONCLUSIVE, Rung.ASSERTIONS,
           store=VALKEY),
    judged("the disposable server's program is missing", no_programs, INCONCLUSIVE, Rung.RESTORE,
           store=VALKEY),
    judged("the disposable server does not start", broken_program, INCONCLUSIVE, Rung.RESTORE,
           store=VALKEY),
    judged("the disposable server is killed in every attempt", kill_servers, INCONCLUSIVE,
           Rung.RESTORE, store=VALKEY),
    Row("the server is not there", nowhere, RUN, LOST, store=VALKEY),
    Row("the server breaks off in the middle of its data", break_off, RUN, LOST, store=VALKEY),
    Row("the password is wrong", wrong_password, RUN, LOST, store=VALKEY),
    Row("the user may not replicate", no_right_to_replicate, RUN, LOST, store=VALKEY),
    Row("the server is a shard of a cluster", other_server("--cluster-enabled", "yes"), RUN,
        ExitCode.REFUSED, store=VALKEY),
    Row("the server is a replica that has lost its primary", orphan, RUN, ExitCode.REFUSED,
        store=VALKEY),
    Row("the target is a shard of a cluster", other_server("--cluster-enabled", "yes"), RESTORE,
        ExitCode.REFUSED, store=VALKEY),
    Row("the target keeps an append-only file, and is overwritten: restored", keep_appending,
        RESTORE, ExitCode.OK, store=VALKEY),
)  # fmt: skip
