from __future__ import annotations

import contextlib
import gzip
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.format.plain.reading import CHUNK
from restoreproof.errors import Inconclusive, JudgedBad

TEXT = b"".join(b"row %d\n" % number for number in range(50_000))
ZSTD = zstandard.ZstdCompressor(write_checksum=True)


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def plain(data: bytes, size: int = 1000) -> tuple[bytes, PlainStream]:
    stream = PlainStream(pieces(data, size))
    return b"".join(stream), stream


@pytest.mark.parametrize("pack", [gzip.compress, ZSTD.compress])
@given(data=st.binary(max_size=3000), size=st.integers(1, 5000))
def test_what_was_packed_comes_out(pack: Callable[[bytes], bytes], data: bytes, size: int) -> None:
    out, stream = plain(pack(data), size)
    assert out == data
    assert stream.checksummed
    assert stream.size == len(data)


@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), size=st.integers(1, 50))
def test_several_members_or_frames_are_one(parts: list[bytes], size: int) -> None:
    for pack in (gzip.compress, ZSTD.compress):
        out, _ = plain(b"".join(pack(part) for part in parts), size)
        assert out == b"".join(parts)


@pytest.mark.parametrize("pack", [gzip.compress, ZSTD.compress])
def test_every_cut_is_found(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT[:2000])
    for end in range(4, len(packed)):
        with pytest.raises(JudgedBad):
            plain(packed[:end])


@pytest.mark.parametrize("pack", [gzip.compress, ZSTD.compress])
def test_every_flip_that_changes_the_content_is_found(pack: Callable[[bytes], bytes]) -> None:
    packed = bytearray(pack(TEXT[:2000]))
    for bit in range(32, len(packed) * 8):
        packed[bit // 8] ^= 1 << bit % 8
        # some bits of a header, and offsets into repeated text, change nothing
        with contextlib.suppress(JudgedBad, Inconclusive):
            assert plain(bytes(packed))[0] == TEXT[:2000], bit
        packed[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("pack", [gzip.compress, ZSTD.compress])
@pytest.mark.parametrize("rest", [b"x", b"rest", b"\0\0\0x"])
def test_something_behind_the_end_is_found(pack: Callable[[bytes], bytes], rest: bytes) -> None:
    with pytest.raises(JudgedBad, match="follows"):
        plain(pack(TEXT) + rest)


def test_zeros_behind_gzip_are_padding() -> None:
    assert plain(gzip.compress(TEXT) + bytes(5000))[0] == TEXT


def test_zstd_without_a_checksum_is_told() -> None:
    bare = zstandard.ZstdCompressor(write_checksum=False).compress(TEXT)
    assert not plain(bare)[1].checksummed
    assert not plain(ZSTD.compress(TEXT) + bare)[1].checksummed


def test_skippable_frames_are_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert plain(ZSTD.compress(TEXT) + skippable)[0] == TEXT
    with pytest.raises(JudgedBad):
        plain(ZSTD.compress(TEXT) + skippable[:-1])


def test_a_frame_that_wants_too_much_memory_is_not_decoded() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_checksum=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Inconclusive, match="128 MiB"):
        plain(packer.compress(TEXT) + packer.flush())


def test_a_frame_with_a_dictionary_is_inconclusive() -> None:
    samples = (TEXT[at : at + 500] for at in range(0, 100_000, 500))
    dictionary = zstandard.train_dictionary(2000, [*samples])
    packed = zstandard.ZstdCompressor(dict_data=dictionary).compress(TEXT)
    with pytest.raises(Inconclusive, match="dictionary"):
        plain(packed)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_read_in_bounded_memory(kind: str) -> None:
    size = 1 << 26
    packed = gzip.compress(bytes(size)) if kind == "gzip" else ZSTD.compress(bytes(size))
    stream = PlainStream([packed])
    tracemalloc.start()
    try:
        assert max(len(piece) for piece in stream) <= CHUNK
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.size == size
    assert peak < 8 * CHUNK


def test_a_bomb_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_lib.format.plain.plain_stream._HARMLESS_SIZE", 1 << 20)
    with pytest.raises(Inconclusive, match="2000 times"):
        plain(ZSTD.compress(bytes(1 << 28)))


@given(st.binary(max_size=200), st.sampled_from([b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd"]))
def test_any_bytes_behind_a_magic_are_judged_and_nothing_else(data: bytes, magic: bytes) -> None:
    with contextlib.suppress(JudgedBad, Inconclusive):
        plain(magic + data, 7)
