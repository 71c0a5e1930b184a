"""Injected faults around real report formats: programs that lie, break off, hang or crash.

Each :class:`Specimen` knows what its tool writes when it tells the truth; a fake writes that, or a
damaged form of it, and ends as it is told to. The real tools are run in ``tests/integration``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = Any

CONTROL = "@CONTROL@"
"""Stands for the path of the control, which the tool is told last."""

_SCRIPT = """\
#!/bin/sh
here={here}
if [ "$#" = 1 ]; then cat "$here/version"; exit 0; fi
out=/dev/stdout; previous=
for last; do
    case "$previous" in -o|--output) out=$last;; esac
    previous=$last
done
body=$here/body
case "$PWD" in */control) body=$here/control;; esac
sed "s|{control}|$last|g" "$body" >"$out"
case "$PWD" in */control) exit 0;; esac
{ending}
"""


@dataclass(frozen=True, slots=True)
class Specimen:
    """What one tool writes.

    Attributes:
        kind: of the scanner.
        version: what it says of its version.
        files: what lies in the folder that is scanned.
        clean: its report where only the control is found.
        found: its report with a finding of our own file as well.
        uncontrolled: its report where not even the control is found.
        hidden: a report that passes over one of the files.
        control: what a control run of its own writes; only Trivy has one.
        settings: of the scanner.
        endings: exit codes that the tool has with its report, as it says itself.
        severity: the word in ``found`` that says how bad it is; empty where the tool has none.
    """

    kind: str
    version: str
    files: Mapping[str, str]
    clean: Json
    found: Json
    uncontrolled: Json
    hidden: Json
    control: Json = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    endings: tuple[int, ...] = (0, 1)
    severity: str = ""

    def program(
        self,
        folder: Path,
        report: str,
        ending: str = "exit 0",
        *,
        version: str | None = None,
        control: str | None = None,
    ) -> Path:
        """A program that writes ``report`` and ends as told."""
        folder.mkdir(exist_ok=True)
        (folder / "version").write_text((self.version if version is None else version) + "\n")
        (folder / "body").write_text(report)
        (folder / "control").write_text(json.dumps(self.control) if control is None else control)
        program = folder / self.kind
        program.write_text(_SCRIPT.format(here=folder, control=CONTROL, ending=ending))
        program.chmod(0o755)
        return program


def _bandit(found: Callable[[str], dict[str, Any]]) -> Specimen:
    def report(*results: dict[str, Any], files: tuple[str, ...] = ("a.py", "b.py")) -> Json:
        names = [*(f"./{name}" for name in files), CONTROL]
        metrics = {name: {"loc": 1} for name in ("_totals", *names)}
        return {"errors": [], "metrics": metrics, "results": list(results)}

    return Specimen(
        kind="bandit",
        version="bandit 1.9.4",
        files={"a.py": "x = 1\n", "b.py": "y = 2\n"},
        clean=report(found(CONTROL)),
        found=report(found(CONTROL), found("./a.py")),
        uncontrolled=report(),
        hidden=report(found(CONTROL), files=("a.py",)),
        severity="HIGH",
    )


def _bandit_result(name: str) -> dict[str, Any]:
    return {
        "filename": name,
        "line_number": 3,
        "test_id": "B602",
        "issue_text": "subprocess call with shell=True",
        "issue_severity": "HIGH",
        "code": "3 run(x, shell=True)\n",
    }


def _pip_audit() -> Specimen:
    def known(name: str, version: str, *vulns: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "version": version, "vulns": list(vulns)}

    bad = {"id": "PYSEC-1", "fix_versions": ["3.2"], "aliases": ["CVE-2026-1"], "description": "x"}
    control = known("jinja2", "2.10", bad)
    fine = [known("rich", "15.0.0"), known("sh", "2.2.2")]

    def report(*dependencies: dict[str, Any]) -> Json:
        return {"dependencies": list(dependencies), "fixes": []}

    return Specimen(
        kind="pip-audit",
        version="pip-audit 2.10.1",
        files={"requirements.txt": "rich==15.0.0\nsh==2.2.2\n"},
        clean=report(control, *fine),
        found=report(control, fine[0], known("sh", "2.2.2", bad)),
        uncontrolled=report(known("jinja2", "2.10"), *fine),
        hidden=report(control, fine[0], {"name": "sh", "skip_reason": "not found on PyPI"}),
    )


def _hadolint() -> Specimen:
    def found(name: str, code: str = "DL3007") -> dict[str, Any]:
        return {
            "code": code,
            "column": 1,
            "file": name,
            "level": "warning",
            "line": 1,
            "message": "latest",
        }

    return Specimen(
        kind="hadolint",
        version="Haskell Dockerfile Linter 2.15.1",
        files={"Dockerfile": "FROM debian:12\n"},
        clean=[found(CONTROL)],
        found=[found("./Dockerfile"), found(CONTROL)],
        uncontrolled=[],
        hidden=[found("./Dockerfile", "DL1000"), found(CONTROL)],
        severity="warning",
    )


def _compose_lint() -> Specimen:
    def found(name: str) -> dict[str, Any]:
        return {
            "file": name,
            "line": 4,
            "rule_id": "CL-0002",
            "severity": "critical",
            "service": "web",
            "message": "privileged",
            "fix": None,
            "references": [],
            "suppressed": False,
        }

    def report(*findings: dict[str, Any], errors: tuple[Any, ...] = ()) -> Json:
        return {
            "version": "2",
            "tool": {"name": "compose-lint", "version": "0.36.2"},
            "findings": list(findings),
            "errors": list(errors),
            "warnings": [],
        }

    broken = {"file": "./compose.yaml", "message": "Invalid YAML", "kind": "parse"}
    return Specimen(
        kind="compose-lint",
        version="compose-lint 0.36.2",
        files={"compose.yaml": "services: {}\n"},
        clean=report(found(CONTROL)),
        found=report(found(CONTROL), found("./compose.yaml")),
        uncontrolled=report(),
        hidden=report(found(CONTROL), errors=(broken,)),
        severity="critical",
    )


_WORKFLOW = {".github/workflows/ci.yml": "on: push\njobs: {}\n"}
_NAME = "./.github/workflows/ci.yml"


def _zizmor() -> Specimen:
    def found(name: str) -> dict[str, Any]:
        span = {"start_point": {"row": 0, "column": 0}, "end_point": {"row": 0, "column": 9}}
        return {
            "ident": "template-injection",
            "desc": "code injection",
            "url": "https://docs.zizmor.sh/audits/#template-injection",
            "determinations": {"confidence": "High", "severity": "High", "persona": "Regular"},
            "locations": [
                {
                    "symbolic": {
                        "key": {"Local": {"verbatim_path": name}},
                        "annotation": "here",
                        "kind": "Primary",
                    },
                    "concrete": {"location": span, "feature": "run: x", "comments": []},
                }
            ],
            "ignored": False,
            "fixes": [],
        }

    return Specimen(
        kind="zizmor",
        version="zizmor 1.32.0",
        files=_WORKFLOW,
        clean=[found(CONTROL)],
        found=[found(CONTROL), found(_NAME)],
        uncontrolled=[],
        hidden=[{**found(CONTROL), "locations": []}],
        endings=(0, 11, 14),
        severity="High",
    )


def _check_jsonschema() -> Specimen:
    def found(name: str) -> dict[str, Any]:
        return {"filename": name, "path": "$.jobs", "message": "is not valid"}

    def report(*errors: Json, broken: tuple[Any, ...] = ()) -> Json:
        return {"status": "fail", "errors": list(errors), "parse_errors": list(broken)}

    return Specimen(
        kind="check-jsonschema",
        version="check-jsonschema, version 0.39.0",
        files=_WORKFLOW,
        clean=report(found(CONTROL)),
        found=report(found(CONTROL), found(_NAME)),
        uncontrolled={"status": "ok", "errors": [], "parse_errors": []},
        hidden=report(found(CONTROL), broken=({"filename": _NAME, "message": "Failed to parse"},)),
    )


def _actionlint() -> Specimen:
    def found(name: str, message: str = "unexpected key") -> dict[str, Any]:
        return {
            "message": message,
            "filepath": name,
            "line": 1,
            "column": 1,
            "kind": "syntax-check",
            "snippet": "",
            "end_column": 2,
        }

    return Specimen(
        kind="actionlint",
        version="1.7.12\ninstalled by building from source",
        files=_WORKFLOW,
        clean=[found(CONTROL)],
        found=[found(CONTROL), found(_NAME)],
        uncontrolled=[],
        hidden=[found(CONTROL), found(_NAME, "could not parse as YAML: did not find")],
    )


def _trivy() -> Specimen:
    def target(name: str, *found: Json) -> dict[str, Any]:
        return {"Target": name, "Class": "config", "Misconfigurations": list(found)}

    def report(*results: Json) -> Json:
        return {"SchemaVersion": 2, "ArtifactName": ".", "Results": list(results)}

    bad = {
        "ID": "DS-0002",
        "Title": "root",
        "Message": "the last user is root",
        "Severity": "HIGH",
        "Status": "FAIL",
        "CauseMetadata": {"StartLine": 1},
    }
    return Specimen(
        kind="trivy",
        version="Version: 0.76.0",
        files={"Dockerfile": "FROM debian:12\n", "app.Dockerfile": "FROM debian:12\n"},
        clean=report(target("Dockerfile"), target("app.Dockerfile")),
        found=report(target("Dockerfile", bad), target("app.Dockerfile")),
        uncontrolled=report(target("Dockerfile"), target("app.Dockerfile")),
        hidden=report(target("Dockerfile")),
        control=report(target("Dockerfile", bad)),
        # its report holds no control that would explain another one
        endings=(0,),
        severity="HIGH",
    )


SPECIMENS: Mapping[str, Specimen] = {
    one.kind: one
    for one in (
        _actionlint(),
        _bandit(_bandit_result),
        _check_jsonschema(),
        _compose_lint(),
        _hadolint(),
        _pip_audit(),
        _trivy(),
        _zizmor(),
    )
}
