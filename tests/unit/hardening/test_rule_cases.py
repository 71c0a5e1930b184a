from __future__ import annotations

from pathlib import Path

import pytest

from hardening.model import Scan
from hardening.rules import Options, scan_files
from hardening.rules.catalogue import RULES
from tests.harness.rule_cases import COMPOSE_FILES, DOCKERFILES, Case

FILES = [
    *(("Dockerfile", case) for case in DOCKERFILES),
    *(("compose.yaml", case) for case in COMPOSE_FILES),
]


def named(value: object) -> str | None:
    return value.rule if isinstance(value, Case) else None


def lines(scan: Scan, rule: str) -> list[int]:
    return [found.place.line for found in scan.findings if found.rule == rule]


def scan_text(folder: Path, name: str, text: str) -> Scan:
    folder.joinpath(name).write_text(text)
    folder.joinpath("x").write_text("copied\n")  # what the cases copy
    scan = scan_files(folder)
    assert scan.scanned == (name,)
    assert scan.not_scanned == ()
    return scan


@pytest.mark.parametrize(("name", "case"), FILES, ids=named)
def test_rule_reports_the_bad_at_its_line_and_not_the_good(
    name: str, case: Case, tmp_path: Path
) -> None:
    assert lines(scan_text(tmp_path, name, case.bad), case.rule) == [case.line]
    assert lines(scan_text(tmp_path, name, case.good), case.rule) == []


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("case", DOCKERFILES, ids=named)
def test_line_ends_and_byte_order_marks_change_nothing(
    case: Case, start: str, ending: str, tmp_path: Path
) -> None:
    text = start + case.bad.replace("\n", ending)
    tmp_path.joinpath("Dockerfile").write_bytes(text.encode())
    assert case.line in lines(scan_files(tmp_path), case.rule)


def test_every_rule_over_files_has_cases() -> None:
    tested = {case.rule for _, case in FILES}
    assert tested == {name for name in RULES if name[3] in "DC"}


def test_every_rule_says_what_it_has_to() -> None:
    for name, rule in RULES.items():
        assert rule.id == name
        assert rule.title[:1].islower() or rule.title.startswith(("USER", "HEALTHCHECK", "ADD"))
        assert rule.why.endswith(".")
        assert rule.fix
        assert rule.references[0].startswith("https://")


def test_a_base_image_that_is_given_from_outside_is_named_by_its_argument(tmp_path: Path) -> None:
    scan = scan_text(tmp_path, "Dockerfile", "ARG BASE\nFROM ${BASE}\n")
    titles = {one.rule: one.title for one in scan.findings}
    assert titles["RP-D001"].endswith("no USER, and the user of the image in BASE is not known")
    assert titles["RP-D005"].endswith("pinned by digest: (set from outside: BASE)")


@pytest.mark.parametrize("image", ["b", "scratch"])
def test_a_user_in_a_variable_of_the_base_image_is_the_base_images(
    image: str, tmp_path: Path
) -> None:
    tmp_path.joinpath("Dockerfile").write_text(f"FROM {image}\nUSER root\nUSER $NB_UID\n")
    (found,) = [one for one in scan_files(tmp_path).findings if one.rule == "RP-D001"]
    assert found.place.line == 3
    options = Options(base_users={"*": "1000"})
    told = [one for one in scan_files(tmp_path, options).findings if one.rule == "RP-D001"]
    assert bool(told) is (image == "scratch")
