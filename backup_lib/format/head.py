"""What a list of sets needs of their manifests, without the rest: a fingerprint may be large."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from backup_lib.format import manifest as codec
from restoreproof.errors import JudgedBad


@dataclass(frozen=True, slots=True)
class ArtifactHead:
    """Of :class:`~backup_lib.model.Artifact`."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class StoreHead:
    """Of :class:`~backup_lib.model.StoreRecord`."""

    name: str
    kind: str
    artifacts: tuple[ArtifactHead, ...]


@dataclass(frozen=True, slots=True)
class ManifestHead:
    """Of :class:`~backup_lib.model.Manifest`: the fields mean the same."""

    set_name: str
    set_id: str
    sequence: int
    started: datetime
    finished: datetime
    stores: tuple[StoreHead, ...]


def decode_head(data: bytes) -> ManifestHead:
    """The head of a manifest; what else is in it is not looked at. Check the signature first.

    Raises:
        JudgedBad: it is no manifest, or its head breaks a rule of the format.
        Inconclusive: it is of a version that is not known here.
    """
    from pydantic import ValidationError

    from backup_lib.format.document import HeadDocument, VersionDocument

    try:
        head = HeadDocument.model_validate_json(data).manifest
    except ValidationError as error:
        with suppress(ValidationError):
            version = VersionDocument.model_validate_json(data).version
            if version > codec.VERSION:
                raise codec.unknown_version(version) from None
        raise JudgedBad(codec.broken_at(error)) from None
    if head.sequence < 1:
        raise JudgedBad("the manifest breaks its format: sequence is not positive")
    return head
