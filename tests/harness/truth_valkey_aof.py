"""Rows of the truth table for Valkey's append-only files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import valkey

from backup_lib.model import Rung
from backup_lib.stores.valkey.roles import LOG_BASE_ROLE, LOG_INCREMENT_ROLE
from restoreproof.exit_codes import ExitCode
from restoreproof.verdict import Verdict
from restoreproof_cli.demo.damage import with_right_crc
from tests.harness.fault_rig import StoreRig
from tests.harness.fault_site import eventually
from tests.harness.truth import Row, Scene, judged
from tests.harness.truth_forged import forge
from tests.harness.truth_valkey import flip, within_a_value

PASSED, FAILED = Verdict.PASSED, Verdict.FAILED
VALKEY = "valkey"
_AOF = 'format = "aof"'
_END = b"\xff" + bytes(8)


def keep(scene: Scene) -> None:
    """The server keeps an append-only file, and it is backed up, with commands behind its base."""
    rig = scene.site.rig
    scene.stack.callback(rig.execute, "CONFIG SET appendonly no")
    rig.execute("CONFIG SET appendonly yes")
    assert eventually(lambda: _settled(rig))
    rig.execute("SET later:1 'first item'")
    rig.execute("SET later:2 'second item'")
    scene.site.configure(store_options=_AOF, set_options='size_drop = "99%"')
    scene.run = scene.site.back_up()


def _settled(rig: StoreRig) -> bool:
    """Whether the first rewrite, which makes the folder, is over."""
    with valkey.Valkey(unix_socket_path=rig.place) as client:
        said: dict[str, Any] = client.info("persistence")
    at_work = said["aof_rewrite_in_progress"] or said["aof_rewrite_scheduled"]
    return not at_work and any((rig.data / "appendonlydir").glob("*.manifest"))


def log(role: str, change: Callable[[bytes], bytes]) -> Callable[[Scene], None]:
    def injure(scene: Scene) -> None:
        keep(scene)

        def changed(plain: bytes) -> bytes:
            found = change(plain)
            assert found != plain
            return found

        forge(scene, role, artifact=changed)

    return injure


def halve(plain: bytes) -> bytes:
    return with_right_crc(plain[: within_a_value(plain, len(plain) // 2)] + _END)


def without_last(plain: bytes) -> bytes:
    return plain[: plain.rindex(b"*3\r\n")]


def want_log(scene: Scene) -> None:
    scene.site.configure(store_options=_AOF)


def want_log_elsewhere(scene: Scene) -> None:
    keep(scene)
    scene.site.configure(store_options=f'{_AOF}\naof_folder = "nowhere"')


BASE, INCREMENT, RUN = LOG_BASE_ROLE, LOG_INCREMENT_ROLE, "backup.run"
AOF_ROWS: tuple[Row, ...] = (
    judged("none, and an append-only file is what was backed up", keep, PASSED, store=VALKEY),
    judged("one bit of the append-only file's base flipped before its digest was made",
           log(BASE, flip), FAILED, Rung.RESTORE, store=VALKEY),
    judged("half of its base, every checksum right: the disposable server ends over it",
           log(BASE, halve), FAILED, Rung.RESTORE, store=VALKEY),
    judged("the name of one of its commands garbled, every checksum right",
           log(INCREMENT, lambda plain: plain.replace(b"SET", b"SEU", 1)), FAILED, Rung.RESTORE,
           store=VALKEY),
    judged("half of its last command missing, every checksum right",
           log(INCREMENT, lambda plain: plain[:-5]), FAILED, Rung.RESTORE, store=VALKEY),
    judged("all of its last command missing, every checksum right", log(INCREMENT, without_last),
           FAILED, Rung.CONTENT, store=VALKEY),
    judged("one value in its commands altered, every checksum right",
           log(INCREMENT, lambda plain: plain.replace(b"second item", b"sec0nd item", 1)), FAILED,
           Rung.CONTENT, store=VALKEY),
    Row("an append-only file is wanted of a server that keeps none", want_log, RUN,
        ExitCode.REFUSED, store=VALKEY),
    Row("the append-only file's folder is not there", want_log_elsewhere, RUN, ExitCode.USAGE,
        store=VALKEY),
)  # fmt: skip
