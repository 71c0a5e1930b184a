"""Rows of the truth table that hold for every kind of store: sets, destinations, the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from backup_lib.destinations.base import MANIFEST_NAME, SetRef
from backup_lib.format.sets import sign_manifest
from backup_lib.model import Rung
from restoreproof.exit_codes import ExitCode
from restoreproof.locks import hold
from restoreproof.signing import SigningKey
from restoreproof.verdict import Verdict
from tests.harness.small_disk import small_disk
from tests.harness.truth import Row, Scene, judged

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


def set_folder(scene: Scene) -> Path:
    return scene.site.backups / "nightly" / scene.run.ref.set_id


def artifacts(scene: Scene) -> list[Path]:
    """Of the good backup, the largest first."""
    found = [set_folder(scene) / a.name for a in scene.run.manifest.stores[0].artifacts]
    return sorted(found, key=lambda path: path.stat().st_size, reverse=True)


def manifest(scene: Scene) -> Path:
    return set_folder(scene) / MANIFEST_NAME


def edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def flip(path: Path, share: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 1
    path.write_bytes(data)


def nothing(_scene: Scene) -> None:
    """All is well."""


def flip_in(field: bytes) -> Callable[[Scene], None]:
    """Another letter in the middle of the text that follows ``field`` in the manifest."""

    def injure(scene: Scene) -> None:
        path = manifest(scene)
        data = bytearray(path.read_bytes())
        at = data.index(field) + len(field) + 20
        data[at] = ord("A") if data[at] != ord("A") else ord("B")
        path.write_bytes(data)

    return injure


def swap(scene: Scene) -> None:
    first, second = artifacts(scene)[:2]
    aside = first.with_suffix(".x")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def truncate(scene: Scene) -> None:
    path = artifacts(scene)[0]
    os.truncate(path, path.stat().st_size - 1)


def link_instead(scene: Scene) -> None:
    path = artifacts(scene)[0]
    path.rename(scene.site.folder / "elsewhere")
    path.symlink_to(scene.site.folder / "elsewhere")


def sign_as_stranger(scene: Scene) -> None:
    manifest(scene).write_bytes(sign_manifest(scene.run.manifest, SigningKey.generate()))


def sign_for_another_set(scene: Scene) -> None:
    key = scene.site.site().signing_key()
    other = replace(scene.run.manifest, set_id="20200101T000000Z-000000")
    manifest(scene).write_bytes(sign_manifest(other, key))


def trust_nobody(scene: Scene) -> None:
    shutil.rmtree(scene.site.site().config.trusted_keys)


def forget(scene: Scene) -> None:
    """This machine has seen no set yet."""
    (scene.site.state / "verified.json").unlink()


def made_at(hours: int) -> Callable[[Scene], None]:
    """The only backup was made so many hours away from now."""

    def injure(scene: Scene) -> None:
        by = timedelta(hours=hours)
        signed = scene.run.manifest
        stores = tuple(
            replace(record, backup=replace(record.backup, moment=record.backup.moment + by))
            for record in signed.stores
        )
        moved = replace(
            signed, started=signed.started + by, finished=signed.finished + by, stores=stores
        )
        manifest(scene).write_bytes(sign_manifest(moved, scene.site.site().signing_key()))
        forget(scene)

    return injure


def shrink(scene: Scene) -> None:
    scene.site.rig.grow(1 << 20)
    for _ in range(3):
        scene.site.back_up()
    scene.site.rig.shrink()
    scene.site.back_up()


def seen_before(scene: Scene) -> None:
    """A verification has seen the newest set."""
    done = scene.site.run("backup.verify", "--set", "nightly", "--depth", "size")
    assert done.code == ExitCode.OK, done


def roll_back(scene: Scene) -> None:
    newer = scene.site.back_up()
    seen_before(scene)
    shutil.rmtree(scene.site.backups / "nightly" / newer.ref.set_id)


def replace_newest(scene: Scene) -> None:
    seen_before(scene)
    again = replace(scene.run.manifest, finished=scene.run.manifest.finished + timedelta(seconds=1))
    manifest(scene).write_bytes(sign_manifest(again, scene.site.site().signing_key()))


def broken_newest(scene: Scene) -> None:
    newest = scene.site.back_up()
    (scene.site.backups / "nightly" / newest.ref.set_id / MANIFEST_NAME).write_bytes(b"{}")


def unfinished_newest(scene: Scene) -> None:
    newest = scene.site.back_up()
    (scene.site.backups / "nightly" / newest.ref.set_id / MANIFEST_NAME).unlink()


def unseen_unfinished_newest(scene: Scene) -> None:
    unfinished_newest(scene)
    forget(scene)


def without_store(scene: Scene) -> None:
    """A good signature over a set in which the store is not."""
    site = scene.site.site()
    ref = SetRef("nightly", "20991231T235959Z-abcdef")
    with site.destination("disk").write_set(ref) as writer:
        empty = replace(scene.run.manifest, set_id=ref.set_id, sequence=9, stores=())
        writer.publish(sign_manifest(empty, site.signing_key()))


def take_destination_away(scene: Scene) -> None:
    scene.site.backups.rename(scene.site.folder / "unmounted")
    scene.stack.callback((scene.site.folder / "unmounted").rename, scene.site.backups)


def no_key(scene: Scene) -> None:
    scene.site.site().config.signing_key.unlink()


def hold_lock(scene: Scene) -> None:
    path = scene.site.site().lock_path("run-nightly")
    scene.stack.enter_context(hold(path, owner="backup.run nightly"))


def fill_destination(scene: Scene) -> None:
    scene.stack.enter_context(small_disk(scene.site.backups, 4 << 20)).leave(4096)


def fill_boxes(scene: Scene) -> None:
    boxes = scene.site.folder / "boxes"
    boxes.mkdir(0o711)
    scene.stack.enter_context(small_disk(boxes, 2 << 20))


def misspell(scene: Scene) -> None:
    scene.site.configure(set_options="ropo = 3")


def damage(scene: Scene) -> None:
    flip(artifacts(scene)[0])
    name = scene.site.rig.place
    scene.command += ["--overwrite", "--confirm", name]


INTEGRITY = Rung.INTEGRITY
SET_ROWS: tuple[Row, ...] = (
    judged("none", nothing, PASSED),
    judged("artifact missing", lambda s: artifacts(s)[0].unlink(), FAILED, Rung.EXISTS),
    judged("artifact replaced by a link to it", link_instead, FAILED, Rung.EXISTS),
    judged("artifact cut by one byte", truncate, FAILED, Rung.SIZE),
    judged(
        "artifact empty", lambda s: artifacts(s)[0].write_bytes(b""), FAILED, Rung.SIZE
    ),
    judged(
        "artifact longer by one byte",
        lambda s: artifacts(s)[0].write_bytes(artifacts(s)[0].read_bytes() + b"\0"),
        FAILED,
        Rung.SIZE,
    ),
    judged("two artifacts swapped", swap, FAILED, Rung.SIZE),
    judged("one bit of an artifact flipped", lambda s: flip(artifacts(s)[0]), FAILED, INTEGRITY),
    judged("no set at all", lambda s: shutil.rmtree(set_folder(s)), FAILED, Rung.EXISTS),
    judged("manifest missing, no older set", lambda s: manifest(s).unlink(), FAILED, Rung.EXISTS),
    judged("manifest of the newest set missing", unfinished_newest, FAILED, Rung.EXISTS),
    judged("manifest of the newest set missing, on a machine that never saw it: the one before is"
           " verified", unseen_unfinished_newest, PASSED),
    judged("manifest of the newest set damaged", broken_newest, FAILED, INTEGRITY),
    judged("one letter of the manifest's content changed", flip_in(b'"payload":"'), FAILED,
           INTEGRITY),
    judged("one letter of its signature changed", flip_in(b'"sig":"'), FAILED, INTEGRITY),
    judged("signed by a stranger", sign_as_stranger, FAILED, INTEGRITY),
    judged("signed by us, for another set", sign_for_another_set, FAILED, INTEGRITY),
    judged("no key is trusted any more", trust_nobody, INCONCLUSIVE, INTEGRITY),
    judged("the newest set holds no backup of the store", without_store, FAILED, Rung.EXISTS),
    judged("older than `rpo`", made_at(-25), FAILED, Rung.FRESH),
    judged("from the future", made_at(3), INCONCLUSIVE, Rung.FRESH),
    judged("smaller than half of its history", shrink, FAILED, Rung.SIZE, depth=Rung.SIZE),
    judged("smaller than `min_size`",
           lambda s: s.site.configure(set_options='min_size = "1GiB"'), FAILED, Rung.SIZE),
    judged("newer sets that were seen are gone", roll_back, FAILED, Rung.EXISTS),
    judged("the newest set was replaced by another with its number", replace_newest, FAILED,
           Rung.EXISTS),
    judged("the destination is away", take_destination_away, INCONCLUSIVE, Rung.EXISTS),
    judged("the disposable server's disk is full", fill_boxes, INCONCLUSIVE, Rung.RESTORE,
           needs_mount=True),
    Row("the destination is away", take_destination_away, "backup.run", ExitCode.UNREACHABLE),
    Row("the destination is full", fill_destination, "backup.run", ExitCode.NO_SPACE,
        needs_mount=True),
    Row("another run of the set is at work", hold_lock, "backup.run", ExitCode.REFUSED),
    Row("there is no signing key", no_key, "backup.run", ExitCode.USAGE),
    Row("an unknown key in the configuration", misspell, "backup.run", ExitCode.USAGE),
    Row("the target holds data", nothing, "backup.restore", ExitCode.REFUSED),
    Row("the target holds data, and its name was not typed in", nothing, "backup.restore",
        ExitCode.REFUSED, options=("--overwrite",)),
    Row("a bit of an artifact flipped, the target to be overwritten: it is as it was", damage,
        "backup.restore", ExitCode.BAD),
    Row("no such backup", nothing, "backup.restore", ExitCode.USAGE, options=("--backup", "1999")),
)  # fmt: skip
