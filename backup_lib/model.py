"""The vocabulary of backup and verification: frozen data, no behaviour worth mentioning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from restoreproof.secrets import Secret
from restoreproof.verdict import Verdict, worst

if TYPE_CHECKING:
    JsonValue: TypeAlias = (
        "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
    )
else:  # a recursive alias cannot be evaluated at run time, as the manifest's codec does
    JsonValue = Any


class Rung(StrEnum):
    """A rung of the verification ladder, lowest first."""

    EXISTS = "exists"
    FRESH = "fresh"
    SIZE = "size"
    INTEGRITY = "integrity"
    RESTORE = "restore"
    CONTENT = "content"
    ASSERTIONS = "assertions"

    @property
    def height(self) -> int:
        """Position on the ladder, from 0."""
        return tuple(Rung).index(self)


class ProofLevel(StrEnum):
    """What a comparison of content established."""

    EXACT = "exact"
    BRACKETED = "bracketed"
    COUNTS = "counts"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class NotCovered:
    """Something that exists at the source and is not proven (or not even backed up)."""

    kind: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a fingerprint: a table, label, collection, index, key type.

    Attributes:
        kind: ``table``, ``large-objects``, ``sequence``, ``view definition`` …
        name: as the store spells it, quoted where the store would quote it.
        digest: hex digest of the content, independent of order; empty for a bounded item.
        count: number of rows, points, keys; None where that means nothing.
        low: for values that are outside the snapshot (sequences): the value read before …
        high: … and after. The restored value must lie between the two.
        expires: moment from which the store itself may drop the item (expiring keys).
    """

    kind: str
    name: str
    digest: str = ""
    count: int | None = None
    low: int | None = None
    high: int | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The content of one store at one moment, taken at the source.

    Attributes:
        method: name and version of the formula, such as ``postgres/1``; only equal methods compare.
        consistency: ``snapshot`` when it is of the very moment of the backup.
        items: sorted by kind and name.
        not_covered: what the fingerprint leaves out, and why.
    """

    method: str
    consistency: Literal["snapshot", "bracketed"]
    items: tuple[Item, ...]
    not_covered: tuple[NotCovered, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that is not the same in the source and in the restored copy."""

    kind: str
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The judgement over two fingerprints.

    Attributes:
        level: what was proven (``none`` when there are differences).
        equal: number of items proven equal.
        differences: items that differ, are missing, or were not at the source.
        unproven: items that could not be proven, each with the reason; never silent.
        proven_share: items proven equal in proportion to all items, 0 to 1.
    """

    level: ProofLevel
    equal: int
    differences: tuple[Difference, ...]
    unproven: tuple[NotCovered, ...]
    proven_share: float


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server is and offers.

    Attributes:
        product: ``PostgreSQL``, ``Valkey`` …
        version: as the server says it, such as ``18.6``.
        features: store-specific, flat and sorted: ``{"extension:hstore": "1.8", "tls": "no"}``.
    """

    product: str
    version: str
    features: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """Something a restore of this backup needs from the server.

    Attributes:
        feature: a key as in :attr:`ServerFacts.features`, or ``server`` for the version itself.
        value: the least version, the exact value, or empty where presence is enough.
        why: what in the backup needs it.
    """

    feature: str
    value: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A need that a server does not meet; the hint names the package or sandbox that closes it."""

    need: Need
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Target:
    """A server that a backup is restored into, or read back from.

    Attributes:
        kind: the store kind.
        params: connection parameters without secrets, in the store's own terms
            (libpq keywords for PostgreSQL).
        password: resolved late and never shown.
        disposable: True for a sandbox: nothing in it is worth keeping.
    """

    kind: str
    params: Mapping[str, str]
    password: Secret | None = None
    disposable: bool = False


@dataclass(frozen=True, slots=True)
class Artifact:
    """One stored object of a backup set.

    Attributes:
        name: path below the set, such as ``orders/database.dump.zst``; printable, relative.
        role: what it is to its store, such as ``database`` or ``globals``.
        media_type: of the plain content.
        size: stored bytes.
        sha256: hex digest of the stored bytes.
        plain_size: bytes before compression.
        compression: ``zstd`` or empty.
    """

    name: str
    role: str
    media_type: str
    size: int
    sha256: str
    plain_size: int
    compression: Literal["zstd", ""] = "zstd"


@dataclass(frozen=True, slots=True)
class StoreBackup:
    """What a store says about the backup it just made (its artifacts are known to the sink).

    Attributes:
        server: the source.
        moment: the point in time that the content is of.
        fingerprint: None when it was switched off; the proof is then at most ``counts``.
        needs: what a server must offer to restore it.
        not_covered: what is neither backed up nor proven.
        notes: remarks for people, such as ``roles without passwords``.
        details: what the restorer wants to know (format, encoding …): JSON, no secrets.
    """

    server: ServerFacts
    moment: datetime
    fingerprint: Fingerprint | None
    needs: tuple[Need, ...] = ()
    not_covered: tuple[NotCovered, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """One store inside a manifest."""

    name: str
    kind: str
    backup: StoreBackup
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup set says about itself. Written last; signed.

    Attributes:
        set_name: the configured set.
        set_id: unique; begins with the start time so that names sort.
        sequence: strictly rising within a set.
        started: when the run began.
        finished: when the last artifact was stored.
        skew_seconds: distance between the earliest and the latest moment of its stores.
        stores: in the order of the configuration.
        requires: digests of the manifests of other sets that this one depends on.
        tool: name and version of the writer.
        configuration: the set's non-secret configuration, enough to restore on a bare machine.
    """

    set_name: str
    set_id: str
    sequence: int
    started: datetime
    finished: datetime
    skew_seconds: float
    stores: tuple[StoreRecord, ...]
    requires: tuple[str, ...] = ()
    tool: str = ""
    configuration: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RungResult:
    """The outcome of one rung for one store of a set.

    Attributes:
        rung: which.
        verdict: the judgement.
        reason: one sentence: what was seen.
        hint: what to do next; empty when passed.
        seconds: time taken.
        remembered: moment of the earlier verification that this result rests on, if it does.
        reached: False where a lower rung stopped the climb before this one.
    """

    rung: Rung
    verdict: Verdict
    reason: str
    hint: str = ""
    seconds: float = 0.0
    remembered: datetime | None = None
    reached: bool = True


@dataclass(frozen=True, slots=True)
class StoreVerification:
    """All rungs of one store of a set, lowest first."""

    store: str
    kind: str
    rungs: tuple[RungResult, ...]
    comparison: Comparison | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst rung; nothing judged is inconclusive."""
        return worst(rung.verdict for rung in self.rungs)


@dataclass(frozen=True, slots=True)
class SetVerification:
    """The verification of one backup set (``set_id`` is empty where none was found).

    Attributes:
        set_name: the configured set.
        set_id: of the backup that was verified.
        at: when it ended.
        depth: the highest rung that was asked for.
        stores: every store of the set, in the order of the configuration.
        notes: remarks for people.
        manifest: SHA-256 of the signed manifest that was verified; empty where none could be read.
        proof: file of the signed proof; empty where none was kept.
    """

    set_name: str
    set_id: str
    at: datetime
    depth: Rung
    stores: tuple[StoreVerification, ...]
    notes: tuple[str, ...] = ()
    manifest: str = ""
    proof: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst store; nothing judged is inconclusive."""
        return worst(store.verdict for store in self.stores)
