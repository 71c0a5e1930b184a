"""The files of a built image, read out of ``docker save``: layer by layer, nothing is run."""

from __future__ import annotations

import json
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from hardening.rules.context.sensitive import PEEK, sensitive
from hardening.rules.options import Options
from hardening.rules.rule import Found
from restoreproof.errors import Inconclusive

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MOST_JSON = 16 << 20
_PROGRAM_FOLDERS = frozenset(
    ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "usr/lib/git-core")
)
# harmless files that packages of every base image bring: test data and public roots
_NOT_OURS = ("usr/share/", "usr/lib/", "etc/ssl/certs/", "usr/local/lib/", "opt/java/", "lib/")


@dataclass(slots=True)
class _Seen:
    """What is remembered of one path: only paths that a rule may report are kept."""

    is_setid: bool = False
    is_writable: bool = False
    tool: str = ""

    @property
    def is_worth_a_word(self) -> bool:
        """Whether a rule reports it."""
        return self.is_setid or self.is_writable or bool(self.tool)


@dataclass(slots=True)
class _Reading:
    options: Options
    files: dict[str, _Seen] = field(default_factory=dict)
    secrets: dict[str, tuple[str, int]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    entries: int = 0
    octets: int = 0


def judge_archive(path: Path, options: Options) -> Iterator[Found]:
    """What is wrong with the files of an image: RP-I002, RP-I003, RP-I004, RP-I007.

    Args:
        path: of an archive as ``docker save`` writes it.
        options: settings of the rules.

    Raises:
        Inconclusive: it is no such archive, or unpacks to more than the limits allow.
    """
    reading = _Reading(options)
    try:
        with tarfile.open(path, "r:") as archive:
            for number, layer in enumerate(_layers(archive)):
                member = archive.extractfile(layer)
                if member is None:
                    raise Inconclusive(f"its layer {layer!r} is not a file")
                _take_layer(reading, member, number)
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
        raise Inconclusive(f"it is not an archive of an image: {error}") from None
    for name, seen in sorted(reading.files.items()):
        if seen.is_setid:
            yield Found("RP-I002", name, subject=name, detail=name)
        if seen.tool:
            yield Found("RP-I003", name, subject=name, detail=name)
        if seen.is_writable:
            yield Found("RP-I007", name, subject=name, detail=name)
    for name, (kind, number) in sorted(reading.secrets.items()):
        where = f"{name} ({kind}), layer {number + 1}"
        if name in reading.deleted:
            where += ", deleted by a later one"
        yield Found("RP-I004", name, subject=name, detail=where)


def _layers(archive: tarfile.TarFile) -> list[str]:
    """Names of the layers' archives, the lowest first."""
    member = archive.extractfile("manifest.json")
    if member is None:
        raise Inconclusive("it has no manifest.json")
    raw = member.read(_MOST_JSON + 1)
    if len(raw) > _MOST_JSON:
        raise Inconclusive("its manifest.json is too large")
    manifest: Any = json.loads(raw)
    match manifest:
        case [{"Layers": [*layers]}] if all(isinstance(layer, str) for layer in layers):
            return layers
    raise Inconclusive("its manifest.json does not name the layers of one image")


def _take_layer(reading: _Reading, file: IO[bytes], number: int) -> None:
    gone: list[str] = []
    own: dict[str, _Seen] = {}
    secrets: dict[str, str] = {}
    with tarfile.open(fileobj=_unpacked(file), mode="r|*") as layer:
        for member in layer:
            _spend(reading, member)
            name = member.name.removeprefix("./").strip("/")
            folder, _, last = name.rpartition("/")
            if last == _OPAQUE:
                gone.append(f"{folder}/")
            elif last.startswith(_WHITEOUT):
                removed = f"{folder}/{last.removeprefix(_WHITEOUT)}".lstrip("/")
                gone += [removed, f"{removed}/"]
            elif not member.isdir():
                gone.append(name)
                own[name] = _seen(member, name, reading.options)
                kind = _secret(layer, member, name)
                if kind:
                    secrets[name] = kind
    # what a layer removes is removed from those below it, wherever in the layer it says so
    reading.deleted.update(_hit(reading.secrets, gone))
    for name in _hit(reading.files, gone):
        del reading.files[name]
    reading.files |= {name: seen for name, seen in own.items() if seen.is_worth_a_word}
    for name, kind in secrets.items():
        reading.secrets.setdefault(name, (kind, number))
        reading.deleted.discard(name)


def _hit(known: Iterable[str], gone: Iterable[str]) -> list[str]:
    """Paths that a layer replaces or removes; a name with ``/`` at its end stands for a folder."""
    exact = set(gone)
    below = tuple(name for name in exact if name.endswith("/"))
    return [name for name in known if name in exact or (below and name.startswith(below))]


def _seen(member: tarfile.TarInfo, name: str, options: Options) -> _Seen:
    folder, _, last = name.rpartition("/")
    is_program = member.isfile() or member.issym() or member.islnk()
    is_file = member.isfile() or member.islnk()
    return _Seen(
        is_setid=is_file and bool(member.mode & (stat.S_ISUID | stat.S_ISGID)),
        is_writable=member.isfile() and bool(member.mode & stat.S_IWOTH),
        tool=last
        if is_program and folder in _PROGRAM_FOLDERS and last in options.denied_tools
        else "",
    )


def _secret(layer: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> str | None:
    if not member.isfile() or member.size == 0 or name.startswith(_NOT_OURS):
        return None
    return sensitive(name, partial(_start, layer, member))


def _start(layer: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | None:
    file = layer.extractfile(member)
    return file.read(PEEK) if file else None


def _spend(reading: _Reading, member: tarfile.TarInfo) -> None:
    limits = reading.options.limits
    reading.entries += 1
    reading.octets += member.size
    if reading.entries > limits.image_entries or reading.octets > limits.image_bytes:
        raise Inconclusive("the image unpacks to more than the limits allow")


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """A layer's bytes; zstd is taken off here, gzip by the archive reader."""
    start = file.read(4)
    file.seek(0)
    if start != b"\x28\xb5\x2f\xfd":
        return file
    import zstandard

    opened: Callable[..., Any] = zstandard.ZstdDecompressor().stream_reader
    stream: IO[bytes] = opened(file)
    return stream
