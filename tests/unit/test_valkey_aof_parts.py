"""Append-only files without a server: manifest, commands, the place of a moment, words of a log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_lib.byte_source import ByteSource, EndsTooEarly
from backup_lib.stores.valkey.aof.commands import walk
from backup_lib.stores.valkey.aof.manifest import BASE, INCREMENT, Part, parts_of, text_of
from backup_lib.stores.valkey.aof.moments import Moment, place_before
from backup_lib.stores.valkey.aof.opened import LogMoved, OpenLog, opened
from backup_lib.stores.valkey.server import ValkeyRecipe
from restoreproof.errors import Inconclusive, JudgedBad, Unreachable

words = st.lists(st.binary(max_size=40), min_size=1, max_size=5)
data = st.sampled_from([b"SET", b"INCR", b"MULTI", b"EXEC", b"FUNCTION"])
noise = st.sampled_from([b"SELECT", b"ping", b"PUBLISH", b"REPLCONF"])


def encoded(words: Sequence[bytes]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def in_pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


@given(st.lists(words, max_size=8), st.integers(1, 50))
def test_every_command_is_walked_over(commands: list[list[bytes]], size: int) -> None:
    stamped = b"".join(b"#TS:1795576843\r\n" + encoded(one) for one in commands)
    taken: list[bytes] = []
    found = list(walk(ByteSource(in_pieces(stamped, size)), taken.append))
    assert [command.name for command in found] == [one[0].upper() for one in commands]
    assert b"".join(taken) == b"".join(map(encoded, commands))
    assert not found or found[-1].end == len(stamped)


@given(st.lists(words, min_size=1, max_size=4), st.data())
def test_a_cut_is_told_from_damage(commands: list[list[bytes]], drawn: st.DataObject) -> None:
    whole = b"".join(map(encoded, commands))
    ends = {command.end for command in walk(ByteSource([whole]))} | {0}
    at = drawn.draw(st.integers(0, len(whole) - 1).filter(lambda at: at not in ends))
    with pytest.raises(EndsTooEarly):
        list(walk(ByteSource([whole[:at]])))


def test_a_manifest_of_our_own_is_read_back() -> None:
    base = Part("appendonly.aof.1.base.rdb", BASE)
    increment = Part("appendonly.aof.1.incr.aof", INCREMENT)
    assert parts_of(text_of(base.name)) == (base, increment)
    assert parts_of(text_of(None)) == (increment,)


def test_the_base_comes_first_and_names_may_have_blanks() -> None:
    text = (
        b'file "my log.2.incr" seq 2 type i extra 1\nfile old seq 1 type h\nfile b seq 1 type b\n'
    )
    assert parts_of(text) == (Part("b", BASE), Part("my log.2.incr", INCREMENT))


@pytest.mark.parametrize(
    "name", ["../base", "/etc/passwd", "..", ".", '""', '"a', '"../a b"', "a\0b"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(JudgedBad):
        parts_of(f"file {name} seq 1 type i\n".encode())


def test_a_manifest_without_end_is_not_read() -> None:
    with pytest.raises(Inconclusive):
        parts_of(b"#" * (1 << 20) + b"\n")


@contextmanager
def a_log(folder: Path, content: bytes) -> Iterator[OpenLog]:
    folder.mkdir(exist_ok=True)
    (folder / "appendonly.aof.manifest").write_bytes(text_of(None))
    (folder / "appendonly.aof.1.incr.aof").write_bytes(content)
    with opened(folder) as log:
        yield log


def at(end: int) -> Moment:
    return Moment(datetime.now(UTC), end, ahead=0, replication="", offset=0)


@given(
    before=st.lists(st.one_of(data, noise), max_size=6),
    after=st.lists(data, max_size=6),
    sent_too=st.lists(noise, max_size=3),
)
def test_the_place_is_where_what_was_sent_begins(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[bytes],
    after: list[bytes],
    sent_too: list[bytes],
) -> None:
    first = encoded([b"SELECT", b"0"])
    logged_before = b"".join(encoded([name, b"x"]) for name in before)
    logged_after = b"".join(encoded([name, b"y"]) for name in after)
    content = first + logged_before + logged_after + b"*1\r\n$"  # the next one is being written
    sent = b"".join(encoded([name, b"1"]) for name in sent_too) + logged_after
    with a_log(tmp_path_factory.mktemp("log") / "a", content) as log:
        end = len(content) - 5
        place = place_before(log, at(len(first)), at(end), [sent])
    changes = [name for name in before if name in (b"SET", b"INCR", b"MULTI", b"EXEC", b"FUNCTION")]
    kept = [command.name for command in walk(ByteSource([content[len(first) : place]]))]
    assert [name for name in kept if name in changes] == changes
    assert content[place:].endswith(logged_after + b"*1\r\n$")
    assert len(content) - place - 5 >= len(logged_after)


@pytest.mark.parametrize(
    "sent",
    [
        encoded([b"SET", b"a", b"2"]),
        encoded([b"SET", b"a", b"1"]) * 3,
        encoded([b"SET", b"b", b"1"]) + encoded([b"SET", b"a", b"1"]),
        encoded([b"SET", b"a", b"1"])[:-1],
    ],
    ids=["another", "more than there are", "another order", "half"],
)
def test_what_was_sent_and_is_not_there_gives_no_place(tmp_path: Path, sent: bytes) -> None:
    content = encoded([b"SET", b"a", b"1"]) * 2
    with a_log(tmp_path / "a", content) as log, pytest.raises(LogMoved):
        place_before(log, at(0), at(len(content)), [sent])


def test_a_part_that_is_a_pipe_or_a_link_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with a_log(folder, b""):
        pass
    part = folder / "appendonly.aof.1.incr.aof"
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(Unreachable, match="is no file"), opened(folder):
        pass
    part.unlink()
    part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unreachable, match="cannot be read"), opened(folder):
        pass
    part.unlink()
    with pytest.raises(Unreachable, match="is missing"), opened(folder):
        pass


READING = "1:M 25 Nov 2026 03:22:01.511 # Internal error in RDB reading offset 216, function at "
LOADING = "1:M 25 Nov 2026 03:22:01.500 * Loading RDB base file on AOF loading...\n"
SHORT = "rdb.c:3632 -> Unexpected EOF reading RDB file"


@pytest.mark.parametrize(
    ("log", "damage"),
    [
        (f"{READING}rdb.c:3611 -> RDB CRC error\n[additional info] more\n", "RDB CRC error"),
        (f"{LOADING}{READING}{SHORT}\n", "Unexpected EOF reading RDB file"),
        (f"{READING}{SHORT}\n", ""),
        (f"{LOADING}rdbGenericLoadStringObject failed allocating 99 bytes\n{READING}{SHORT}\n", ""),
        ("1:M 25 Nov 2026 03:22:01.511 * Ready to accept connections unix\n", ""),
    ],
)
def test_a_log_names_damage_or_nothing(log: str, damage: str) -> None:
    assert ValkeyRecipe().damage_in(log) == damage
