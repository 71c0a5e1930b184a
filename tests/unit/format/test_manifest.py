from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_lib.destinations.base import SetRef
from backup_lib.format.manifest import (
    PAYLOAD_TYPE,
    decode,
    encode,
    version_of_payload_type,
)
from backup_lib.format.schemas import documents
from backup_lib.model import Artifact, Manifest, StoreRecord
from restoreproof import canonical_json
from restoreproof.errors import Inconclusive, InternalError, JudgedBad
from tests.harness.sets import a_backup, a_manifest

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
DIGEST = "0123456789abcdef" * 4
REF = SetRef("nightly", "20260301T120000Z-000001")


def artifact(name: str = "orders/database.dump.zst", role: str = "database") -> Artifact:
    return Artifact(name, role, "application/x", 10, DIGEST, 100)


def manifest(*artifacts: Artifact) -> Manifest:
    record = StoreRecord("orders", "postgres", a_backup(), artifacts or (artifact(),))
    return a_manifest(REF, (record,))


ENCODED = encode(manifest())


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(ENCODED)
    change(document)
    return canonical_json.dumps(document)


def store(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["manifest"]["stores"][0]
    return found


def test_what_was_encoded_is_decoded() -> None:
    assert decode(ENCODED) == manifest()
    assert encode(decode(ENCODED)) == ENCODED


names = st.text(min_size=1, max_size=40).filter(str.isprintable)
moments = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)  # fmt: skip


@given(
    name=names,
    moment=moments,
    sequence=st.integers(1, 2**70),
    skew=st.floats(0, 1e9),
    configuration=st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=3),
)
def test_any_manifest_survives(
    name: str,
    moment: datetime,
    sequence: int,
    skew: float,
    configuration: dict[str, Any],
) -> None:
    original = dataclasses.replace(
        manifest(),
        set_name=name,
        started=moment,
        sequence=sequence,
        skew_seconds=skew,
        configuration=configuration,
    )

    assert decode(encode(original)) == original


def test_moments_are_written_in_utc() -> None:
    zone = timezone(timedelta(hours=2))
    moved = dataclasses.replace(manifest(), started=manifest().started.astimezone(zone))

    assert encode(moved) == ENCODED


def test_a_later_version_is_not_judged_and_the_hint_says_upgrade() -> None:
    later = canonical_json.dumps(
        {"format": "restoreproof/manifest", "version": 2, "manifest": {"all": "new"}}
    )

    with pytest.raises(Inconclusive, match="version 2") as caught:
        decode(later)

    assert "upgrade" in caught.value.hint


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "another format": lambda d: d.update(format="something/else"),
    "version zero": lambda d: d.update(version=0),
    "version as a text": lambda d: d.update(version="1"),
    "version true": lambda d: d.update(version=True),
    "no manifest": lambda d: d.pop("manifest"),
    "an unknown field": lambda d: d.update(more=1),
    "an unknown field inside": lambda d: d["manifest"].update(more=1),
    "an unknown field deep inside": lambda d: store(d)["artifacts"][0].update(more=1),
    "a field left out": lambda d: d["manifest"].pop("tool"),
    "a number as a text": lambda d: d["manifest"].update(sequence="1"),
    "a moment without zone": lambda d: d["manifest"].update(started="2026-03-01T12:00:00"),
    "a moment in other digits": lambda d: d["manifest"].update(started="2026-03-01T12:00:00Z"),
    "a sequence of zero": lambda d: d["manifest"].update(sequence=0),
    "a skew below zero": lambda d: d["manifest"].update(skew_seconds=-1.0),
    "an empty set name": lambda d: d["manifest"].update(set_name=""),
    "a set name with a line break": lambda d: d["manifest"].update(set_name="a\nb"),
    "a store twice": lambda d: d["manifest"]["stores"].append(store(d)),
    "a store without name": lambda d: store(d).update(name=""),
    "a required set that is no digest": lambda d: d["manifest"].update(requires=["abc"]),
    "a negative size": lambda d: store(d)["artifacts"][0].update(size=-1),
    "a digest in capitals": lambda d: store(d)["artifacts"][0].update(sha256=DIGEST.upper()),
    "an unknown compression": lambda d: store(d)["artifacts"][0].update(compression="lz4"),
    "sizes that differ uncompressed": lambda d: store(d)["artifacts"][0].update(compression=""),
    "a role twice": lambda d: store(d)["artifacts"].append(
        {**store(d)["artifacts"][0], "name": "orders/other.zst"}
    ),
    "a name twice": lambda d: store(d)["artifacts"].append(
        {**store(d)["artifacts"][0], "role": "other"}
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_manifest_is_refused(what: str) -> None:
    with pytest.raises(JudgedBad, match="manifest"):
        decode(altered(BROKEN[what]))


@pytest.mark.parametrize(
    "name",
    [
        "/orders/a.zst", "orders/../a.zst", "../orders/a.zst", "orders//a.zst", "orders/./a.zst",
        "orders", "orders/", "", "other/a.zst", "orders/a\x00b", "orders/a b", "orders/é.zst",
        "orders/.hidden", "orders/-rf", "orders/a\\b", "orders/manifest.dsse.json",
        "orders/" + "a" * 256, "orders/" + "a/" * 600 + "a", "orders/a\n",
    ],
)  # fmt: skip
def test_an_artifact_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(JudgedBad, match="artifact name"):
        decode(altered(lambda d: store(d)["artifacts"][0].update(name=name)))


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, ENCODED + b"\n", b" " + ENCODED],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(JudgedBad):
        decode(data)


def test_a_manifest_that_could_not_be_read_back_is_not_written() -> None:
    for broken in (
        dataclasses.replace(manifest(), sequence=0),
        dataclasses.replace(manifest(), skew_seconds=float("nan")),
        dataclasses.replace(manifest(), started=datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the fault
        manifest(artifact("../../etc/passwd")),
        dataclasses.replace(manifest(), tool="\ud800"),
    ):
        with pytest.raises(InternalError, match="breaks its format"):
            encode(broken)


def test_payload_types_tell_versions_apart() -> None:
    assert version_of_payload_type(PAYLOAD_TYPE) == 1
    assert version_of_payload_type("application/vnd.restoreproof.manifest.v12+json") == 12
    assert version_of_payload_type("application/vnd.in-toto+json") is None


def test_the_committed_schemas_are_current() -> None:
    committed = {path.name: path.read_text() for path in SCHEMAS.iterdir()}

    assert committed == documents(), "run: python -m backup_lib.format.schemas docs/schemas"


def test_the_schema_accepts_manifests_and_refuses_others() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(documents()["manifest.v1.schema.json"]))

    assert [e.message for e in validator.iter_errors(json.loads(ENCODED))] == []
    refused = ("an unknown field", "a field left out", "a digest in capitals", "a number as a text")
    for what in refused:
        assert not validator.is_valid(json.loads(altered(BROKEN[what]))), what
