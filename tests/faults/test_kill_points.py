"""SIGKILL at every call that changes a file on the way to a published set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from backup_lib.destinations.base import SetRef
from backup_lib.destinations.local import LocalDestination
from restoreproof.signing import SigningKey
from tests.harness.aftermath import Aftermath, digests
from tests.harness.fault_site import FaultSite
from tests.harness.leaks import no_leftovers
from tests.harness.profiles import profile
from tests.harness.sets import StoredSet, store_set
from tests.harness.tracer import Call, Traced, points, trace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

KEY = SigningKey.generate()
CONTENTS = {"database": bytes(range(256)) * 4096, "roles": b"create role x"}
OLDER = SetRef("nightly", "20260228T120000Z-000000")
NEWER = SetRef("nightly", "20260301T120000Z-000001")
NEXT = SetRef("nightly", "20260302T120000Z-000002")
MANIFEST = "manifest.dsse.json"


def store(root: Path, ref: SetRef) -> StoredSet:
    return store_set(LocalDestination(root, reserve=0), KEY, CONTENTS, ref=ref)


def traced_store(root: Path, kill_at: int | None = None) -> Traced:
    return trace(lambda: store(root, NEWER), folders=[root], kill_at=kill_at)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    return folder


# --- the order -------------------------------------------------------------------------------


def positions(calls: tuple[Call, ...], kind: str, path: str) -> Iterator[int]:
    return (n for n, call in enumerate(calls) if call.kind == kind and path in call.paths)


def test_data_is_durable_before_its_name_and_the_name_before_the_manifest(root: Path) -> None:
    calls = traced_store(root).calls
    named = [
        (n, call.paths[0], call.paths[1])
        for n, call in enumerate(calls)
        if call.kind in {"link", "rename"} and not call.paths[1].endswith("/.lock")
    ]
    artifacts = [one for one in named if one[2].endswith(".zst")]
    manifests = [one for one in named if one[2].endswith(MANIFEST)]
    assert len(artifacts) == len(CONTENTS)
    assert len(manifests) == 1

    for at, temporary, final in named:
        written = max(positions(calls, "write", temporary))
        synced = [n for n in positions(calls, "fsync", temporary) if written < n < at]
        assert synced, f"{final} got its name before its data was durable"
        folder = str(Path(final).parent)
        after = [n for n in positions(calls, "fsync", folder) if n > at]
        assert after, f"the name of {final} was never made durable"
        if final.endswith(".zst"):
            assert min(after) < manifests[0][0], f"{final} was not durable before the manifest"
    set_folder = str(Path(manifests[0][2]).parent)
    for made in {*(Path(final).parent for _, _, final in artifacts), Path(set_folder)}:
        (at,) = positions(calls, "mkdir", str(made))
        synced = [n for n in positions(calls, "fsync", str(made.parent)) if n > at]
        assert synced, f"folder {made} was never made durable"
        assert min(synced) < manifests[0][0], f"folder {made} was not durable before the manifest"
    writes = [call.paths[0] for call in calls[manifests[0][0] :] if call.kind == "write"]
    assert writes == [], "something was written after the manifest"


def test_that_order_is_seen_to_be_broken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restoreproof.atomic._fsync", lambda _fd: None)
    with pytest.raises(AssertionError, match="before its data was durable"):
        test_data_is_durable_before_its_name_and_the_name_before_the_manifest(root)


# --- the points of the destination, all of them ----------------------------------------------


def test_killed_anywhere_a_set_is_published_whole_or_not_at_all(tmp_path: Path) -> None:
    count = 0
    published = set()
    while True:
        count += 1
        root = tmp_path / str(count)
        root.mkdir(mode=0o700)
        older = store(root, OLDER)
        before = digests(root)
        with no_leftovers():
            traced = traced_store(root, kill_at=count)
        if not traced.killed:
            break
        label = f"point {count}: {traced.calls[-1]}"
        there = set(LocalDestination(root).sets())
        assert there in ({OLDER}, {OLDER, NEWER}), label
        if NEWER in there:
            published.add(count)
            StoredSet(older.destination, NEWER, older.signed, older.trusted).check()
        older.check()

        LocalDestination(root).sweep()
        following = store(root, NEXT)
        following.check()
        now = digests(root)
        assert {path: now.get(path) for path in before} == before, label
        stray = [p for p in now if not p.startswith(tuple(f"nightly/{r.set_id}/" for r in there))]
        assert all(path.startswith(f"nightly/{NEXT.set_id}/") for path in stray), label
        hidden = [p for p in root.rglob("*") if p.name.startswith(".")]
        assert hidden == [], label
    assert count > 30
    # it exists from the moment that its manifest has its name, and never goes away again
    first = next(n for n, c in enumerate(traced.calls, 1) if c.paths[-1].endswith(MANIFEST))
    assert published == set(range(first + 1, count))


def test_killed_anywhere_while_sweeping_the_next_sweep_finishes(tmp_path: Path) -> None:
    count = 0
    while True:
        count += 1
        root = tmp_path / str(count)
        root.mkdir(mode=0o700)
        older = store(root, OLDER)
        before = digests(root)
        for dead in (NEWER, NEXT):
            trace(partial(store, root, dead), folders=[root], kill_at=20)
        traced = trace(LocalDestination(root).sweep, folders=[root], kill_at=count)
        LocalDestination(root).sweep()
        assert digests(root) == before, f"point {count}: {traced.calls[-1]}"
        assert [p.name for p in root.rglob(".*")] == [], f"point {count}: {traced.calls[-1]}"
        older.check()
        if not traced.killed:
            break
    assert count > 5


# --- the points of a whole run ---------------------------------------------------------------


def test_a_whole_run_killed_at_any_point_harms_nothing_and_the_next_one_sweeps(
    fault_site: FaultSite,
) -> None:
    fault_site.back_up()
    folders = [fault_site.backups, fault_site.state, fault_site.tmp]

    def run(kill_at: int | None = None) -> Traced:
        return trace(fault_site.back_up, folders=folders, kill_at=kill_at)

    calls = run().calls
    assert len(calls) > 40
    few = 12 if fault_site.rig.kind == "postgres" else 3
    most = few if profile() == "quick" else len(calls)
    outcomes = set()
    for at in points(calls, most=most):
        before = Aftermath(fault_site)
        with no_leftovers(patience=10):
            killed = run(at).killed
            before.check()
            outcomes.add((killed, bool(before.newly_published())))
            before.recover()
    assert (True, False) in outcomes


def test_a_whole_verification_killed_at_any_point_harms_nothing(fault_site: FaultSite) -> None:
    from backup_lib.services.verify import verify_set
    from restoreproof.verdict import Verdict

    fault_site.back_up()
    boxes = fault_site.folder / "boxes"
    folders = [fault_site.backups, fault_site.state, fault_site.tmp]
    if profile() != "quick":
        folders.append(boxes)

    def verify() -> None:
        result = verify_set(fault_site.site(), "nightly", fault_site.work(), again=True)
        assert result.verdict is Verdict.PASSED, result

    calls = trace(verify, folders=folders).calls
    few = 4 if fault_site.rig.kind == "postgres" else 2
    most = few if profile() == "quick" else 60
    for at in points(calls, most=most):
        before = Aftermath(fault_site)
        with no_leftovers(patience=10):
            trace(verify, folders=folders, kill_at=at)
            before.check()
            verify()
        before.check_clean()
