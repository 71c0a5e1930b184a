"""Tests and checks, the same on a laptop and in CI. ``./nox -l`` lists them.

The sessions run in the environment that ``./nox`` made from ``requirements/dev.txt``; nothing is
installed per session. ``RESTOREPROOF_PROFILE=quick|full`` sets how much the tests do.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import nox

from tests.harness import scanner_tools
from tests.harness.locks import locks
from tests.harness.skips import in_ci, is_allowed

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True

PACKAGES = ("restoreproof", "restoreproof_cli", "backup_lib", "hardening")
SCRIPTS = "scripts"
# what needs more than wheels, or more than minutes, is asked for by name
NOT_BY_DEFAULT = ("servers", "faults", "e2e")
REPORTS = Path("build/reports")


def tool(
    session: nox.Session,
    name: str,
    *args: str,
    success_codes: tuple[int, ...] = (0,),
    silent: bool = False,
) -> None:
    """Run a program of the environment that Nox itself runs in.

    Args:
        session: the running session.
        name: the program.
        args: its arguments.
        success_codes: exit codes that do not end the session.
        silent: show what it prints only when it ends otherwise.
    """
    program = Path(sys.executable).with_name(name)
    session.run(str(program), *args, success_codes=success_codes, silent=silent, external=True)


def pytest(session: nox.Session, *args: str) -> None:
    """Run pytest on all cores; arguments after ``--`` go to it."""
    tool(session, "pytest", "-q", "-n", "auto", "--dist", "worksteal", *args, *session.posargs)


def not_judged(session: nox.Session, reason: str) -> None:
    """Skip the session aloud; in CI only where tests/harness/skips.py has it.

    ``RESTOREPROOF_MUST_JUDGE`` allows no exception: for a CI that can reach the services.
    """
    allowed = not in_ci() or is_allowed(f"nox:{session.name}")
    if os.environ.get("RESTOREPROOF_MUST_JUDGE") or not allowed:
        session.error(f"not judged: {reason}")
    session.skip(f"not judged: {reason}")


def programs(session: nox.Session) -> dict[str, str]:
    """The environment in which the programs of scanners are found; they are made on first use."""
    if not scanner_tools.are_made():
        session.log("making .scanners from requirements/scanners.txt")
        problem = scanner_tools.make()
        if problem:
            session.warn(f"some scanners will be missing: {problem}")
    return {"PATH": scanner_tools.path()}


def harden(session: nox.Session, *only: str) -> None:
    """Judge this repository as ``inv harden.scan`` does, by its document, not by its exit code."""
    name = "-".join(only) or "all"
    REPORTS.mkdir(parents=True, exist_ok=True)
    document = REPORTS / f"harden-{name}.json"
    document.unlink(missing_ok=True)
    session.run(
        *(sys.executable, "-P", "-m", "restoreproof_cli.main", "harden.scan"),
        *("--config", "hardening.toml", "--quiet"),
        *(arg for one in only for arg in ("--only", one)),
        *("--sarif", str(REPORTS / "sarif"), "--output", str(document)),
        *("--markdown", str(REPORTS / f"harden-{name}.md")),
        *session.posargs,
        env=programs(session),
        success_codes=(0, 1, 2),
        external=True,
    )
    if not document.exists():
        session.error("not judged: there is no result document")
    judgement = json.loads(document.read_text())["result"]["judgement"]
    if judgement["verdict"] == "passed":
        return
    blocking = [gap["what"]["cause"] for gap in judgement["gaps"]]
    if judgement["verdict"] == "inconclusive" and set(blocking) <= {"offline"}:
        not_judged(session, judgement["reason"])
    session.error(judgement["reason"])


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that needs nothing but wheels."""
    programs(session)
    without = " and ".join(f"not {marker}" for marker in NOT_BY_DEFAULT)
    pytest(session, "--ignore", "tests/docs", "-m", without)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, layers, shell scripts, the Compose file."""
    tool(session, "ruff", "check", ".")
    tool(session, "ruff", "format", "--check", ".")
    tool(session, "lint-imports", "--no-logo")
    scripts = (
        *("inv", ".ci/run", ".ci/setup"),
        *("docker/secrets.sh", "docker/toolbox/inv", "docker/toolbox/nightly"),
    )
    if shutil.which("shellcheck"):
        session.run("shellcheck", *scripts, external=True)
    elif in_ci():
        session.error("shellcheck is missing; .ci/setup installs it")
    else:
        session.warn("shell scripts not checked: shellcheck is not installed")
    stack = ("--builtin-schema", "vendor.compose-spec", "docker/compose.yaml")
    tool(session, "check-jsonschema", *stack)


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy over packages, tests, tasks and this file."""
    tool(session, "mypy")


