"""A small image as ``docker save`` writes one, without any engine: a Debian with these packages."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'


def debian(packages: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a Debian 12 by which scanners know it, and its packages."""
    status = "".join(
        f"Package: {name}\nStatus: install ok installed\nMaintainer: x\nArchitecture: amd64\n"
        f"Version: {version}\nDescription: x\n\n"
        for name, version in packages.items()
    )
    return {
        "etc/debian_version": b"12.5\n",
        "etc/os-release": RELEASE.encode(),
        "var/lib/dpkg/status": status.encode(),
    }


def write_image(path: Path, files: Mapping[str, bytes], *, zeros: Mapping[str, int] = {}) -> Path:
    """An image of one layer.

    Args:
        path: of the archive.
        files: name and content.
        zeros: name and size of files of zeros, which take no room on the disk.
    """
    layer = path.with_suffix(".layer")
    with layer.open("wb") as raw:
        for name, content in files.items():
            _member(raw, name, len(content))
            raw.write(content + bytes(-len(content) % 512))
        for name, size in zeros.items():
            _member(raw, name, size)
            raw.seek(size + (-size % 512), io.SEEK_CUR)
        raw.write(bytes(1024))
    digest = hashlib.sha256()
    with layer.open("rb") as raw:
        while piece := raw.read(1 << 22):
            digest.update(piece)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": "1000:1000"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]},
            "history": [{"created": "2026-11-25T00:00:00Z", "created_by": "COPY . /"}],
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["sample:1"], "Layers": ["layer.tar"]}])
    with path.open("wb") as raw:
        for member, content in ((name, config), ("manifest.json", manifest.encode())):
            _member(raw, member, len(content))
            raw.write(content + bytes(-len(content) % 512))
        _member(raw, "layer.tar", layer.stat().st_size)
        _copy_with_holes(layer, raw)
        raw.write(bytes(1024))
    layer.unlink()
    return path


def _member(raw: io.BufferedWriter, name: str, size: int) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o644
    raw.write(header.tobuf(tarfile.GNU_FORMAT))


def _copy_with_holes(source: Path, target: io.BufferedWriter) -> None:
    with source.open("rb") as raw:
        while piece := raw.read(1 << 20):
            if piece.count(0) == len(piece):
                target.seek(len(piece), io.SEEK_CUR)
            else:
                target.write(piece)
