"""Reading VEX documents: OpenVEX, and the analysis inside CycloneDX. Pure: text in, data out.

Only statements that something is *not affected*, with a justification, or is fixed, are kept; and
of OpenVEX only those that no later statement of the document takes back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from hardening.policy.model import VexStatement
from restoreproof.errors import ConfigError

_PURL = re.compile(r"pkg:[^/]+/(?P<path>[^@?#]+)(?:@(?P<version>[^?#]+))?")


def read_vex(text: str, source: str) -> tuple[VexStatement, ...]:
    """The statements of a document.

    Args:
        text: the document.
        source: its name, for people.

    Raises:
        ConfigError: it is neither OpenVEX nor CycloneDX.
    """
    try:
        document = json.loads(text)
        if isinstance(document, dict) and "openvex" in str(document.get("@context", "")):
            return tuple(_openvex(document, source))
        if isinstance(document, dict) and document.get("bomFormat") == "CycloneDX":
            return tuple(_cyclonedx(document, source))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"the VEX document {source} cannot be read", hint="see openvex.dev for its format"
        ) from error
    raise ConfigError(
        f"{source} is neither an OpenVEX nor a CycloneDX document",
        hint="an OpenVEX document has @context, a CycloneDX one bomFormat",
    )


def package_of(purl: str) -> str:
    """``name`` or ``name@version`` of a package URL; empty where it is none."""
    found = _PURL.match(purl)
    if not found:
        return ""
    name = unquote(found["path"])
    if purl.startswith(("pkg:pypi/", "pkg:deb/", "pkg:apk/", "pkg:rpm/")):
        name = name.rpartition("/")[2]
    return f"{name}@{unquote(found['version'])}" if found["version"] else name


@dataclass(frozen=True, slots=True)
class _Said:
    """What one statement of OpenVEX says: of which names and packages, when, and where in it."""

    names: frozenset[str]
    packages: frozenset[str]
    when: datetime | None
    position: int

    def is_withdrawn_by(self, other: _Said) -> bool:
        """Whether the other one is later, and about the same; packages without names are all."""
        if self.when and other.when and self.when != other.when:
            later = other.when > self.when
        else:
            later = other.position > self.position
        same = "" in other.packages or not other.packages or self._bare() & other._bare()
        return later and bool(same) and bool(self.names & other.names)

    def _bare(self) -> frozenset[str]:
        return frozenset(one.rpartition("@")[0] or one for one in self.packages)


def _openvex(document: dict[str, Any], source: str) -> Iterator[VexStatement]:
    good: list[tuple[_Said, str]] = []
    bad: list[_Said] = []
    for position, one in enumerate(document["statements"]):
        about = one["vulnerability"]
        names = {about["name"], *about.get("aliases", [])} if isinstance(about, dict) else {about}
        packages = set()
        for product in one.get("products", []):
            parts = product.get("subcomponents") or [product]
            packages |= {package_of(_id(part)) for part in parts}
        when = _moment(one.get("timestamp") or document.get("timestamp"))
        said = _Said(frozenset(names), frozenset(packages), when, position)
        if one["status"] not in {"not_affected", "fixed"}:
            bad.append(said)
            continue
        reason = one.get("impact_statement") or one.get("justification") or ""
        if one["status"] == "fixed":
            reason = reason or "fixed"
        if reason and packages and "" not in packages:
            good.append((said, str(reason)))
    for said, reason in good:
        if not any(said.is_withdrawn_by(other) for other in bad):
            yield VexStatement(said.names, said.packages, reason, source)


def _moment(stated: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(stated))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _id(part: dict[str, Any]) -> str:
    identifiers = part.get("identifiers", {})
    return str(part.get("@id") or identifiers.get("purl", ""))


def _cyclonedx(document: dict[str, Any], source: str) -> Iterator[VexStatement]:
    purls = {one.get("bom-ref", ""): one.get("purl", "") for one in document.get("components", [])}
    for one in document.get("vulnerabilities", []):
        analysis = one.get("analysis", {})
        if analysis.get("state") not in {"not_affected", "false_positive", "resolved"}:
            continue
        reason = analysis.get("detail") or analysis.get("justification") or ""
        packages = {
            package_of(purls.get(affected["ref"]) or affected["ref"])
            for affected in one.get("affects", [])
        }
        if reason and packages and "" not in packages:
            names = {one["id"], *(other["id"] for other in one.get("references", []))}
            yield VexStatement(frozenset(names), frozenset(packages), str(reason), source)
