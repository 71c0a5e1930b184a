"""For the truth table: sets whose every digest and signature is right, and whose content is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from backup_lib.destinations.base import SetRef
from backup_lib.format.pipeline import StoredArtifactSink
from backup_lib.format.sets import sign_manifest
from backup_lib.format.source import StoredArtifactSource
from backup_lib.model import StoreRecord
from tests.harness.truth import Scene


def forge(
    scene: Scene,
    role: str,
    *,
    artifact: Callable[[bytes], bytes] = lambda plain: plain,
    record: Callable[[StoreRecord], StoreRecord] = lambda record: record,
) -> None:
    """Publish a newer set with the artifact of a role or the record altered."""
    site, work = scene.site.site(), scene.site.work()
    original = scene.run.manifest
    (store,) = original.stores
    destination = site.destination("disk")
    source = StoredArtifactSource(destination, scene.run.ref, store)
    ref = SetRef("nightly", scene.run.ref.set_id[:-6] + "ffffff")
    with destination.write_set(ref) as writer:
        sink = StoredArtifactSink(writer, store.name, work)
        for stored in store.artifacts:
            with source.open(stored.role) as stream:
                plain = stream.read()
            if stored.role == role:
                plain = artifact(plain)
            name = Path(stored.name).name.removesuffix(".zst")
            with sink.open(name, role=stored.role, media_type=stored.media_type) as out:
                out.write(plain)
        forged = replace(
            original,
            set_id=ref.set_id,
            sequence=original.sequence + 1,
            stores=(record(replace(store, artifacts=sink.artifacts)),),
        )
        writer.publish(sign_manifest(forged, site.signing_key()))


def forge_after(role: str, *statements: str) -> Callable[[Scene], None]:
    """The artifact is that of a store in which the statements were executed."""

    def injure(scene: Scene) -> None:
        for statement in statements:
            scene.site.rig.execute(statement)
        later = scene.site.back_up("weekly")
        scene.site.configure(set_options='size_drop = "99%"')  # the size alone would tell
        (store,) = later.manifest.stores
        source = StoredArtifactSource(scene.site.site().destination("disk"), later.ref, store)
        with source.open(role) as stream:
            plain = stream.read()
        forge(scene, role, artifact=lambda _good: plain)

    return injure
