"""Tests and checks, the same on a laptop and in CI. ``./nox -l`` lists them.

The sessions run in the environment that ``./nox`` made from ``requirements/dev.txt``; nothing is
installed per session. ``RESTOREPROOF_PROFILE=quick|full`` sets how much the tests do.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

from restoreproof.verdict import Verdict
from tests.harness.audits import Audit, read_bandit, read_pip_audit
from tests.harness.locks import locks
from tests.harness.skips import in_ci, is_allowed

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True

PACKAGES = ("restoreproof", "restoreproof_cli", "backup_lib", "hardening")
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
    """Skip the session aloud; in CI only where tests/harness/skips.py has it."""
    if in_ci() and not is_allowed(f"nox:{session.name}"):
        session.error(f"not judged: {reason}")
    session.skip(f"not judged: {reason}")


def judge(session: nox.Session, audit: Audit) -> None:
    """End the session by what a scanner's report says."""
    for finding in audit.findings:
        session.log(finding)
    counts = (
        f"{len(audit.looked_at)} looked at, {len(audit.not_looked_at)} not, "
        f"{len(audit.findings)} findings, {len(audit.accepted)} accepted with a reason"
    )
    if audit.verdict is Verdict.PASSED:
        session.log(counts)
    elif audit.verdict is Verdict.INCONCLUSIVE and not audit.looked_at:
        not_judged(session, f"{counts}; the first: {audit.not_looked_at[0]}")
    elif audit.verdict is Verdict.INCONCLUSIVE:
        session.error(f"{counts}; the first: {audit.not_looked_at[0]}")
    else:
        session.error(counts)


def fresh_report(name: str) -> Path:
    """Where a scanner writes its report; what an earlier run left there is gone."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / name
    path.unlink(missing_ok=True)
    return path


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that needs nothing but wheels."""
    without = " and ".join(f"not {marker}" for marker in NOT_BY_DEFAULT)
    pytest(session, "--ignore", "tests/docs", "-m", without)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, layers, shell scripts, workflows."""
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
    workflows = sorted(str(path) for path in Path(".github/workflows").glob("*.yml"))
    tool(
        session,
        "zizmor",
        "--offline",
        "--quiet",
        "--no-progress",
        "--pedantic",
        "--strict-collection",
        *workflows,
    )
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        tool(session, "check-jsonschema", "--builtin-schema", schema, *workflows)
    stack = ("--builtin-schema", "vendor.compose-spec", "docker/compose.yaml")
    tool(session, "check-jsonschema", *stack)


@nox.session
def types(session: nox.Session) -> None:
    """Strict mypy over packages, tests, tasks and this file."""
    tool(session, "mypy")


@nox.session
def bandit(session: nox.Session) -> None:
    """Security lint; every file must have been read."""
    report = fresh_report("bandit.json")
    args = ("-c", "pyproject.toml", "-r", *PACKAGES, "-q", "-f", "json", "-o", str(report))
    tool(session, "bandit", *args, success_codes=(0, 1))
    files = [str(path) for package in PACKAGES for path in Path(package).rglob("*.py")]
    judge(session, read_bandit(report.read_text() if report.exists() else "", files))


@nox.session(name="pip-audit")
def pip_audit(session: nox.Session) -> None:
    """Known vulnerabilities in what the locks pin."""
    report = fresh_report("pip-audit.json")
    requirements = [arg for lock in locks() for arg in ("-r", str(lock.path))]
    options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off")
    args = (*requirements, *options, "-f", "json", "-o", str(report))
    # silent: it would say that no vulnerability is known where it could look up none
    tool(session, "pip-audit", *args, success_codes=(0, 1), silent=True)
    here = [
        pin.name
        for lock in locks()
        for pin in lock.pins()
        if pin.marker is None or pin.marker.evaluate()
    ]
    judge(session, read_pip_audit(report.read_text() if report.exists() else "", here))


@nox.session
def docs(session: nox.Session) -> None:
    """What the documents say: links, commands, tables."""
    pytest(session, "tests/docs", "-m", "not servers")


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
            *(arg for group in target.groups for arg in ("--group", group)),
            *constraints,
            *session.posargs,
            *("pyproject.toml", "-o", path),
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
    """Tests that race with what they injure: worth a look, too unsteady to judge a change."""
    pytest(session, "-m", "faults")


@nox.session(default=False)
def e2e(session: nox.Session) -> None:
    """Images built and run hardened; the engine as oracle for our rules. Root; docs say how."""
    tool(session, "pytest", "-q", "-m", "e2e", "tests/e2e", *session.posargs)


@nox.session(default=False)
def servers(session: nox.Session) -> None:
    """Tests against servers that do not come out of wheels; .ci/setup installs them."""
    pytest(session, "-m", "servers", *(() if in_ci() else ("-rs",)))
