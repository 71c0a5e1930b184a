from __future__ import annotations

import json
from typing import Any

import pytest

from hardening.policy.vex import package_of, read_vex
from restoreproof.errors import ConfigError

OPENVEX: dict[str, Any] = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "statements": [
        {
            "vulnerability": {"name": "CVE-2026-1", "aliases": ["GHSA-1"]},
            "products": [{"@id": "pkg:pypi/django@1.2"}],
            "status": "not_affected",
            "justification": "vulnerable_code_not_in_execute_path",
        }
    ],
}
CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "components": [{"bom-ref": "d", "purl": "pkg:pypi/django@1.2"}],
    "vulnerabilities": [
        {
            "id": "CVE-2026-1",
            "analysis": {"state": "not_affected", "detail": "not reachable"},
            "affects": [{"ref": "d"}],
        }
    ],
}


@pytest.mark.parametrize("document", [OPENVEX, CYCLONEDX])
def test_a_statement_is_read(document: dict[str, Any]) -> None:
    (statement,) = read_vex(json.dumps(document), "vex.json")
    assert "CVE-2026-1" in statement.names
    assert statement.packages == {"django@1.2"}
    assert statement.reason
    assert statement.source == "vex.json"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "under_investigation"},
        {"status": "affected"},
        {"justification": ""},
        {"products": []},
        {"products": [{"@id": "not a package URL"}]},
    ],
)
def test_what_says_less_than_not_affected_and_why_is_left_out(change: dict[str, Any]) -> None:
    document = {**OPENVEX, "statements": [{**OPENVEX["statements"][0], **change}]}
    assert read_vex(json.dumps(document), "x") == ()


GOOD = OPENVEX["statements"][0]
BAD = {**GOOD, "status": "affected"}
DAY = {"timestamp": "2026-11-01T00:00:00Z"}
NEXT = {"timestamp": "2026-11-02T01:00:00+02:00"}


@pytest.mark.parametrize(
    ("statements", "kept"),
    [
        ([GOOD, BAD], 0),
        ([BAD, GOOD], 1),
        ([GOOD, {**BAD, "status": "under_investigation"}], 0),
        ([GOOD | DAY, BAD | NEXT], 0),
        ([BAD | NEXT, GOOD | DAY], 0),
        ([GOOD | NEXT, BAD | DAY], 1),
        ([GOOD, {**BAD, "products": [{"@id": "pkg:pypi/django"}]}], 0),
        ([GOOD, {**BAD, "products": [{"@id": "pkg:pypi/flask@1.2"}]}], 1),
        ([GOOD, {**BAD, "products": []}], 0),
        ([GOOD, {**BAD, "vulnerability": {"name": "GHSA-1"}}], 0),
        ([GOOD, {**BAD, "vulnerability": {"name": "CVE-2026-9"}}], 1),
    ],
)
def test_a_later_statement_takes_an_earlier_one_back(statements: list[Any], kept: int) -> None:
    document = {**OPENVEX, "statements": statements}
    assert len(read_vex(json.dumps(document), "x")) == kept


@pytest.mark.parametrize("state", ["exploitable", "in_triage", None])
def test_other_states_of_cyclonedx_are_left_out(state: str | None) -> None:
    one = {**CYCLONEDX["vulnerabilities"][0], "analysis": {"state": state, "detail": "x"}}
    assert read_vex(json.dumps({**CYCLONEDX, "vulnerabilities": [one]}), "x") == ()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"@context": "openvex"}', "[" * 100_000, '{"bomFormat": "CycloneDX", "x": '],
)
def test_a_broken_document_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        read_vex(text, "broken.json")


@pytest.mark.parametrize(
    ("purl", "package"),
    [
        ("pkg:pypi/django@1.2", "django@1.2"),
        ("pkg:pypi/django", "django"),
        ("pkg:deb/debian/openssl@3.0.1?arch=amd64", "openssl@3.0.1"),
        ("pkg:npm/%40scope/name@1", "@scope/name@1"),
        ("pkg:pypi/x@1%2Blocal", "x@1+local"),
        ("https://example.org", ""),
    ],
)
def test_package_urls(purl: str, package: str) -> None:
    assert package_of(purl) == package
