"""Injuries of the truth table that several kinds of store share: sandboxes, options, needs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from backup_lib.model import Need, StoreRecord
from restoreproof.process import procfs
from tests.harness.sandboxes import processes_in
from tests.harness.truth import Scene
from tests.harness.truth_forged import forge


def without_fingerprint(scene: Scene) -> None:
    scene.site.configure(store_options="fingerprint = false")
    scene.site.back_up()


def ask(assertion: str) -> Callable[[Scene], None]:
    return lambda scene: scene.site.configure(store_options=f'assertions = ["{assertion}"]')


def no_programs(scene: Scene) -> None:
    (scene.site.folder / "empty").mkdir()
    programs = f'programs = {{ {scene.site.rig.kind} = "empty" }}'
    scene.site.configure(sandbox_options=programs)


def kill_servers(scene: Scene) -> None:
    """Every disposable server is killed as soon as it answers."""
    boxes = scene.site.folder / "boxes"
    over = threading.Event()

    def hunt() -> None:
        while not over.wait(0.01):
            if any(boxes.glob(f"*/home/{scene.site.rig.socket_name}")):
                for pid in processes_in(boxes):
                    stat = procfs.stat_of(pid)
                    if stat is not None:
                        procfs.kill({stat.identity})

    hunter = threading.Thread(target=hunt)
    hunter.start()
    scene.stack.callback(hunter.join)
    scene.stack.callback(over.set)


def need_newer(scene: Scene) -> None:
    """The set says that its data is of a version that there is not yet."""

    def change(record: StoreRecord) -> StoreRecord:
        needs = tuple(need for need in record.backup.needs if need.feature != "server")
        newer = Need("server", "99", "dumped by 99.1")
        return replace(record, backup=replace(record.backup, needs=(*needs, newer)))

    forge(scene, "", record=change)