@nox.session
def security(session: nox.Session) -> None:
    """All scanners side by side, and the whole policy over them."""
    harden(session)


@nox.session(default=False)
def bandit(session: nox.Session) -> None:
    """Security lint of the Python source; every file must have been read."""
    harden(session, "bandit")


@nox.session(name="pip-audit", default=False)
def pip_audit(session: nox.Session) -> None:
    """Known vulnerabilities in what the locks pin."""
    harden(session, "pip-audit")


@nox.session(default=False)
def trivy(session: nox.Session) -> None:
    """Secrets, Dockerfiles, and known vulnerabilities in what the locks pin."""
    harden(session, "trivy")


@nox.session(default=False)
def hadolint(session: nox.Session) -> None:
    """Dockerfiles."""
    harden(session, "hadolint")


@nox.session(default=False)
def workflows(session: nox.Session) -> None:
    """GitHub workflows: security, and whether they are what GitHub reads."""
    harden(session, "zizmor", "check-jsonschema")


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """A software bill of materials, in CycloneDX."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    session.run(
        *(sys.executable, "-P", "-m", "restoreproof_cli.main", "harden.sbom"),
        *("--config", "hardening.toml", "--output", str(REPORTS / "sbom.cdx.json")),
        env=programs(session),
        external=True,
    )


@nox.session
def docs(session: nox.Session) -> None:
    """What the documents say: links, commands, tables."""
    pytest(session, "tests/docs", "-m", "not servers")


@nox.session(name="cache-key", default=False)
def cache_key(session: nox.Session) -> None:
    """The day, for the key of a cache in CI: a database of yesterday is not found under it."""
    day = f"day={datetime.now(UTC):%Y-%m-%d}"
    session.log(day)
    told = os.environ.get("GITHUB_OUTPUT")
    if told:
        with Path(told).open("a") as file:
            file.write(f"{day}\n")


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write requirements/*.txt anew; ``./nox -s lock -- --upgrade`` takes newer versions."""
    uv = shutil.which("uv")
    if uv is None:
        session.error("uv is not installed; it resolves for all Pythons at once: pipx install uv")
    constraints: list[str] = []
    for target in locks():
        path = str(target.path.relative_to(Path.cwd()))
        session.run(
            uv,
            *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"),
            *("--custom-compile-command", "./nox -s lock"),
            *(arg for extra in target.extras for arg in ("--extra", extra)),
            *(arg for group in target.groups for arg in ("--group", f"pyproject.toml:{group}")),
            *constraints,
            *session.posargs,
            *(("pyproject.toml",) if target.project else ()),
            *("-o", path),
            external=True,
        )
        constraints += ["-c", path]  # a package has one version, whatever the lock


@nox.session(default=False)
def changelog(session: nox.Session) -> None:
    """Move the fragments in changelog.d into CHANGELOG.md: ``./nox -s changelog -- 0.7.0``."""
    if len(session.posargs) != 1:
        session.error("name the version: ./nox -s changelog -- 0.7.0")
    tool(session, "towncrier", "build", "--yes", "--version", session.posargs[0])


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Kills, full disks, stopped children, several at once, the truth table; as root."""
    pytest(session, "-m", "faults", "--ignore", "tests/docs")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The product beside what it is measured against; ``-- --write`` puts it into the docs."""
    tool(session, "python", "-m", "benchmarks", *session.posargs)


@nox.session(default=False)
def e2e(session: nox.Session) -> None:
    """Images built and run hardened; the engine as oracle for our rules. Root; docs say how."""
    tool(session, "pytest", "-q", "-rs", "-m", "e2e", "tests/e2e", *session.posargs)


@nox.session(default=False)
def servers(session: nox.Session) -> None:
    """Tests against servers that do not come out of wheels; .ci/setup installs them."""
    pytest(session, "-m", "servers", *(() if in_ci() else ("-rs",)))
