"""Good plain backup files of every kind, made by the real tool where a wheel brings it.

Those of Neo4j, Qdrant and OpenSearch are built after the layout of real ones, byte for byte as far
as the checks look; no wheel brings these servers.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import shutil
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard

from backup_lib.format.plain.kinds import PlainKind
from tests.harness.postgres import PostgresServer, postgres_servers
from tests.harness.valkey import ValkeyServer

ROWS = 3000

# ── PostgreSQL, by pg_dump ──────────────────────────────────────────────────────────────────────


def fill(server: PostgresServer) -> str:
    """The name of a database with text, numbers and NULL."""
    server.create_database()
    name = server.databases[-1]
    with server.connect(name) as connection:
        connection.execute("CREATE TABLE flights (id bigint PRIMARY KEY, what text, delay numeric)")
        connection.execute(
            "INSERT INTO flights SELECT n, md5(n::text) || ' über', nullif(n %% 97, 0) * 1.5 "
            "FROM generate_series(1, %s) n",
            (ROWS,),
        )
    return name


def pg_dump(server: PostgresServer, database: str, target: Path, *options: str) -> Path:
    server.run(
        "pg_dump", "--dbname", server.dsn(database), "--file", str(target.absolute()), *options
    )
    return target


def compressed(plain: Path, suffix: str) -> Path:
    """The same with ``.gz`` or ``.zst``, as the command line tools would make it."""
    target = plain.with_name(plain.name + suffix)
    data = plain.read_bytes()
    if suffix == ".gz":
        target.write_bytes(gzip.compress(data, mtime=0))
    else:
        target.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(data))
    return target


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────


def json_lines(target: Path) -> Path:
    rows = ({"id": n, "labels": ["Person"], "name": f"Zoë {n}", "x": n / 7} for n in range(ROWS))
    target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return target


# ── Valkey, by the server ───────────────────────────────────────────────────────────────────────


def rdb(server: ValkeyServer) -> Path:
    """Its ``dump.rdb``."""
    with server.client() as client:
        for number in range(ROWS):
            client.set(f"key:{number}", f"value {number}" * 3)
        client.save()
    return server.home / "dump.rdb"


def aof(server: ValkeyServer) -> Path:
    """Its ``appendonlydir``; the server runs with ``--appendonly yes``."""
    with server.client() as client:
        for number in range(ROWS):
            client.set(f"key:{number}", f"value {number}" * 3)
        client.config_set("appendfsync", "always")
        client.set("last", "one")
    return server.home / "appendonlydir"


# ── Neo4j ───────────────────────────────────────────────────────────────────────────────────────


def tar(files: Mapping[str, bytes], *, end_mark: bool = True) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        end = archive.offset
    data = buffer.getvalue()
    return data[:end] + bytes(1024 if end_mark else 0)


def some_bytes(seed: int, size: int) -> bytes:
    """Neither all equal nor all random, as the files of databases are."""
    source = random.Random(seed)
    return b"".join(source.randbytes(20) + bytes(12) for _ in range(size // 32))


def neo4j(target: Path, magic: bytes = b"DZV1") -> Path:
    files = {f"./neostore.{n}.db": some_bytes(n, 8192) for n in range(12)}
    header = struct.pack(">iqq", 1, len(files), sum(map(len, files.values())))
    if magic == b"DZV1":
        whole = b"zstd" + header + tar(files)
        packed = zstandard.ZstdCompressor(write_checksum=True).compress(whole)
    else:
        packed = gzip.compress(b"gzip" + header + tar(files), mtime=0)
    target.write_bytes(magic + packed)
    return target


# ── Qdrant ──────────────────────────────────────────────────────────────────────────────────────


def collection_snapshot(shards: int = 2) -> bytes:
    files: dict[str, bytes] = {}
    for shard in range(shards):
        segment = {
            "snapshot/files/segment.json": b'{"version":5}',
            "snapshot/files/vector_storage/vectors.dat": some_bytes(shard, 32768),
            "snapshot/files/version.info": b"0.6.0",
        }
        files[f"{shard}/segments/{shard}a-b-c.tar"] = tar(segment, end_mark=False)
        files[f"{shard}/wal/open-1"] = some_bytes(shard + 9, 4096)
        files[f"{shard}/replica_state.json"] = b'{"is_local":true}'
        files[f"{shard}/shard_config.json"] = b'{"type":"ReplicaSet"}'
    files["version.info"] = b"0.4.2"
    files["config.json"] = b'{"params":{"shard_number":2}}'
    files["shard_key_mapping.json"] = b"[]"
    return tar(files)


def full_snapshot() -> bytes:
    mapping = {"collections_mapping": {"things": "things-1.snapshot"}, "collections_aliases": {}}
    return tar(
        {"things-1.snapshot": collection_snapshot(), "config.json": json.dumps(mapping).encode()}
    )


def qdrant(target: Path) -> Path:
    target.write_bytes(collection_snapshot())
    return target


def with_digest(snapshot: Path) -> Path:
    """The same, with the side file that the server writes."""
    digest = hashlib.sha256(snapshot.read_bytes()).hexdigest()
    snapshot.with_name(f"{snapshot.name}.checksum").write_text(digest)
    return snapshot


# ── OpenSearch ──────────────────────────────────────────────────────────────────────────────────


def smile(value: object) -> bytes:
    """The simplest SMILE that says it: nothing shared."""
    return b":)\n\x00" + _smile(value)


def _smile(value: object) -> bytes:
    match value:
        case None | True | False:
            return {None: b"\x21", False: b"\x22", True: b"\x23"}[value]
        case int():
            return b"\x25" + _varint(value << 1)
        case bytes():
            return b"\xfd" + _varint(len(value)) + value
        case str():
            return b"\xe4" + value.encode() + b"\xfc"
        case list():
            return b"\xf8" + b"".join(map(_smile, value)) + b"\xf9"
        case dict():
            fields = (b"\x34" + k.encode() + b"\xfc" + _smile(v) for k, v in value.items())
            return b"\xfa" + b"".join(fields) + b"\xfb"
    raise TypeError(type(value))


def _varint(number: int) -> bytes:
    octets = [0x80 | number & 0x3F]
    number >>= 6
    while number:
        octets.append(number & 0x7F)
        number >>= 7
    return bytes(reversed(octets))


def lucene(body: bytes, codec: bytes | None = None) -> bytes:
    """A blob with Lucene's footer, and the header of metadata where ``codec`` is given."""
    header = b"\x3f\xd7\x6c\x17"
    if codec:
        header += bytes([len(codec)]) + codec + struct.pack(">i", 1)
    content = header + body + b"\xc0\x28\x93\xe8" + bytes(4)
    return content + struct.pack(">q", zlib.crc32(content))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def _deflated(document: object) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return b"DFL\0" + packer.compress(smile(document)) + packer.flush()


