"""A small vulnerability database for Trivy: a bbolt file, version 2, written page by page.

A real one cannot be fetched where tests run. Trivy itself reads this one, as it reads its own.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

Tree: TypeAlias = Mapping[bytes, "bytes | Tree"]

_PAGE = 4096
_LEAF, _META, _FREE_LIST = 0x02, 0x04, 0x10
_BUCKET = 0x01
_AFFECTED = 2
"""A status of Trivy's: known, and nothing mends it."""
_MAGIC, _VERSION = 0xED0CDAED, 2

GHSA = "pip::GitHub Security Advisory pip"

CRITICAL = {
    "package": "django",
    "id": "CVE-2026-1111",
    "vulnerable": "<1.3",
    "fixed": "1.3",
    "severity": "CRITICAL",
}
UNFIXABLE = {
    "package": "flask",
    "id": "CVE-2026-2222",
    "vulnerable": "<=9.9",
    "fixed": "",
    "severity": "HIGH",
}
OS = "debian 12"
OS_CRITICAL = {
    "os": OS,
    "package": "openssl",
    "id": "CVE-2026-3333",
    "fixed": "3.0.99-1",
    "severity": "CRITICAL",
}
OS_UNFIXABLE = {
    "os": OS,
    "package": "zlib1g",
    "id": "CVE-2026-4444",
    "fixed": "",
    "severity": "HIGH",
}
CONTROL = {
    "package": "jinja2",
    "id": "CVE-2019-10906",
    "vulnerable": "<2.10.1",
    "fixed": "2.10.1",
    "severity": "HIGH",
}


SYSTEM_CONTROL = {
    "os": OS,
    "package": "openssl",
    "id": "CVE-2000-5555",
    "fixed": "0.0.2",
    "severity": "LOW",
}
"""What our control for packages of a system is found by; no real version is as old."""


def write_database(
    cache: Path,
    *advisories: Mapping[str, str],
    updated: datetime | None = None,
    with_control: bool = True,
) -> Path:
    """A database with these advisories in a cache folder of Trivy.

    Args:
        cache: the folder.
        advisories: as :data:`CRITICAL`, or as :data:`OS_CRITICAL` for packages of a system.
        updated: when it says that it was made.
        with_control: whether it knows what our control plants.
    """
    all_ = [*advisories, *([CONTROL, SYSTEM_CONTROL] if with_control else [])]
    buckets: dict[str, dict[bytes, dict[bytes, bytes | Tree]]] = {GHSA: {}}
    details: dict[bytes, bytes | Tree] = {}
    for one in all_:
        bucket = buckets.setdefault(one.get("os", GHSA), {})
        bucket.setdefault(one["package"].encode(), {})[one["id"].encode()] = _json(_advisory(one))
        details[one["id"].encode()] = _json(
            {
                "Title": f"{one['package']} is vulnerable",
                "Severity": one["severity"],
                "VendorSeverity": {
                    _source(one)["ID"]: _LEVELS.index(one["severity"]),
                },
                "PublishedDate": "2026-11-01T00:00:00Z",
            }
        )
    sources = {one.get("os", GHSA).encode(): _json(_source(one)) for one in all_}
    tree: Tree = {
        b"data-source": sources,
        b"vulnerability": details,
        **{name.encode(): dict(packages) for name, packages in buckets.items()},
    }
    folder = cache / "db"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trivy.db").write_bytes(bolt(tree))
    made = updated or datetime.now(UTC)
    metadata = {
        "Version": 2,
        "UpdatedAt": made.isoformat(),
        "NextUpdate": (made + timedelta(days=36500)).isoformat(),
        "DownloadedAt": made.isoformat(),
    }
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return cache


_LEVELS = ("", "LOW", "MEDIUM", "HIGH", "CRITICAL")


def _advisory(one: Mapping[str, str]) -> Mapping[str, Any]:
    if "os" not in one:
        return {
            "VulnerableVersions": [one["vulnerable"]],
            "PatchedVersions": [one["fixed"]] if one["fixed"] else [],
        }
    return {"FixedVersion": one["fixed"]} if one["fixed"] else {"Status": _AFFECTED}


def _source(one: Mapping[str, str]) -> Mapping[str, str]:
    if "os" in one:
        return {"ID": "debian", "Name": "Debian Security Tracker", "URL": "https://debian.org"}
    return {"ID": "ghsa", "Name": "GitHub Security Advisory pip", "URL": "https://github.com"}


def bolt(tree: Tree) -> bytes:
    """A bbolt file whose root bucket holds ``tree``; all buckets are inline, on one long page."""
    root = _leaf(3, tree)
    pages = -(-len(root) // _PAGE)
    header = bytearray(root)
    struct.pack_into("<I", header, 12, pages - 1)
    free = struct.pack("<QHHI", 2, _FREE_LIST, 0, 0)
    metas = [_meta(number, 3, 2, 3 + pages) for number in (0, 1)]
    return b"".join(_padded(part) for part in (*metas, free, bytes(header)))


def _padded(page: bytes) -> bytes:
    return page + bytes(-len(page) % _PAGE)


def _meta(number: int, root: int, free: int, high: int) -> bytes:
    body = struct.pack("<IIIIQQQQQ", _MAGIC, _VERSION, _PAGE, 0, root, 0, free, high, number)
    checksum = 0xCBF29CE484222325
    for byte in body:
        checksum = ((checksum ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return struct.pack("<QHHI", number, _META, 0, 0) + body + struct.pack("<Q", checksum)


def _leaf(number: int, tree: Tree) -> bytes:
    """A leaf page: header, elements, then keys and values in the order of the keys."""
    entries = []
    for key in sorted(tree):
        value = tree[key]
        if isinstance(value, bytes):
            entries.append((0, key, value))
        else:
            entries.append((_BUCKET, key, struct.pack("<QQ", 0, 0) + _leaf(0, value)))
    head = struct.pack("<QHHI", number, _LEAF, len(entries), 0)
    elements, data = b"", b""
    offset = 16 * len(entries)
    for index, (flags, key, value) in enumerate(entries):
        elements += struct.pack(
            "<IIII", flags, offset + len(data) - 16 * index, len(key), len(value)
        )
        data += key + value
    return head + elements + data


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()
