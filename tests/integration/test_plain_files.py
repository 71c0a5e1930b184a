"""Plain files of every kind: known for what they are, good ones pass, damaged ones do not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_lib.model import Rung
from backup_lib.services.plain_files import PlainKind, check_integrity, detect, not_restorable
from backup_lib.work import Work
from restoreproof.events import Event, StepFinished, StepProgress, StepStarted
from restoreproof.verdict import Verdict
from tests.harness.plain_specimens import SPECIMENS, Sources, compressed, sources

FLIPS = 25

FULLY_CHECKED = {
    "SQL text, zstd",
    "Valkey RDB",
    "Qdrant snapshot and .checksum",
}
"""Each of their bytes is under a checksum; of gzip and Neo4j only a few header bytes are not."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """One good file or folder of each kind, each in a folder of its own."""
    with sources() as running:
        yield {name: _made(name, running, tmp_path_factory) for name in SPECIMENS}


def _made(name: str, running: Sources, factory: pytest.TempPathFactory) -> Path:
    return SPECIMENS[name].make(factory.mktemp("plain"), running)


@pytest.fixture(params=SPECIMENS)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def copy(name: str, made: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to be damaged, with what lies beside it."""
    target = tmp_path / "copy"
    shutil.copytree(made[name].parent, target)
    return target / made[name].name


def verdict(path: Path, kind: PlainKind | None = None) -> Verdict:
    return check_integrity(path, kind, Work()).verdict


def files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)


def test_a_good_one_is_known_and_passes(name: str, made: dict[str, Path]) -> None:
    assert detect(made[name]) is SPECIMENS[name].kind
    result = check_integrity(made[name], None, Work())
    assert (result.verdict, result.hint) == (Verdict.PASSED, "")
    assert made[name].name in result.reason


def test_a_good_one_passes_as_what_it_is_said_to_be(name: str, made: dict[str, Path]) -> None:
    assert verdict(made[name], SPECIMENS[name].kind) is Verdict.PASSED


def test_the_content_tells_whatever_the_name(name: str, copy: Path) -> None:
    renamed = copy.rename(copy.with_name("something" + "".join(copy.suffixes[1:])))
    expected = {PlainKind.JSON: {PlainKind.UNKNOWN, PlainKind.COMPRESSED}}
    kind = SPECIMENS[name].kind
    assert detect(renamed) in expected.get(kind, {kind})


def test_a_wrong_type_is_never_passed(name: str, made: dict[str, Path]) -> None:
    kind = SPECIMENS[name].kind
    for other in PlainKind:
        same = {kind, PlainKind.COMPRESSED, PlainKind.UNKNOWN}
        if other not in same:
            assert verdict(made[name], other) is not Verdict.PASSED, other
    assert verdict(made[name], PlainKind.UNKNOWN) is Verdict.INCONCLUSIVE


def test_a_cut_is_found_wherever_it_is(copy: Path) -> None:
    random_places = random.Random(1)
    for file in files_of(copy):
        whole = file.read_bytes()
        places = {0, 1, len(whole) // 2, len(whole) - 1}
        places |= {random_places.randrange(len(whole)) for _ in range(3)}
        for place in places:
            file.write_bytes(whole[:place])
            judged = verdict(copy)
            if judged is Verdict.PASSED:
                # between two commands or documents a cut leaves a whole file: see docs/PROOF.md
                between = b"\n" in (whole[place - 1 : place], whole[place:])
                assert between or (file.suffix == ".aof" and not place), (file, place)
        file.write_bytes(whole)
    assert verdict(copy) is Verdict.PASSED


def test_a_missing_part_is_found(name: str, copy: Path) -> None:
    for file in files_of(copy):
        if file.name == "index.latest":
            continue  # a convenience of read-only repositories
        content = file.read_bytes()
        file.unlink()
        assert verdict(copy, SPECIMENS[name].kind) is Verdict.FAILED, file
        file.write_bytes(content)


def test_random_flips_are_found_where_checksums_cover_every_byte(name: str, copy: Path) -> None:
    if name not in FULLY_CHECKED:
        return
    whole = bytearray(copy.read_bytes())
    source = random.Random(7)
    for _ in range(FLIPS):
        bit = source.randrange(len(whole) * 8)
        whole[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(whole)
        assert verdict(copy) is not Verdict.PASSED, bit
        whole[bit // 8] ^= 1 << bit % 8


def test_what_cannot_be_restored_is_inconclusive_with_a_reason(
    name: str, made: dict[str, Path]
) -> None:
    kind = SPECIMENS[name].kind
    result = not_restorable(made[name], kind)
    if kind.store in ("postgres", "valkey"):
        assert result is None
    else:
        assert result is not None
        assert (result.rung, result.verdict) == (Rung.RESTORE, Verdict.INCONCLUSIVE)
        assert result.hint


def test_progress_is_told_in_stored_bytes(made: dict[str, Path]) -> None:
    path = made["SQL text, gzip"]
    events: list[Event] = []
    check_integrity(path, None, Work(emit=events.append))

    (started,) = [event for event in events if isinstance(event, StepStarted)]
    progress = [event.done for event in events if isinstance(event, StepProgress)]
    (finished,) = [event for event in events if isinstance(event, StepFinished)]
    assert started.total == path.stat().st_size == progress[-1]
    assert progress == sorted(progress)
    assert finished.ok


def test_without_pg_restore_an_archive_is_inconclusive(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backup_lib.stores.postgres.programs._folders", lambda _name: iter(()))
    result = check_integrity(made["pg_dump -Fc, gzip"], None, Work())

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "pg_restore" in result.reason
    assert result.hint


def test_an_archive_that_is_compressed_once_more_is_read_through(
    made: dict[str, Path], tmp_path: Path
) -> None:
    inner = tmp_path / "backup.dump"
    shutil.copy(made["pg_dump -Fc, gzip"], inner)
    outer = compressed(inner, ".gz")
    assert detect(outer) is PlainKind.POSTGRES_CUSTOM
    assert verdict(outer) is Verdict.PASSED
    outer.write_bytes(outer.read_bytes()[:-9])
    assert verdict(outer) is Verdict.FAILED
