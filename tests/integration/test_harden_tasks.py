"""The tasks as somebody types them: exit codes, files, what is said first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.locks import ROOT

BANDIT = '[scanner.bandit]\nkind = "bandit"\n'


def call(folder: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    keep = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "restoreproof_cli.main", *argv],
        cwd=folder,
        env={**keep, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("import subprocess\nsubprocess.call('ls')\n")
    (tmp_path / "restoreproof.toml").write_text(BANDIT)
    return tmp_path


def bad(folder: Path) -> None:
    (folder / "a.py").write_text("import subprocess\nsubprocess.call(x, shell=True)\n")


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    parsed = json.loads(done.stdout)
    assert isinstance(parsed, dict)
    return parsed


def test_clean_is_0_findings_are_1_could_not_judge_is_2_wrong_is_3(folder: Path) -> None:
    assert call(folder, "harden.scan").returncode == 0
    bad(folder)
    assert call(folder, "harden.scan").returncode == 1
    (folder / "a.py").write_text("def (\n")
    done = call(folder, "harden.scan")
    assert done.returncode == 2
    assert done.stdout.startswith("not judged  bandit: a.py syntax error")
    assert call(folder, "harden.scan", "--only", "bandid").returncode == 3
    (folder / "restoreproof.toml").write_text("[hardening]\nblok = 1\n")
    assert call(folder, "harden.scan").returncode == 3


def test_nothing_to_look_at_is_not_clean(folder: Path) -> None:
    (folder / "a.py").unlink()
    done = call(folder, "harden.scan", "--json")
    assert done.returncode == 2
    assert document(done)["verdict"] == "inconclusive"


def test_an_empty_folder_is_not_clean_without_a_configuration_either(tmp_path: Path) -> None:
    done = call(tmp_path, "harden.scan", "--offline")
    assert done.returncode == 2
    assert done.stdout.strip() == "INCONCLUSIVE: nothing was looked at"


def test_a_folder_that_was_renamed_is_not_clean(folder: Path) -> None:
    (folder / "restoreproof.toml").write_text(f'{BANDIT}paths = [".", "srcc"]\n')
    done = call(folder, "harden.scan")
    assert done.returncode == 2
    assert done.stdout.startswith("not judged  bandit: srcc is not there")


def test_a_root_that_is_not_there_is_a_wrong_call(folder: Path) -> None:
    (folder / "restoreproof.toml").write_text(f'[hardening]\nroot = "nowhere"\n{BANDIT}')
    done = call(folder, "harden.scan")
    assert done.returncode == 3
    assert "there is no folder at" in done.stderr


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        (("--output", "no/such/x.json"), "there is no folder for no/such/x.json"),
        (("--markdown", "."), ". is a folder"),
        (("--sarif", "a.py"), "a.py is a file"),
    ],
)
def test_where_reports_cannot_go_is_told_before_anything_is_scanned(
    folder: Path, argument: tuple[str, str], told: str
) -> None:
    done = call(folder, "harden.scan", *argument)
    assert done.returncode == 3
    assert told in done.stderr
    assert "bandit" not in done.stderr


COMPOSE = "services:\n  web:\n    image: x\n    privileged: true\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("harden.scan", "--only", "bandit"),
        ("harden.compose", "--file", "compose.yaml"),
        ("harden.image", "nothing", "--offline"),
        ("harden.live",),
    ],
    ids=lambda argv: argv[0],
)
def test_the_document_names_the_task_that_wrote_it(folder: Path, argv: tuple[str, ...]) -> None:
    (folder / "compose.yaml").write_text(COMPOSE)
    done = call(folder, *argv, "--output", "result.json", DOCKER_HOST="unix:///nowhere")
    written = json.loads((folder / "result.json").read_text())
    assert written["task"] == argv[0]
    assert written["exit_code"] == done.returncode


@pytest.mark.parametrize("argv", [("harden.live",), ("harden.image", "nothing", "--offline")])
def test_without_an_engine_nothing_is_judged(folder: Path, argv: tuple[str, ...]) -> None:
    done = call(folder, *argv, DOCKER_HOST="unix:///nowhere")
    assert done.returncode == 2
    assert "the Docker engine does not answer" in done.stdout
    assert "DOCKER_HOST" in done.stdout


@pytest.mark.usefixtures("scanner_tools")
def test_compose_files_of_two_folders_are_all_looked_at_by_both(folder: Path) -> None:
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    (folder / "one" / "compose.yaml").write_text(COMPOSE)
    (folder / "two" / "over.yaml").write_text("services:\n  web:\n    user: root\n")
    argv = ("harden.compose", "--file", "compose.yaml", "--file", "../two/over.yaml", "--json")
    scans = document(call(folder / "one", *argv))["result"]["judgement"]["scans"]
    assert [(scan["tool"], len(scan["scanned"])) for scan in scans] == [
        ("restoreproof", 2),
        ("compose-lint", 2),
    ]


def test_one_scanner_alone_says_nothing_about_ignores_of_the_others(folder: Path) -> None:
    unused = '[[hardening.ignore]]\nid = "DL3007"\nreason = "it is pinned elsewhere"\n'
    unused += f'owner = "ops"\nexpires = {datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}\n'
    (folder / "restoreproof.toml").write_text(unused + BANDIT)
    assert "ignore-unused" in call(folder, "harden.scan").stdout
    assert "ignore-unused" not in call(folder, "harden.scan", "--only", "bandit").stdout


def test_findings_about_the_policy_name_the_file_that_it_stands_in(folder: Path) -> None:
    expired = '[[hardening.ignore]]\nid = "DL3007"\nreason = "it is pinned elsewhere"\n'
    expired += 'owner = "ops"\nexpires = 2026-01-01\n'
    (folder / "policy.toml").write_text(expired + BANDIT)
    done = call(folder, "harden.scan", "--config", "policy.toml")
    assert "policy.toml DL3007  the ignore of DL3007 expired on 2026-01-01" in done.stdout


def test_a_baseline_is_not_made_of_one_scanner_alone(folder: Path) -> None:
    (folder / "restoreproof.toml").write_text(f'[hardening]\nbaseline = "base.json"\n{BANDIT}')
    done = call(folder, "harden.scan", "--write-baseline", "--only", "bandit")
    assert done.returncode == 3
    assert not (folder / "base.json").exists()


def test_reports_are_written_whatever_the_verdict(folder: Path) -> None:
    bad(folder)
    done = call(
        folder,
        *("harden.scan", "--json", "--sarif", "sarif", "--markdown", "summary.md"),
        *("--output", "result.json"),
    )
    assert done.returncode == 1
    assert json.loads((folder / "result.json").read_text())["verdict"] == "failed"
    assert document(done)["result"]["judgement"]["verdict"] == "failed"
    assert [path.name for path in (folder / "sarif").iterdir()] == ["bandit.sarif"]
    assert "B602" in (folder / "summary.md").read_text()


def test_a_baseline_lets_the_old_pass_and_not_the_new(folder: Path) -> None:
    bad(folder)
    (folder / "restoreproof.toml").write_text(f'[hardening]\nbaseline = "base.json"\n{BANDIT}')
    assert call(folder, "harden.scan").returncode == 3  # there is none yet
    written = call(folder, "harden.scan", "--write-baseline")
    assert written.returncode == 1
    assert "1 findings are in the baseline base.json now" in written.stderr
    assert call(folder, "harden.scan").returncode == 0
    with (folder / "a.py").open("a") as file:
        file.write("subprocess.call(y, shell=True)\n")
    assert call(folder, "harden.scan").returncode == 1


def test_offline_says_not_judged_first_and_blocks_in_ci(folder: Path) -> None:
    (folder / "requirements.txt").write_text("rich==15.0.0\n")
    (folder / "restoreproof.toml").write_text(f'{BANDIT}[scanner.locks]\nkind = "pip-audit"\n')
    laptop = call(folder, "harden.scan", "--offline")
    assert laptop.returncode == 0
    assert laptop.stdout.startswith("not judged  pip-audit: no vulnerability service was asked")
    assert "not judged: pip-audit" in laptop.stdout.splitlines()[-1]
    assert call(folder, "harden.scan", "--offline", CI="true").returncode == 2
    alone = call(folder, "harden.scan", "--offline", "--only", "locks")
    assert alone.returncode == 2


@pytest.mark.parametrize("name", ["DS-0002", "dl3002", "root-user", "CIS-4.1"])
def test_a_rule_is_explained_by_any_of_its_names(folder: Path, name: str) -> None:
    done = call(folder, "harden.explain", name)
    assert done.returncode == 0
    assert done.stdout.startswith("root-user  The last user of the image is root.")


def test_an_unknown_rule_is_a_wrong_call(folder: Path) -> None:
    done = call(folder, "harden.explain", "DS-9999")
    assert done.returncode == 3
    assert "nothing is known here" in done.stderr


def test_nothing_of_a_hostile_tree_is_printed_raw(tmp_path: Path) -> None:
    for name in ("\x1b]0;owned\x07red", "new\nline", "::error::x", "\u202eevil", "|cell|<b>@all"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(f"FROM {name.splitlines()[0]}\nUSER root\n")
        (tmp_path / name / "a.py").write_text("import subprocess\nsubprocess.call(x, shell=True)\n")
    (tmp_path / "\x1b[2Jout.py").symlink_to("/etc/passwd")
    (tmp_path / "restoreproof.toml").write_text(f'{BANDIT}[scanner.rules]\nkind = "restoreproof"\n')
    argv = ("harden.scan", "--sarif", "sarif", "--markdown", "summary.md", "--output", "out.json")
    done = call(tmp_path, *argv)
    assert done.returncode == 1
    written = [(tmp_path / name).read_text() for name in ("summary.md", "out.json")]
    written += [path.read_text() for path in (tmp_path / "sarif").iterdir()]
    assert len(written) == 4
    for text in (done.stdout, done.stderr, *written):
        allowed = "\n\u200b\ufe0f"
        assert [one for one in text if not one.isprintable() and one not in allowed] == []
        assert not [line for line in text.splitlines() if line.startswith("::")]
    assert "<b>" not in written[0]
    assert "@all" not in written[0]
    gaps = json.loads(written[1])["result"]["judgement"]["gaps"]
    assert [gap["what"]["name"] for gap in gaps] == ["\x1b[2Jout.py"]
