"""The statement of a verification, as data: in-toto Statement v1 with a predicate of our own.

Strict: what this version does not know is refused, so nobody reads half of what a proof says.
The words (rungs, levels) are those of ``docs/FORMAT.md``; they are the format's, and stay when the
software's own vocabulary grows.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from restoreproof.clock import rfc3339
from restoreproof.verdict import Verdict, worst

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, PlainSerializer(rfc3339, when_used="json")]
RungName = Literal["exists", "fresh", "size", "integrity", "restore", "content", "assertions"]
Level = Literal["exact", "bracketed", "counts", "none"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class DigestSet(_Part):
    """Digests of one subject."""

    sha256: Sha256


class Subject(_Part):
    """Something that the proof is about: the stored bytes with that digest."""

    name: Name
    digest: DigestSet

    @classmethod
    def of(cls, name: str, sha256: str) -> Subject:
        """The subject ``name`` with that hex digest."""
        return cls(name=name, digest=DigestSet(sha256=sha256))


class SetName(_Part):
    """Which backup set was verified."""

    name: Name
    id: Name
    sequence: Annotated[int, Field(ge=1)]


class Verifier(_Part):
    """What verified it."""

    name: Name
    version: Name


class Moments(_Part):
    """When things were: the run that made the set, and its verification."""

    backup_started: Moment
    backup_finished: Moment
    verified: Moment


class RungOutcome(_Part):
    """One rung of the ladder; ``remembered`` where the result rests on an earlier verification."""

    rung: RungName
    verdict: Verdict
    reason: str
    seconds: Seconds
    remembered: Moment | None = None


class ItemNote(_Part):
    """An item that differs, or that could not be proven: which, and what or why."""

    kind: str
    name: str
    reason: str


class StoreOutcome(_Part):
    """The verification of one store of the set.

    ``level`` is what the comparison of content established, ``proven_share`` the items proven equal
    in proportion to all; ``none`` and 0 where the content was not compared.
    """

    name: Name
    kind: Name
    verdict: Verdict
    content_moment: Moment
    rungs: tuple[RungOutcome, ...]
    level: Level
    proven_share: Annotated[float, Field(ge=0, le=1)]
    equal: Annotated[int, Field(ge=0)]
    differences: tuple[ItemNote, ...] = ()
    unproven: tuple[ItemNote, ...] = ()


def _consistent(predicate: Predicate) -> Predicate:
    for store in predicate.stores:
        if store.verdict is not worst(rung.verdict for rung in store.rungs):
            raise ValueError(f"the verdict of store {store.name!r} is not that of its rungs")
    if predicate.verdict is not worst(store.verdict for store in predicate.stores):
        raise ValueError("the verdict is not that of the stores")
    return predicate


class Predicate(_Part):
    """What a verification established. The verdict of the whole is its worst, none is no pass."""

    set: SetName
    verdict: Verdict
    depth: RungName
    stores: tuple[StoreOutcome, ...]
    moments: Moments
    verifier: Verifier
    notes: tuple[str, ...] = ()


class Statement(_Part):
    """An in-toto Statement v1 about one backup set."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(
        default="https://in-toto.io/Statement/v1", alias="_type"
    )
    subject: Annotated[tuple[Subject, ...], Field(min_length=1)]
    predicate_type: Literal["urn:restoreproof:proof:v1"] = Field(
        default="urn:restoreproof:proof:v1", alias="predicateType"
    )
    predicate: Annotated[Predicate, AfterValidator(_consistent)]
