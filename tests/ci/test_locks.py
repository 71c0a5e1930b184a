from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.harness.locks import Lock, locks, pyproject

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
by_name = pytest.mark.parametrize("lock", locks(), ids=lambda lock: lock.name)


def applies(requirement: Requirement, python: str) -> bool:
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    return requirement.marker is None or requirement.marker.evaluate(here)


def satisfies(pin: Requirement, need: Requirement) -> bool:
    (exact,) = pin.specifier
    same = canonicalize_name(pin.name) == canonicalize_name(need.name)
    return same and need.specifier.contains(exact.version, prereleases=True)


@by_name
def test_lock_pins_every_direct_requirement_at_a_version_that_satisfies_it(lock: Lock) -> None:
    missing = [
        f"{need} on Python {python}"
        for need in lock.needs()
        for python in PYTHONS
        if applies(need, python)
        and not any(satisfies(pin, need) and applies(pin, python) for pin in lock.pins())
    ]
    assert not missing, f"out of date; ./nox -s lock writes {lock.path.name} anew"


@by_name
def test_lock_pins_one_exact_version_with_hashes(lock: Lock) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.path.read_text())[1:]
    assert len(entries) == len(lock.pins()) >= len(lock.groups) + 2
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    loose = [str(p) for p in lock.pins() if not re.fullmatch(r"==[^*,]+", str(p.specifier))]
    assert loose == []


@by_name
def test_lock_names_no_index_host_or_path(lock: Lock) -> None:
    text = lock.path.read_text()
    assert (
        re.findall(r"^.*(?:://|--index|--find-links|--extra-index|@ |file:).*$", text, re.MULTILINE)
        == []
    )
    assert re.findall(r"^.*[\s\"'(]/\w+/.*$", text, re.MULTILINE) == []


@by_name
def test_lock_leaves_pandas_out(lock: Lock) -> None:
    assert "pandas" not in {pin.name for pin in lock.pins()}


def test_a_package_has_one_version_whatever_the_lock() -> None:
    first, *others = ({(p.name, str(p.marker)): p.specifier for p in lk.pins()} for lk in locks())
    for other in others:
        assert {k: v for k, v in other.items() if k in first and first[k] != v} == {}


def test_all_holds_every_extra_but_the_demonstration() -> None:
    extras = pyproject()["project"]["optional-dependencies"]
    (everything,) = (Requirement(line) for line in extras["all"])
    assert everything.extras == set(extras) - {"all", "demo"}
