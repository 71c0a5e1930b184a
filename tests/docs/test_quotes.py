"""Commands that hints name, and messages that runbooks quote, are those of the program."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from invoke.parser.context import ParserContext

from restoreproof_cli.tasks import namespace
from tests.harness.markdown_commands import blocks

ROOT = Path(__file__).parents[2]
PACKAGES = ("backup_lib", "restoreproof", "restoreproof_cli", "hardening")
RUNBOOK = ROOT / "docs" / "RUNBOOK-BACKUP-RESTORE.md"
DOCUMENTS = (
    # the design names tasks that are to come, and says so
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "DESIGN.md"),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
)

COMMAND = re.compile(r"\binv (?P<task>[a-z]+\.[a-z-]+)(?P<rest>(?: +[^\s;|&`)(,]+)*)")
QUOTED = re.compile(r'"([^"]+)"')
ANYTHING = "\0"
"""Stands for what is put into a message when it is said."""


def texts(file: Path) -> Iterator[str]:
    """Every text of a module; f-strings with :data:`ANYTHING` for what they put in."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else ANYTHING
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def said() -> tuple[str, ...]:
    """All that the program can say."""
    return tuple(
        text
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        for text in texts(file)
    )


@cache
def tasks() -> dict[str, set[str]]:
    """The options of every task."""
    contexts: list[ParserContext] = namespace().to_contexts()
    return {
        name: set(context.flags)
        for context in contexts
        for name in (context.name, *context.aliases)
        if name
    }


def wrong_commands(text: str) -> Iterator[str]:
    """The commands in ``text`` that the program does not know."""
    for found in COMMAND.finditer(text):
        task = found["task"].rstrip(".")
        options = re.findall(r"(?<=\s)--[a-z][a-z-]*", found["rest"])
        if task not in tasks() or not set(options) <= tasks()[task]:
            yield found[0]


def test_every_command_that_the_program_names_exists() -> None:
    named = [text for text in said() if COMMAND.search(text)]
    assert len(named) > 20
    assert [wrong for text in named for wrong in wrong_commands(text)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    assert list(wrong_commands(document.read_text())) == []


def test_a_command_that_does_not_exist_is_seen() -> None:
    hint = "make one: inv backup.keys --new; or inv backup.mend --all (inv backup.run --set NAME)"
    assert list(wrong_commands(hint)) == ["inv backup.keys --new", "inv backup.mend --all"]


def extras_named() -> Iterator[str]:
    """Every extra that the program tells to install."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text())):
                if not isinstance(call, ast.Call) or not isinstance(
                    call.func, ast.Name | ast.Subscript
                ):
                    continue
                if getattr(call.func, "id", "") in {"extra_hint", "MissingExtra"}:
                    named = call.args[-1:]
                else:
                    tables = [kw.value for kw in call.keywords if kw.arg == "extra"]
                    named = [
                        v for table in tables if isinstance(table, ast.Dict) for v in table.values
                    ]
                for one in named:
                    if isinstance(one, ast.Constant):
                        yield str(one.value)


def test_the_readme_tells_how_to_get_every_extra_that_a_hint_names() -> None:
    readme = (ROOT / "README.md").read_text()
    install = readme.partition("\n### Install\n")[2].partition("\n#")[0]
    told = set(re.findall(r"^\| `([a-z]+)` \|", install, re.MULTILINE))
    named = set(extras_named())
    assert {"alerts", "embedded", "hardening", "postgres"} <= named <= told
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told <= set(offered["optional-dependencies"])


def test_every_message_that_a_runbook_quotes_is_said() -> None:
    quotes = [
        quote
        for line in RUNBOOK.read_text().splitlines()
        if line.startswith("|")
        for quote in QUOTED.findall(line.split("|")[1])
    ]
    assert len(quotes) > 8
    # what stands before and after "…" may come from different texts
    pieces = [piece.strip() for quote in quotes for piece in quote.split("…")]
    assert [piece for piece in pieces if not any(piece in text for text in said())] == []


@pytest.mark.parametrize(("run", "verify"), [(0, 0), (5, 0), (0, 1), (5, 1)])
def test_the_cron_line_verifies_whatever_became_of_the_run(
    run: int, verify: int, tmp_path: Path
) -> None:
    (line,) = [
        block.script for block in blocks(RUNBOOK) if block.by_hand and "backup.run" in block.script
    ]
    command = line.split(maxsplit=5)[5].strip()
    called = tmp_path / "called"
    program = tmp_path / "inv"
    program.write_text(
        f'#!/bin/sh\necho "$1" >> "{called}"\n'
        f'case "$1" in backup.run) exit {run};; backup.verify) exit {verify};; esac\n'
    )
    program.chmod(0o755)
    assert "/opt/restoreproof/inv" in command  # cron's PATH has no inv
    command = command.replace("/opt/restoreproof/inv", str(program))
    command = command.replace("/srv/backup", str(tmp_path))
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin"}, check=False, timeout=20
    )
    assert called.read_text().split() == ["backup.run", "backup.verify"]
    assert done.returncode == (verify or run)