def opensearch(target: Path, *, part_size: int = 1 << 62, shard_root: str = "") -> Path:
    """A repository of two snapshots of one index with two shards."""
    snapshots = ["SNAPone", "SNAPtwo"]
    target.mkdir()
    shards = target / shard_root / "indices" / "IDX"
    (target / "indices" / "IDX").mkdir(parents=True)
    for uuid in snapshots:
        described = {"snapshot": {"name": uuid, "uuid": uuid, "indices": ["books"]}}
        (target / f"snap-{uuid}.dat").write_bytes(lucene(_deflated(described), b"snapshot"))
        (target / f"meta-{uuid}.dat").write_bytes(lucene(smile({"meta-data": {}}), b"metadata"))
    settings = {"books": {"settings": {"index.number_of_shards": "2"}}}
    meta = lucene(_deflated(settings), b"index-metadata")
    (target / "indices" / "IDX" / "meta-M1.dat").write_bytes(meta)
    for shard in range(2):
        folder = shards / str(shard)
        folder.mkdir(parents=True)
        files: list[dict[str, object]] = [
            {
                "name": "v__x",
                "length": 9,
                "checksum": "1",
                "part_size": part_size,
                "meta_hash": b"z",
            }
        ]
        for number in range(2):
            blob = lucene(some_bytes(shard * 10 + number, 16384))
            name = f"__{shard}{number}"
            pieces = [blob[at : at + part_size] for at in range(0, len(blob), part_size)]
            for part, piece in enumerate(pieces):
                suffix = f".part{part}" if len(pieces) > 1 else ""
                (folder / f"{name}{suffix}").write_bytes(piece)
            crc = int.from_bytes(blob[-8:], "big")
            size = {"length": len(blob), "part_size": part_size}
            files.append({"name": name, "checksum": _base36(crc), **size})
        generation = lucene(smile({"files": files, "snapshots": {}}), b"snapshots")
        (folder / f"index-g{shard}").write_bytes(generation)
        for uuid in snapshots:
            listing = lucene(smile({"name": uuid, "files": files}), b"snapshot")
            (folder / f"snap-{uuid}.dat").write_bytes(listing)
    index = {
        "snapshots": [
            {"name": u, "uuid": u, "state": 1, "index_metadata_lookup": {"IDX": "K"}}
            for u in snapshots
        ],
        "indices": {
            "books": {"id": "IDX", "snapshots": snapshots, "shard_generations": ["g0", "g1"]}
        },
        "index_metadata_identifiers": {"K": "M1"},
    }
    (target / "index-1").write_text(json.dumps(index))
    (target / "index.latest").write_bytes((1).to_bytes(8, "big"))
    return target


