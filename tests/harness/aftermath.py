"""What must hold after every fault, in one place.

Nothing is published that is not complete, nothing older is harmed, the source is as it was; the
next run succeeds, and after it nothing of the broken one is left.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backup_lib.format.integrity import check_artifact
from backup_lib.model import Rung
from backup_lib.services.archive import UnreadableSet, list_sets, read_set
from backup_lib.services.verify import verify_set
from backup_lib.work import Work
from restoreproof.errors import RestoreproofError
from restoreproof.verdict import Verdict
from tests.harness.fault_site import FaultSite
from tests.harness.leaks import no_leftovers
from tests.harness.sandboxes import processes_in

SETS = ("nightly", "weekly")
_PATIENCE = 10.0


class Aftermath:
    """Compares a site with what it was before the fault."""

    def __init__(self, site: FaultSite) -> None:
        self._site = site
        self._older = digests(site.backups)
        self._content = site.rig.content()
        self._sets = set(self._published())

    def check(self) -> None:
        """Right after the fault: what is published is complete, and older sets are as they were."""
        problems = [*self._incomplete(), *self._harmed()]
        assert not problems, "after the fault:\n" + "\n".join(problems)

    def newly_published(self) -> list[str]:
        """Ids of sets that the faulty run published."""
        return sorted(set(self._published()) - self._sets)

    def recover(self, set_name: str = "nightly") -> None:
        """The next run succeeds, and the newest set is proven; then nothing is left behind."""
        run = self._site.back_up(set_name)
        result = verify_set(
            self._site.site(), set_name, self._site.work(), depth=Rung.INTEGRITY, again=True
        )
        assert result.set_id == run.ref.set_id
        assert result.verdict is Verdict.PASSED, result
        self.check()
        self.check_clean()

    def check_clean(self) -> None:
        """Nothing but complete sets, keys and memory is there; waits a moment for what ends."""
        deadline = time.monotonic() + _PATIENCE
        while (left := list(self._left())) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, "left behind:\n" + "\n".join(left)

    def _published(self) -> Iterator[str]:
        destination = self._site.site().destination("disk")
        return (ref.set_id for ref in destination.sets())

    def _incomplete(self) -> Iterator[str]:
        site = self._site.site()
        destination = site.destination("disk")
        for name in SETS:
            listing = list_sets(destination, site.trusted, name)
            for broken in listing.unreadable:
                yield _told(broken)
            for listed in listing.published:
                published = read_set(destination, site.trusted, listed.ref)
                for store in published.manifest.stores:
                    for artifact in store.artifacts:
                        try:
                            check_artifact(destination, published.ref, artifact, Work())
                        except (RestoreproofError, OSError) as error:
                            yield f"published, not complete: {artifact.name}: {error}"

    def _harmed(self) -> Iterator[str]:
        now = digests(self._site.backups)
        for path, digest in self._older.items():
            if now.get(path) != digest:
                yield f"harmed: {path}"
        if self._site.rig.content() != self._content:
            yield "the store itself was changed"

    def _left(self) -> Iterator[str]:
        site = self._site
        published = set(self._published())
        for path in sorted(site.backups.rglob("*")):
            parts = path.relative_to(site.backups).parts
            if any(part.startswith(".") for part in parts) or (
                len(parts) > 1 and parts[1] not in published
            ):
                yield f"in the destination: {path.relative_to(site.backups)}"
        own_boxes = site.tmp / f"restoreproof-{os.getuid()}"  # stays, as folders under /tmp do
        for folder in (site.tmp, own_boxes, site.folder / "boxes", site.state / "locks"):
            if folder.exists():
                left = (path for path in folder.iterdir() if path != own_boxes)
                yield from (f"temporary: {path}" for path in left)
        for path in site.state.rglob(".*"):
            yield f"in the state folder: {path.relative_to(site.state)}"
        yield from (f"process {pid}" for pid in processes_in(site.folder))
        yield from (f"on the server: {one}" for one in site.rig.remains())


@contextmanager
def aftermath(site: FaultSite, *, published: bool = False) -> Iterator[Aftermath]:
    """The fault happens within the block; afterwards everything is checked.

    Args:
        site: has at least one backup already, so that there is something to harm.
        published: whether the faulty run may have published its set all the same.
    """
    with no_leftovers(patience=_PATIENCE):
        before = Aftermath(site)
        yield before
        before.check()
        assert published or not before.newly_published(), "a broken run published its set"
        before.recover()


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _told(broken: UnreadableSet) -> str:
    return f"published, not readable: {broken.ref.set_id}: {broken.reason}"
