"""The formats one by one, on small files made here."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_lib.byte_source import ByteSource
from backup_lib.format.plain import json_text, neo4j, qdrant, rdb, smile, tar_members
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.model import RungResult
from backup_lib.services.plain_files import PlainKind, check_integrity, detect
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, Interrupted, JudgedBad, Unreachable
from restoreproof.process import Cancellation
from restoreproof.verdict import Verdict
from tests.harness import plain_specimens as specimens

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE

DUMP = """\
--
-- PostgreSQL database dump
--

\\restrict abc123

SET client_encoding = 'UTF8';
COPY public.t (id, what) FROM stdin;
1\tZoë
\\.

--
-- PostgreSQL database dump complete
--

\\unrestrict abc123

"""


def judged(path: Path, content: bytes | str, kind: PlainKind | None = None) -> RungResult:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return check_integrity(path, kind, Work())


# ── what is there at all ────────────────────────────────────────────────────────────────────────


def test_a_missing_file_is_bad_and_cannot_be_known(tmp_path: Path) -> None:
    assert check_integrity(tmp_path / "backup.sql", None, Work()).verdict is FAILED
    with pytest.raises(Unreachable):
        detect(tmp_path / "backup.sql")


def test_an_empty_file_is_bad(tmp_path: Path) -> None:
    result = judged(tmp_path / "backup.sql", b"")
    assert result.verdict is FAILED
    assert "empty" in result.reason


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "backup.sql")
    assert check_integrity(tmp_path / "backup.sql", None, Work()).verdict is INCONCLUSIVE


def test_something_unknown_is_inconclusive_with_a_hint(tmp_path: Path) -> None:
    result = judged(tmp_path / "thing", b"anything at all")
    assert (result.verdict, bool(result.hint)) == (INCONCLUSIVE, True)
    (tmp_path / "folder").mkdir()
    assert check_integrity(tmp_path / "folder", None, Work()).verdict is INCONCLUSIVE


def test_a_run_that_is_cancelled_stops(tmp_path: Path) -> None:
    cancel = Cancellation()
    cancel.request()
    (tmp_path / "backup.sql").write_text(DUMP)
    with pytest.raises(Interrupted):
        check_integrity(tmp_path / "backup.sql", None, Work(cancel=cancel))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("backup.sql", PlainKind.POSTGRES_SQL),
        ("Backup.SQL.GZ", PlainKind.POSTGRES_SQL),
        ("backup.sql.zst", PlainKind.POSTGRES_SQL),
        ("backup.dump", PlainKind.POSTGRES_CUSTOM),
        ("export.json", PlainKind.JSON),
        ("export.jsonl.gz", PlainKind.JSON),
        ("dump.rdb", PlainKind.VALKEY_RDB),
        ("neo4j.dump", PlainKind.NEO4J_DUMP),
        ("things.snapshot", PlainKind.QDRANT_SNAPSHOT),
    ],
)
def test_where_the_content_tells_nothing_the_name_does_and_damage_is_found(
    tmp_path: Path, name: str, kind: PlainKind
) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(2000))
    assert detect(path) is kind
    assert check_integrity(path, None, Work()).verdict is FAILED


@given(st.binary(max_size=600))
def test_any_bytes_are_judged_as_every_kind_without_another_error(data: bytes) -> None:
    checks: list[Callable[[], object]] = [
        lambda: rdb.check([data]),
        lambda: neo4j.check(iter([data])),
        lambda: neo4j.check(iter([b"DZV1" + data])),
        lambda: qdrant.check(Path("/nonexistent"), iter([data])),
        lambda: smile.read(b":)\n\0" + data),
    ]
    for check in checks:
        with contextlib.suppress(JudgedBad, Inconclusive):
            check()


# ── SQL ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_pg_dump_text_passes_and_says_how_little_that_is(tmp_path: Path) -> None:
    result = judged(tmp_path / "backup.sql", DUMP)
    assert result.verdict is PASSED
    assert "no checksum" in result.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.partition("-- PostgreSQL database dump complete")[0], "completion"),
        (lambda text: text + "DROP TABLE t;\n", "follows"),
        (lambda text: text.replace("unrestrict abc123", "unrestrict abc124"), "restrict"),
        (lambda text: text.replace("1\t", "1\0"), "zero bytes"),
    ],
)
def test_a_damaged_pg_dump_text_is_found(
    tmp_path: Path, change: Callable[[str], str], reason: str
) -> None:
    result = judged(tmp_path / "backup.sql", change(DUMP))
    assert result.verdict is FAILED
    assert reason in result.reason


def test_text_that_is_not_in_its_encoding_is_found(tmp_path: Path) -> None:
    damaged = DUMP.encode().replace(b"1\tZ", b"1\t\xda")
    assert judged(tmp_path / "backup.sql", damaged).verdict is FAILED
    latin = damaged.replace(b"'UTF8'", b"'LATIN1'")
    assert judged(tmp_path / "backup.sql", latin).verdict is PASSED


def test_a_long_text_is_judged_over_chunk_borders(tmp_path: Path) -> None:
    row = "2\tZoë and a long row of text\n"
    long = DUMP.replace("1\tZoë\n", row * 40_000)
    assert judged(tmp_path / "backup.sql", long).verdict is PASSED
    assert judged(tmp_path / "backup.sql", long.encode()[:-2000]).verdict is FAILED


def test_a_cluster_dump_has_its_own_marks(tmp_path: Path) -> None:
    text = DUMP.replace("database dump", "database cluster dump")
    assert judged(tmp_path / "all.sql", text).verdict is PASSED
    assert judged(tmp_path / "all.sql", text + DUMP[:120]).verdict is FAILED


def test_sql_of_another_tool_passes_only_under_a_checksum(tmp_path: Path) -> None:
    text = tmp_path / "backup.sql"
    assert judged(text, "CREATE TABLE t (id int);\n").verdict is INCONCLUSIVE
    for suffix in (".gz", ".zst"):
        packed = specimens.compressed(text, suffix)
        result = check_integrity(packed, None, Work())
        assert result.verdict is PASSED
        assert "only a restore" in result.reason


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null]}', "[]", '{"a":1}\n{"b":2}\n', "1 2"])
def test_json_that_is_whole_passes(tmp_path: Path, text: str) -> None:
    assert judged(tmp_path / "export.json", text).verdict is PASSED


BAD_JSON = """
{"a": [1,
{"a": 1}}
{"a" 1}
{"a": "\udcff"}
{1: 2}
{"a": 1,}
[1,]
[1 2]
[,1]
{]
}
"a
"\\x"
nul
01
1.
-
\x01
"""


@pytest.mark.parametrize("text", [*BAD_JSON.strip("\n").split("\n"), "   ", '["a\tb"]', '"\n"'])
def test_json_that_is_damaged_fails(tmp_path: Path, text: str) -> None:
    content = text.encode("utf-8", "surrogateescape")
    assert judged(tmp_path / "export.json", content).verdict is FAILED


def test_json_that_would_take_all_memory_is_inconclusive(tmp_path: Path) -> None:
    assert judged(tmp_path / "export.json", "[" * 2_000_000).verdict is INCONCLUSIVE
    assert judged(tmp_path / "export.json", f'"{"x" * (1 << 26)}"').verdict is INCONCLUSIVE


def test_json_with_values_that_few_parsers_take_passes(tmp_path: Path) -> None:
    text = f'["{"y" * 2_000_000}", {"1" * 100_000}, 1e{"9" * 50}, {"[" * 5000}{"]" * 5000}]'
    assert judged(tmp_path / "export.json", text).verdict is PASSED


values = st.recursive(
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(values, min_size=1, max_size=4), st.integers(1, 40), st.sampled_from([None, 2]))
def test_what_the_standard_library_writes_is_whole_and_a_cut_is_found(
    documents: list[object], size: int, indent: int | None
) -> None:
    texts = [json.dumps(each, indent=indent) for each in documents]

    def read(text: str) -> str:
        data = text.encode()
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        return json_text.check(PlainStream(pieces))

    expected = "one JSON document," if len(texts) == 1 else f"{len(texts)} JSON documents,"
    assert read("\n".join(texts)).startswith(expected)
    if texts[-1][-1] in ']}"':
        with pytest.raises(JudgedBad):
            read("\n".join(texts)[:-1])


# ── Valkey ──────────────────────────────────────────────────────────────────────────────────────


def an_rdb(body: bytes = b"\xfa\x03abc", *, checksum: bool = True) -> bytes:
    import anycrc  # type: ignore[import-untyped]  # ships no types

    content = b"VALKEY080" + body + b"\xff"
    crc = anycrc.Model("CRC64-REDIS").calc(content) if checksum else 0
    return content + int(crc).to_bytes(8, "little")


def test_the_crc_is_that_of_the_server() -> None:
    import anycrc

    assert anycrc.Model("CRC64-REDIS").calc(b"123456789") == 0xE9C6D914C4B8D9CA


def test_an_rdb_without_a_checksum_is_inconclusive(tmp_path: Path) -> None:
    assert judged(tmp_path / "dump.rdb", an_rdb()).verdict is PASSED
    assert judged(tmp_path / "dump.rdb", an_rdb(checksum=False)).verdict is INCONCLUSIVE


def append_only(folder: Path, manifest: str, **parts: bytes) -> RungResult:
    folder.mkdir(exist_ok=True)
    (folder / "appendonly.aof.manifest").write_text(manifest)
    for name, content in parts.items():
        (folder / name).write_bytes(content)
    return check_integrity(folder, None, Work())


COMMAND = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
MANIFEST = "file base seq 1 type b\nfile incr seq 1 type i\nfile old seq 9 type h\n"


def test_an_append_only_folder_is_read_part_by_part(tmp_path: Path) -> None:
    good = append_only(tmp_path / "a", MANIFEST, base=COMMAND, incr=b"#TS:1\r\n" + COMMAND * 3)
    assert good.verdict is PASSED
    assert "4 commands" in good.reason


@pytest.mark.parametrize(
    "incr",
    [COMMAND[:-1], b"*2\r\n$6\r\nSELECT", b"*x\r\n", b"$6\r\n", b"*1\r\n$3\r\nab\r\n", b"x" * 5000],
)
def test_a_damaged_command_is_found(tmp_path: Path, incr: bytes) -> None:
    assert append_only(tmp_path / "a", MANIFEST, base=COMMAND, incr=incr).verdict is FAILED


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "file base seq 1\n",
        "file ../base seq 1 type b\n",
        "file base seq 1 type x\n",
        "file base seq 1 type b\nfile incr seq 1 type b\n",
        "file incr seq 2 type i\nfile incr seq 1 type i\n",
        "file old seq 1 type h\n",
    ],
)
def test_a_manifest_that_cannot_be_right_is_found(tmp_path: Path, manifest: str) -> None:
    result = append_only(tmp_path / "a", manifest, base=COMMAND, incr=COMMAND)
    assert result.verdict is FAILED


def test_a_part_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(COMMAND)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "incr").symlink_to(tmp_path / "elsewhere")
    assert append_only(tmp_path / "a", MANIFEST, base=COMMAND).verdict is FAILED


# ── tar ─────────────────────────────────────────────────────────────────────────────────────────

names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=150
).filter(lambda name: name not in (".", ".."))


@given(
    files=st.dictionaries(names, st.binary(max_size=2000), max_size=5),
    layout=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    size=st.integers(1, 3000),
)
def test_archives_are_read_as_the_standard_library_reads_them(
    files: dict[str, bytes], layout: int, size: int
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = buffer.getvalue()
    source = ByteSource(data[at : at + size] for at in range(0, len(data), size))

    found = {member.name: b"".join(member.data) for member in tar_members.members(source)}

    assert found == {name.removeprefix("./"): content for name, content in files.items()}


def test_every_flip_in_the_headers_of_an_archive_is_found() -> None:
    data = bytearray(specimens.tar({"name": b"x" * 700}))
    checksum = range(148, 156)  # its own padding may be spaces or zeros
    for bit in range(512 * 8):
        if bit // 8 in checksum:
            continue
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises((JudgedBad, Inconclusive)):
            list(tar_members.members(ByteSource([bytes(data)])))
        data[bit // 8] ^= 1 << bit % 8


# ── Neo4j ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("magic", [b"DZV1", b"DGV1"])
def test_both_compressions_of_neo4j_are_known(tmp_path: Path, magic: bytes) -> None:
    path = specimens.neo4j(tmp_path / "graph.dump", magic)
    assert detect(path) is PlainKind.NEO4J_DUMP
    assert check_integrity(path, None, Work()).verdict is PASSED


def test_an_old_dump_without_magic_is_not_passed(tmp_path: Path) -> None:
    path = specimens.neo4j(tmp_path / "neo4j.dump")
    path.write_bytes(path.read_bytes()[4:])
    assert check_integrity(path, PlainKind.NEO4J_DUMP, Work()).verdict is not PASSED


def test_a_dump_with_fewer_files_than_promised_is_found(tmp_path: Path) -> None:
    import struct

    import zstandard

    header = b"zstd" + struct.pack(">iqq", 1, 2, 4)
    whole = header + specimens.tar({"./a": b"1234"})
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(whole)
    result = judged(tmp_path / "neo4j.dump", b"DZV1" + packed)
    assert result.verdict is FAILED
    assert "promises 2 files" in result.reason


# ── Qdrant ──────────────────────────────────────────────────────────────────────────────────────


def test_a_full_snapshot_is_read_through(tmp_path: Path) -> None:
    result = judged(tmp_path / "full.snapshot", specimens.full_snapshot())
    assert result.verdict is PASSED
    assert "full snapshot of 1 collections" in result.reason


def test_the_digest_beside_a_snapshot_decides(tmp_path: Path) -> None:
    path = specimens.with_digest(specimens.qdrant(tmp_path / "things.snapshot"))
    assert "SHA-256" in check_integrity(path, None, Work()).reason
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    assert judged(path, bytes(data)).verdict is FAILED
    path.with_name("things.snapshot.checksum").write_text("what")
    assert check_integrity(path, None, Work()).verdict is INCONCLUSIVE


def test_a_tar_that_is_no_snapshot_is_inconclusive(tmp_path: Path) -> None:
    content = specimens.tar({"config.json": b"{}", "other": b"x"})
    assert judged(tmp_path / "x.snapshot", content).verdict is INCONCLUSIVE


@pytest.mark.parametrize("name", ["things.snapshot", "full.snapshot"])
def test_what_a_real_server_made_passes(name: str) -> None:
    path = next((folder / name for folder in _real_folders() if (folder / name).exists()), None)
    if path is None:
        return  # those files are not part of the repository
    assert detect(path) is PlainKind.QDRANT_SNAPSHOT
    assert check_integrity(path, None, Work()).verdict is PASSED


def _real_folders() -> list[Path]:
    beside = Path(__file__).resolve().parents[2].parent
    return [each / "shared" / "fixtures" / "qdrant" for each in (beside, beside.parent)]


# ── OpenSearch ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("layout", [{}, {"part_size": 5000}, {"shard_root": "hAsH/base"}])
def test_repositories_of_all_layouts_are_read(tmp_path: Path, layout: dict[str, int]) -> None:
    path = specimens.opensearch(tmp_path / "r", **layout)  # type: ignore[arg-type]  # one of each
    result = check_integrity(path, None, Work())
    assert (result.verdict, result.hint) == (PASSED, "")


@pytest.mark.parametrize("layout", [{}, {"part_size": 5000}])
def test_every_missing_file_of_a_repository_is_found(
    tmp_path: Path, layout: dict[str, int]
) -> None:
    path = specimens.opensearch(tmp_path / "r", **layout)  # type: ignore[arg-type]  # one of each
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != "index.latest":
            content = file.read_bytes()
            file.unlink()
            assert check_integrity(path, None, Work()).verdict is not PASSED, file
            file.write_bytes(content)


def test_a_newer_list_that_is_missing_is_found(tmp_path: Path) -> None:
    path = specimens.opensearch(tmp_path / "r")
    (path / "index.latest").write_bytes((2).to_bytes(8, "big"))
    assert check_integrity(path, None, Work()).verdict is FAILED


def test_a_partial_snapshot_is_inconclusive(tmp_path: Path) -> None:
    path = specimens.opensearch(tmp_path / "r")
    index = json.loads((path / "index-1").read_text())
    index["snapshots"][0]["state"] = 3
    (path / "index-1").write_text(json.dumps(index))
    (path / "indices" / "IDX" / "1" / "snap-SNAPone.dat").unlink()
    result = check_integrity(path, None, Work())
    assert result.verdict is INCONCLUSIVE
    assert "not complete" in result.reason


def test_another_layout_is_inconclusive(tmp_path: Path) -> None:
    path = specimens.opensearch(tmp_path / "r")
    (path / "index-1").write_text('{"snapshots": [{"id": 1}], "indices": {}}')
    assert check_integrity(path, None, Work()).verdict is INCONCLUSIVE


documents = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**60) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(documents)
def test_smile_is_read_back(document: object) -> None:
    assert smile.read(specimens.smile(document)) == document


def test_smile_with_everything_shared_is_read() -> None:
    # {"a":"b","c":["b",{"a":-1}]} with shared names and values, as the specification has it
    encoded = bytes.fromhex("3a290a03fa8061406280 63f801fa40c1fbf9fb".replace(" ", ""))
    assert smile.read(encoded) == {"a": "b", "c": ["b", {"a": -1}]}