# ── all of them ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sources:
    """Running servers that specimens are taken from."""

    postgres: PostgresServer
    database: str
    valkey: ValkeyServer
    valkey_with_aof: ValkeyServer


@contextmanager
def sources() -> Iterator[Sources]:
    """Fresh servers, filled; gone at the end."""
    with ExitStack() as stack:
        make, end = postgres_servers()
        stack.callback(end)
        server = make()
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="valkey-")))
        saved, logged = folder / "rdb", folder / "aof"
        saved.mkdir()
        logged.mkdir()
        valkeys = ValkeyServer(saved), ValkeyServer(logged, "--appendonly", "yes")
        for valkey in valkeys:
            stack.callback(valkey.stop)
        yield Sources(server, fill(server), *valkeys)


Maker = Callable[[Path, Sources], Path]


def _pg(name: str, *options: str) -> Maker:
    return lambda folder, sources: pg_dump(
        sources.postgres, sources.database, folder / name, *options
    )


def _packed(suffix: str) -> Maker:
    plain = _pg("backup.sql")
    return lambda folder, sources: compressed(plain(folder, sources), suffix)


def _copied(path: Path, folder: Path) -> Path:
    target = folder / path.name
    if path.is_dir():
        shutil.copytree(path, target)
    else:
        shutil.copy(path, target)
    return target


@dataclass(frozen=True)
class Specimen:
    """One kind of plain file.

    Attributes:
        kind: what it has to be taken for.
        make: makes it in a folder.
        maker: what made it.
    """

    kind: PlainKind
    make: Maker
    maker: str


_PG = "pg_dump"
_BUILT = "built after the layout of a real one"
_REAL_SERVER = "Valkey"

SPECIMENS: Mapping[str, Specimen] = {
    "SQL text": Specimen(PlainKind.POSTGRES_SQL, _pg("backup.sql"), _PG),
    "SQL text, gzip": Specimen(PlainKind.POSTGRES_SQL, _packed(".gz"), _PG),
    "SQL text, zstd": Specimen(PlainKind.POSTGRES_SQL, _packed(".zst"), _PG),
    "pg_dump -Fc, gzip": Specimen(
        PlainKind.POSTGRES_CUSTOM, _pg("backup.dump", "-Fc", "-Z", "gzip"), _PG
    ),
    "pg_dump -Fc, uncompressed": Specimen(
        PlainKind.POSTGRES_CUSTOM, _pg("raw.dump", "-Fc", "-Z", "none"), _PG
    ),
    "pg_dump -Ft": Specimen(PlainKind.POSTGRES_TAR, _pg("backup.tar", "-Ft"), _PG),
    "pg_dump -Fd, gzip": Specimen(
        PlainKind.POSTGRES_DIRECTORY, _pg("backup.dir", "-Fd", "-Z", "gzip"), _PG
    ),
    "JSON lines": Specimen(
        PlainKind.JSON, lambda folder, _: json_lines(folder / "export.json"), "Python"
    ),
    "JSON lines, gzip": Specimen(
        PlainKind.JSON,
        lambda folder, _: compressed(json_lines(folder / "export.json"), ".gz"),
        "Python",
    ),
    "Valkey RDB": Specimen(
        PlainKind.VALKEY_RDB,
        lambda folder, sources: _copied(rdb(sources.valkey), folder),
        _REAL_SERVER,
    ),
    "Valkey appendonlydir": Specimen(
        PlainKind.VALKEY_AOF,
        lambda folder, sources: _copied(aof(sources.valkey_with_aof), folder),
        _REAL_SERVER,
    ),
    "Neo4j dump": Specimen(
        PlainKind.NEO4J_DUMP, lambda folder, _: neo4j(folder / "neo4j.dump"), _BUILT
    ),
    "Qdrant snapshot": Specimen(
        PlainKind.QDRANT_SNAPSHOT, lambda folder, _: qdrant(folder / "things.snapshot"), _BUILT
    ),
    "Qdrant snapshot and .checksum": Specimen(
        PlainKind.QDRANT_SNAPSHOT,
        lambda folder, _: with_digest(qdrant(folder / "things.snapshot")),
        _BUILT,
    ),
    "OpenSearch repository": Specimen(
        PlainKind.OPENSEARCH_REPOSITORY,
        lambda folder, _: opensearch(folder / "repository"),
        _BUILT,
    ),
}
