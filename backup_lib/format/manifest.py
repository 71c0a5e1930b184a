"""The manifest as canonical JSON, and back. Described in ``docs/FORMAT.md``.

Sealed with :data:`PAYLOAD_TYPE`. A version that this software does not know is not judged.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from backup_lib.destinations.base import MANIFEST_NAME
from backup_lib.model import Manifest, StoreRecord
from restoreproof import canonical_json
from restoreproof.clock import rfc3339
from restoreproof.errors import Inconclusive, InternalError, JudgedBad, UsageError
from restoreproof.pathnames import COMPONENT_PATTERN, encode_component, is_safe_path

if TYPE_CHECKING:
    from pydantic import ValidationError

FORMAT = "restoreproof/manifest"
VERSION = 1
PAYLOAD_TYPE = f"application/vnd.restoreproof.manifest.v{VERSION}+json"

_ANY_PAYLOAD_TYPE = re.compile(r"application/vnd\.restoreproof\.manifest\.v(\d{1,9})\+json")
_LONGEST_NAME = 200
_SHA256 = "[0-9a-f]{64}"

SCHEMA_PATTERNS: Mapping[tuple[str, str], str] = {
    ("Artifact", "sha256"): _SHA256,
    ("Artifact", "name"): f"{COMPONENT_PATTERN}(/{COMPONENT_PATTERN})+",
}
"""What JSON Schema can say of the rules below, by (class, field)."""


def encode(manifest: Manifest) -> bytes:
    """The canonical bytes of ``manifest``.

    Raises:
        InternalError: it breaks a rule of the format, so that :func:`decode` would refuse it.
    """
    try:
        encoded = _encode(manifest)
        decode(encoded)
    except (ValueError, JudgedBad) as error:
        raise InternalError(f"a manifest was made that breaks its format: {error}") from error
    return encoded


def decode(data: bytes) -> Manifest:
    """The manifest that ``data`` is the encoding of. Check the signature first.

    Raises:
        JudgedBad: it is no manifest, or breaks a rule of the format.
        Inconclusive: it is of a version that is not known here.
    """
    from pydantic import ValidationError

    from backup_lib.format.document import ManifestDocument

    try:
        head = canonical_json.loads(data)
    except canonical_json.NotCanonical as error:
        raise JudgedBad(f"the manifest is {error}") from None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise JudgedBad("the signed content is not a manifest")
    version = head.get("version")
    del head  # a large manifest is not held twice
    if type(version) is int and version > VERSION:
        raise unknown_version(version)
    try:
        manifest = ManifestDocument.model_validate_json(data).manifest
    except ValidationError as error:
        raise JudgedBad(broken_at(error)) from None
    for broken in _broken_rules(manifest):
        raise JudgedBad(f"the manifest breaks its format: {broken}")
    try:
        canonical = _encode(manifest) == data
    except ValueError as error:
        raise JudgedBad(f"the manifest breaks its format: {error}") from None
    if not canonical:
        raise JudgedBad("the manifest is not the canonical encoding of its content")
    return manifest


def broken_at(error: ValidationError) -> str:
    """The message for a document of another form than the format's."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"the manifest breaks its format at {where}: {first['msg']}"


def version_of_payload_type(payload_type: str) -> int | None:
    """The manifest version that a payload type stands for, if it is a manifest's."""
    match = _ANY_PAYLOAD_TYPE.fullmatch(payload_type)
    return int(match[1]) if match else None


def unknown_version(version: int) -> Inconclusive:
    """The error for a manifest of a later version."""
    return Inconclusive(
        f"the manifest is of version {version}, this software reads up to {VERSION}",
        hint="it was made by a newer restoreproof: upgrade this one",
    )


def _encode(manifest: Manifest) -> bytes:
    return canonical_json.dumps(
        {"format": FORMAT, "version": VERSION, "manifest": manifest}, default=_fields
    )


def _fields(value: object) -> object:
    """One dataclass, not what its sequences hold: those are encoded one after the other."""
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"{type(value).__name__} is nothing that JSON has")
    parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {
        name: _plain(part) if isinstance(part, Mapping | datetime) else part
        for name, part in parts.items()
    }


def _plain(value: object) -> object:
    """Mappings, what they hold, and moments as what JSON has."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a key that is not a text")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {value}")
        return rfc3339(value)
    return value


def _broken_rules(manifest: Manifest) -> Iterator[str]:
    """What types alone cannot say; see ``docs/FORMAT.md``, rules of a manifest."""
    yield from _broken_labels("set_name", manifest.set_name)
    yield from _broken_labels("set_id", manifest.set_id)
    if manifest.sequence < 1:
        yield "sequence is not positive"
    if manifest.skew_seconds < 0:
        yield "skew_seconds is negative"
    if not all(re.fullmatch(_SHA256, digest) for digest in manifest.requires):
        yield "requires holds something that is not a SHA-256"
    stores = [store.name for store in manifest.stores]
    if len(set(stores)) != len(stores):
        yield "a store is listed twice"
    for store in manifest.stores:
        yield from _broken_store(store)


def _broken_store(store: StoreRecord) -> Iterator[str]:
    yield from _broken_labels("store name", store.name)
    roles = [artifact.role for artifact in store.artifacts]
    names = [artifact.name for artifact in store.artifacts]
    if len(set(roles)) != len(roles) or len(set(names)) != len(names):
        yield f"store {store.name!r} lists an artifact twice"
    try:
        folder = encode_component(store.name) + "/"
    except UsageError as error:
        yield error.message
        return
    for artifact in store.artifacts:
        if not is_safe_path(artifact.name) or not artifact.name.startswith(folder):
            yield f"the artifact name {artifact.name!r} is not a path below {folder!r}"
        if artifact.name.rpartition("/")[2] == MANIFEST_NAME:
            yield f"the artifact name {artifact.name!r} is reserved"
        if artifact.size < 0 or artifact.plain_size < 0:
            yield f"the size of {artifact.name!r} is negative"
        if not re.fullmatch(_SHA256, artifact.sha256):
            yield f"the digest of {artifact.name!r} is not a SHA-256"
        if not artifact.compression and artifact.size != artifact.plain_size:
            yield f"the sizes of {artifact.name!r} differ without compression"


def _broken_labels(what: str, text: str) -> Iterator[str]:
    if not text or len(text) > _LONGEST_NAME or not text.isprintable():
        yield f"{what} is empty, too long or not printable"
