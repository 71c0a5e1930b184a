"""Lies that are harder to see: too much, too late, of another day, about something else."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hardening.kinds import SCANNERS
from hardening.model import Cause, Severity
from hardening.scanners import foreign, running
from hardening.scanners.base import Circumstances, Request
from hardening.scanners.trivy import database
from restoreproof.verdict import Verdict
from tests.harness.scanner_bench import Bench, judged
from tests.harness.scanner_fakes import CONTROL, SPECIMENS, Specimen

each = pytest.mark.parametrize("specimen", SPECIMENS.values(), ids=lambda one: one.kind)
rated = pytest.mark.parametrize(
    "specimen", [one for one in SPECIMENS.values() if one.severity], ids=lambda one: one.kind
)
NOW = datetime.now(UTC)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def altered(specimen: Specimen, old: str, new: str) -> str:
    text = json.dumps(specimen.found)
    assert old in text
    return text.replace(old, new)


@rated
@pytest.mark.parametrize("word", ["apocalyptic", "", "none", "0", "CRITICAL!"])
def test_a_severity_that_is_in_no_table_blocks(bench: Bench, specimen: Specimen, word: str) -> None:
    scan = bench.scan(specimen, altered(specimen, f'"{specimen.severity}"', json.dumps(word)))
    assert judged(scan).verdict is Verdict.FAILED
    assert {one.severity for one in scan.findings} == {Severity.UNKNOWN}


@each
def test_an_endless_report_is_cut_off_and_no_pass(
    bench: Bench, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "LARGEST", 1 << 20)
    monkeypatch.setattr(running, "LARGEST", 1 << 20)
    endless = 'head -c 8000000 /dev/zero | tr "\\0" "[" >>"$out"; exit 0'
    begun = time.monotonic()
    scan = bench.scan(specimen, specimen.clean, endless)
    assert time.monotonic() - begun < 20
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.scanned == ()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of others")
@each
def test_a_child_that_wants_all_memory_gets_no_more_than_its_share(
    bench: Bench, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "MEMORY", 256 << 20)
    hog = f"exec {sys.executable} -S -c 'bytearray(1 << 30)'"
    scan = bench.scan(specimen, "", hog)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.not_scanned[0].reason.endswith("said: MemoryError")


@each
def test_a_child_whose_own_child_holds_its_output_open_is_ended(
    bench: Bench, specimen: Specimen
) -> None:
    begun = time.monotonic()
    scan = bench.scan(specimen, specimen.clean, "sleep 45 & exit 0", limit=2.0)
    assert time.monotonic() - begun < 30
    assert judged(scan).verdict is not Verdict.FAILED
    if judged(scan).verdict is Verdict.INCONCLUSIVE:
        assert scan.not_scanned[0].cause is Cause.TIME


@each
def test_a_report_about_another_folder_is_no_answer(bench: Bench, specimen: Specimen) -> None:
    """Every file that it names is another one: at most what has a control may be believed."""
    text = json.dumps(specimen.found)
    for name in specimen.files:
        text = text.replace(f"./{name}", f"/elsewhere/{name}").replace(
            f'"Target": "{name}"', f'"Target": "/elsewhere/{name}"'
        )
    scan = bench.scan(specimen, text.replace('"sh"', '"other"').replace('"rich"', '"another"'))
    assert judged(scan).verdict is not Verdict.PASSED


@each
def test_a_control_that_is_found_in_another_place_proves_nothing(
    bench: Bench, specimen: Specimen
) -> None:
    if specimen.control is None:
        text = json.dumps(specimen.clean).replace(CONTROL, "/elsewhere/control")
        text = text.replace('"jinja2", "version": "2.10"', '"jinja2", "version": "9.9"')
        scan = bench.scan(specimen, text)
    else:
        control = json.dumps(specimen.control).replace("Dockerfile", "elsewhere/Dockerfile")
        scan = bench.scan(specimen, specimen.clean, control=control)
    assert judged(scan).verdict is not Verdict.PASSED
    assert scan.scanned == ()


@each
def test_a_report_in_another_encoding_is_no_pass(bench: Bench, specimen: Specimen) -> None:
    scan = bench.scan(specimen, "\ufeff" + json.dumps(specimen.clean))
    assert judged(scan).verdict is Verdict.INCONCLUSIVE


@each
def test_a_child_that_writes_no_report_but_says_that_all_is_well_is_no_pass(
    bench: Bench, specimen: Specimen
) -> None:
    scan = bench.scan(specimen, "", "echo 'No issues found. All files passed.' >&2; exit 0")
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert scan.scanned == ()


def test_what_compose_lint_says_was_suppressed_in_the_file_counts_all_the_same(
    bench: Bench,
) -> None:
    specimen = SPECIMENS["compose-lint"]
    scan = bench.scan(specimen, altered(specimen, '"suppressed": false', '"suppressed": true'))
    assert judged(scan).verdict is Verdict.FAILED


def test_what_zizmor_says_is_ignored_counts_all_the_same(bench: Bench) -> None:
    specimen = SPECIMENS["zizmor"]
    scan = bench.scan(specimen, altered(specimen, '"ignored": false', '"ignored": true'))
    assert judged(scan).verdict is Verdict.FAILED


def test_a_package_that_pip_audit_gave_no_answer_for_is_no_pass(bench: Bench) -> None:
    specimen = SPECIMENS["pip-audit"]
    report = json.loads(json.dumps(specimen.clean))
    del report["dependencies"][2]["vulns"]
    scan = bench.scan(specimen, report)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert [(gap.name, gap.cause) for gap in scan.not_scanned] == [("sh@2.2.2", Cause.SKIPPED)]


def test_pip_audit_that_answers_for_another_version_is_no_pass(bench: Bench) -> None:
    specimen = SPECIMENS["pip-audit"]
    text = json.dumps(specimen.clean).replace("2.2.2", "2.2.3")
    scan = bench.scan(specimen, text)
    assert judged(scan).verdict is Verdict.INCONCLUSIVE
    assert [gap.name for gap in scan.not_scanned] == ["sh@2.2.2"]


def test_a_pin_for_another_system_or_python_is_looked_up_too(bench: Bench) -> None:
    specimen = SPECIMENS["pip-audit"]
    lock = 'rich==15.0.0\nsh==2.2.2 ; sys_platform == "win32"\n'
    other = replace(specimen, files={"requirements.txt": lock})
    assert judged(bench.scan(other, specimen.found)).verdict is Verdict.FAILED


class Trivy:
    """A fake Trivy with a database that a case damages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "cache" / "db"
        self.db.mkdir(parents=True)
        (self.db / "trivy.db").write_bytes(b"x")
        self.root = folder / "root"
        self.root.mkdir()
        (self.root / "requirements.txt").write_text("django==1.2\n")

    def metadata(self, **change: object) -> None:
        stated = {"Version": 2, "UpdatedAt": NOW.isoformat(), **change}
        (self.db / "metadata.json").write_text(json.dumps(stated))

    def verdict(self, report: Mapping[str, Any] | None = None) -> Verdict:
        package = {"Name": "django", "Version": "1.2"}
        clean = {
            "SchemaVersion": 2,
            "ArtifactName": ".",
            "Results": [
                {"Target": "requirements.txt", "Class": "lang-pkgs", "Packages": [package]}
            ],
        }
        known = {
            **json.loads(json.dumps(SPECIMENS["trivy"].control)),
            "Results": [
                {
                    "Target": "requirements.txt",
                    "Vulnerabilities": [
                        {
                            "VulnerabilityID": "CVE-1",
                            "PkgName": "jinja2",
                            "InstalledVersion": "2.10",
                            "Severity": "HIGH",
                        }
                    ],
                }
            ],
        }
        program = SPECIMENS["trivy"].program(
            self.folder / "bin", json.dumps(report or clean), control=json.dumps(known)
        )
        plugin = SCANNERS.load("trivy")
        settings = plugin.settings().model_validate(
            {"mode": "fs", "cache": str(self.folder / "cache")}
        )
        scanner = plugin.from_settings(settings, Circumstances("trivy", program))
        scratch = self.folder / "scratch"
        scratch.mkdir()
        return judged(scanner.scan(Request(root=self.root, scratch=scratch, offline=True))).verdict


