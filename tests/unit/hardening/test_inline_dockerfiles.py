"""Dockerfiles that stand in a Compose file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardening.model import Scan
from hardening.rules import Options, scan_compose, scan_files

COMPOSE = """\
services:
  web:
    build:
      context: .
      args: {NAME: root}
      dockerfile_inline: |
        FROM debian:12
        ARG NAME=app
        ENV PASSWORD=hunter2
        USER $$NAME
"""


def written(root: Path, text: str, name: str = "compose.yaml") -> Path:
    root.joinpath(name).write_text(text)
    return root


def places(scan: Scan, rule: str) -> list[tuple[str, int, str]]:
    return [
        (one.place.path, one.place.line, one.place.subject)
        for one in scan.findings
        if one.rule == rule
    ]


def test_it_is_judged_as_any_other_at_the_line_of_its_key(tmp_path: Path) -> None:
    scan = scan_files(written(tmp_path, COMPOSE))
    assert scan.scanned == ("compose.yaml",)
    assert scan.not_scanned == ()
    for rule in ("RP-D001", "RP-D013", "RP-D005"):
        assert places(scan, rule) == [("compose.yaml", 6, "web: stage 0")], rule
    assert len(places(scan, "RP-C001")) == 1  # the user that its image has
    assert "hunter2" not in repr(scan)


def test_it_is_judged_where_compose_files_are_given_together(tmp_path: Path) -> None:
    written(tmp_path, COMPOSE, "a.yaml")
    written(tmp_path, "services: {web: {user: '1000'}}\n", "b.yaml")
    scan = scan_compose([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert places(scan, "RP-D013") == [("a.yaml", 6, "web: stage 0")]


def test_its_context_is_judged_too(tmp_path: Path) -> None:
    tmp_path.joinpath("app").mkdir()
    tmp_path.joinpath("app", ".env").write_text("PASSWORD=hunter2\n")
    inline = '{context: app, dockerfile_inline: "FROM a\\nCOPY . /\\nUSER 1\\n"}'
    scan = scan_files(written(tmp_path, f"services: {{web: {{build: {inline}}}}}\n"))
    assert places(scan, "RP-X001") == [("compose.yaml", 1, "web: .env")]
    assert len(places(scan, "RP-X002")) == 1


@pytest.mark.parametrize("context", ["https://example.org/a.git", "../..", "nowhere"])
def test_it_is_judged_wherever_its_context_lies(context: str, tmp_path: Path) -> None:
    inline = f"{{context: '{context}', dockerfile_inline: \"FROM a\\nCOPY x /\\nUSER root\\n\"}}"
    scan = scan_files(written(tmp_path, f"services: {{web: {{build: {inline}}}}}\n"))
    assert len(places(scan, "RP-D001")) == 1
    assert [one.name for one in scan.not_scanned] == ["build context of compose.yaml (web)"]


def test_one_that_no_builder_would_take_is_a_gap(tmp_path: Path) -> None:
    text = 'services: {web: {build: {dockerfile_inline: "RUN x\\n"}}}\n'
    scan = scan_files(written(tmp_path, text))
    assert [one.name for one in scan.not_scanned] == ["compose.yaml (web: dockerfile_inline)"]


def test_every_service_has_its_own(tmp_path: Path) -> None:
    text = (
        'x-build: &b {dockerfile_inline: "FROM a\\nUSER root\\n"}\n'
        "services:\n  a: {build: *b}\n  b: {build: *b}\n"
    )
    scan = scan_files(written(tmp_path, text), Options())
    assert [subject for *_, subject in places(scan, "RP-D001")] == ["a: stage 0", "b: stage 0"]
