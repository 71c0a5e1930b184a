"""The truth table: whatever a scanner's child does, nothing that was not looked at is green."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardening.kinds import SCANNERS
from hardening.model import Cause
from hardening.scanners.base import Circumstances
from restoreproof.verdict import Verdict
from tests.harness.scanner_bench import Bench, judged
from tests.harness.scanner_fakes import SPECIMENS, Specimen

HANGS = "exec sleep 60"
CRASHES = "kill -SEGV $$"

each = pytest.mark.parametrize("specimen", SPECIMENS.values(), ids=lambda one: one.kind)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_every_kind_has_a_specimen() -> None:
    assert set(SPECIMENS) == set(SCANNERS.names()) - {"restoreproof"}  # has no child


@pytest.mark.parametrize(
    ("specimen", "code"),
    [
        pytest.param(one, code, id=f"{one.kind}-{code}")
        for one in SPECIMENS.values()
        for code in one.endings
    ],
)
def test_the_truth_is_believed(bench: Bench, specimen: Specimen, code: int) -> None:
    scan = bench.scan(specimen, specimen.clean, f"exit {code}")
    assert judged(scan).verdict is Verdict.PASSED, judged(scan).gaps
    assert set(scan.scanned)
    assert scan.not_scanned == ()
    assert scan.version


@pytest.mark.parametrize(
    ("specimen", "code"),
    [
        pytest.param(one, code, id=f"{one.kind}-{code}")
        for one in SPECIMENS.values()
        for code in (1, 2, 3, 126, 127, 255)
        if code not in one.endings
    ],
)
def test_a_clean_report_beside_the_exit_code_of_a_failure_is_no_pass(
    bench: Bench, specimen: Specimen, code: int
) -> None:
    scan = bench.scan(specimen, specimen.clean, f"exit {code}")
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.scanned == ()
    assert f"exit code {code}" in scan.not_scanned[0].reason


@each
@pytest.mark.parametrize("code", [0, 1, 2, 14, 127])
def test_findings_count_whatever_the_exit_code(bench: Bench, specimen: Specimen, code: int) -> None:
    judgement = judged(bench.scan(specimen, specimen.found, f"exit {code}"))
    assert judgement.verdict is Verdict.FAILED
    assert len(judgement.blocking) == (2 if specimen.kind == "check-jsonschema" else 1)


@each
@pytest.mark.parametrize("code", [0, 1])
def test_a_report_without_the_planted_weakness_judges_nothing(
    bench: Bench, specimen: Specimen, code: int
) -> None:
    control = json.dumps({**specimen.control, "Results": []}) if specimen.control else None
    scan = bench.scan(specimen, specimen.uncontrolled, f"exit {code}", control=control)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.scanned == ()


@each
def test_what_is_hidden_in_the_report_is_no_pass(bench: Bench, specimen: Specimen) -> None:
    scan = bench.scan(specimen, specimen.hidden)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.not_scanned != ()


BROKEN: dict[str, Callable[[Specimen], str]] = {
    "empty": lambda _one: "",
    "white": lambda _one: " \n",
    "cut off": lambda one: json.dumps(one.clean)[:-7],
    "no JSON": lambda _one: "No known vulnerabilities found\n",
    "null": lambda _one: "null",
    "another shape": lambda _one: '{"ok": true}',
    "a list of nothing": lambda _one: "[[]]",
    "a number": lambda _one: "0",
    "two documents": lambda one: json.dumps(one.clean) * 2,
    "deeply nested": lambda _one: "[" * 100_000,
}


@each
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_report_is_no_pass(bench: Bench, specimen: Specimen, how: str) -> None:
    scan = bench.scan(specimen, BROKEN[how](specimen))
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.scanned == ()
    assert scan.findings == ()


@each
def test_a_child_that_crashes_is_not_believed(bench: Bench, specimen: Specimen) -> None:
    scan = bench.scan(specimen, specimen.clean, CRASHES)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert "killed by signal 11" in scan.not_scanned[0].reason


@each
def test_a_child_that_hangs_is_ended_and_says_how_to_raise_the_limit(
    bench: Bench, specimen: Specimen
) -> None:
    scan = bench.scan(specimen, specimen.clean, HANGS, limit=0.5)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.not_scanned[0].cause is Cause.TIME
    assert 'limit = "' in scan.not_scanned[0].hint


@each
@pytest.mark.parametrize("version", ["", "0.0.1", "999.0.0", "no version at all"])
def test_a_version_that_is_not_known_is_not_judged(
    bench: Bench, specimen: Specimen, version: str
) -> None:
    scan = bench.scan(specimen, specimen.clean, version=version)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.not_scanned[0].cause is Cause.MISSING
    assert "supported is >=" in scan.not_scanned[0].reason


@each
def test_a_missing_program_is_not_judged(bench: Bench, specimen: Specimen, tmp_path: Path) -> None:
    scan = bench.scan(specimen, specimen.clean, program=tmp_path / "nowhere")
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.not_scanned[0].cause is Cause.MISSING


@each
def test_it_says_what_there_is_to_look_at(bench: Bench, specimen: Specimen, tmp_path: Path) -> None:
    assert bench.scan(specimen, specimen.clean).not_scanned == ()
    plugin = SCANNERS.load(specimen.kind)
    scanner = plugin.from_settings(plugin.settings()(), Circumstances(specimen.kind))
    assert scanner.tool == specimen.kind
    assert len(scanner.expected(tmp_path / "root")) >= 1
    if specimen.kind != "trivy":
        assert scanner.expected(tmp_path / "bin") == ()


def test_bandit_believes_a_reason_beside_the_line_and_nothing_less(bench: Bench) -> None:
    specimen = SPECIMENS["bandit"]
    answered = json.loads(json.dumps(specimen.found))
    answered["results"][1]["code"] = "3 run(x, shell=True)  # noqa: S602  # x is ours\n"
    assert judged(bench.scan(specimen, answered)).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "line",
    ["run(x)  # noqa: S602", "run(x)  # noqa: S603  # another rule", "run(x)  # nosec B602"],
)
def test_bandit_does_not_believe_an_answer_without_a_reason(bench: Bench, line: str) -> None:
    specimen = SPECIMENS["bandit"]
    found = json.loads(json.dumps(specimen.found))
    found["results"][1]["code"] = f"3 {line}\n"
    assert judged(bench.scan(specimen, found)).verdict is Verdict.FAILED


def test_pip_audit_whose_service_knows_nothing_is_offline_not_clean(bench: Bench) -> None:
    # what 2.10 writes, with exit code 0 and "No known vulnerabilities found", behind a mirror
    skipped = [
        {"name": name, "skip_reason": "Dependency not found on PyPI"}
        for name in ("rich", "sh", "jinja2")
    ]
    scan = bench.scan(SPECIMENS["pip-audit"], {"dependencies": skipped, "fixes": []})
    assert {gap.cause for gap in scan.not_scanned} == {Cause.OFFLINE}
    assert judged(scan).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("line", ["requests>=2", "-e .", "foo @ git+https://x/y", "-r other.txt"])
def test_pip_audit_says_which_requirement_is_no_exact_version(bench: Bench, line: str) -> None:
    specimen = SPECIMENS["pip-audit"]
    text = specimen.files["requirements.txt"] + line + "\n"
    other = Specimen(**{**_fields(specimen), "files": {"requirements.txt": text}})
    scan = bench.scan(other, other.clean)
    assert [gap.name for gap in scan.not_scanned] == ["requirements.txt:3"]
    assert judged(scan).verdict is Verdict.INCONCLUSIVE


def _fields(specimen: Specimen) -> dict[str, Any]:
    return {name: getattr(specimen, name) for name in Specimen.__dataclass_fields__}


def test_trivy_that_runs_into_its_own_limit_on_a_large_image_says_how_to_raise_it(
    bench: Bench,
) -> None:
    specimen = SPECIMENS["trivy"]
    said = "echo 'FATAL run error: image scan error: context deadline exceeded' >&2; exit 1"
    scan = bench.scan(specimen, "", said)
    assert scan.not_scanned[0].cause is Cause.TIME
    assert 'limit = "' in scan.not_scanned[0].hint
    assert judged(scan).verdict is Verdict.INCONCLUSIVE


def test_trivy_of_another_format_is_not_judged(bench: Bench) -> None:
    specimen = SPECIMENS["trivy"]
    scan = bench.scan(specimen, {**specimen.clean, "SchemaVersion": 3})
    assert "version 3" in scan.not_scanned[0].reason
    assert judged(scan).verdict is Verdict.INCONCLUSIVE


BIG = {
    "actionlint": ".github/workflows/big.yml",
    "bandit": "big.py",
    "check-jsonschema": ".github/workflows/big.yml",
    "compose-lint": "big/compose.yaml",
    "hadolint": "big/Dockerfile",
    "pip-audit": "requirements/big.txt",
    "trivy": "big/Dockerfile",
    "zizmor": ".github/workflows/big.yml",
}


@each
def test_a_file_of_a_hundred_megabytes_is_given_to_no_tool(
    bench: Bench, specimen: Specimen, tmp_path: Path
) -> None:
    name = BIG[specimen.kind]
    path = tmp_path / "root" / name
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(100_000_000)
    scan = bench.scan(specimen, specimen.clean, 'echo "$@" >"$here/arguments"')
    assert [gap.name for gap in scan.not_scanned] == [name]
    assert "is larger than" in scan.not_scanned[0].reason
    given = (tmp_path / "bin" / "arguments").read_text()
    assert f"--skip-files {name}" in given if specimen.kind == "trivy" else name not in given
    assert judged(scan).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("kind", ["bandit", "hadolint", "compose-lint", "zizmor"])
def test_nothing_to_look_at_is_no_pass(bench: Bench, kind: str) -> None:
    specimen = SPECIMENS[kind]
    empty = Specimen(**{**_fields(specimen), "files": {"README": ""}})
    assert judged(bench.scan(empty, empty.clean)).verdict is Verdict.INCONCLUSIVE