@pytest.fixture
def trivy(tmp_path: Path) -> Trivy:
    return Trivy(tmp_path)


def test_trivy_with_fresh_data_and_a_clean_report_is_believed(trivy: Trivy) -> None:
    trivy.metadata()
    assert trivy.verdict() is Verdict.PASSED


def _folder_for_metadata(trivy: Trivy) -> None:
    (trivy.db / "metadata.json").unlink()
    (trivy.db / "metadata.json").mkdir()


STALE: dict[str, Callable[[Trivy], object]] = {
    "three days old": lambda one: one.metadata(UpdatedAt=(NOW - timedelta(days=3)).isoformat()),
    "of next week": lambda one: one.metadata(UpdatedAt=(NOW + timedelta(days=7)).isoformat()),
    "of no day": lambda one: one.metadata(UpdatedAt=""),
    "without a time zone": lambda one: one.metadata(UpdatedAt="2026-11-25T00:00:00"),
    "of another format": lambda one: one.metadata(Version=3),
    "without metadata": lambda one: (one.db / "metadata.json").unlink(),
    "metadata alone": lambda one: (one.db / "trivy.db").unlink(),
    "metadata is no JSON": lambda one: (one.db / "metadata.json").write_text("fresh"),
    "metadata is a list": lambda one: (one.db / "metadata.json").write_text("[2]"),
    "metadata is a folder": _folder_for_metadata,
}


@pytest.mark.parametrize("how", STALE)
def test_stale_or_damaged_data_is_never_a_pass(trivy: Trivy, how: str) -> None:
    trivy.metadata()
    STALE[how](trivy)
    assert trivy.verdict() is Verdict.INCONCLUSIVE


def test_a_database_in_a_folder_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert database(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "results",
    [
        [],
        [{"Target": "requirements.txt", "Class": "lang-pkgs"}],
        [{"Target": "requirements.txt", "Class": "lang-pkgs", "Packages": []}],
    ],
)
def test_trivy_that_saw_no_package_is_no_pass(trivy: Trivy, results: list[Any]) -> None:
    trivy.metadata()
    report = {"SchemaVersion": 2, "ArtifactName": ".", "Results": results}
    assert trivy.verdict(report) is Verdict.INCONCLUSIVE
