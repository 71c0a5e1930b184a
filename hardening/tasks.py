"""The ``harden`` tasks: parse arguments, call one service, render the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from restoreproof.errors import UsageError
from restoreproof.tasking import Run, execute, options_help, task

if TYPE_CHECKING:
    from hardening.config import HardeningConfig
    from hardening.services.scan import Report


_REPORTS = {
    "sarif": "write one SARIF file a tool into this folder",
    "markdown": "write a summary for a pull request to this file",
    "output": "write the result document to this file too",
}
"""Help of the options that all judging tasks share."""


@dataclass(frozen=True, slots=True)
class _Judging:
    """What all judging tasks do alike: check where reports go, judge, write them, show one."""

    task: str
    config: str | None
    sarif: str | None
    markdown: str | None
    output: str | None
    json: bool
    quiet: bool
    events: str | None

    def by(self, work: Callable[[HardeningConfig, Run], Report]) -> None:
        """Judge by that service."""
        from hardening.reports.console import render_report

        def call(run: Run) -> Report:
            for path in (self.markdown, self.output):
                _writable(path)
            if self.sarif and Path(self.sarif).exists() and not Path(self.sarif).is_dir():
                raise UsageError(f"{self.sarif} is a file", hint="--sarif names a folder")
            report = work(_config(self.config), run)
            self._write(report)
            return report

        execute(
            self.task,
            call,
            render=render_report,
            json=self.json,
            quiet=self.quiet,
            events=self.events,
        )

    def _write(self, report: Report) -> None:
        from hardening.reports.markdown import markdown_summary
        from hardening.reports.sarif import write_sarif
        from restoreproof.atomic import write_bytes
        from restoreproof.reporters.document import result_text

        if self.sarif:
            write_sarif(report.judgement, Path(self.sarif))
        if self.markdown:
            write_bytes(Path(self.markdown), markdown_summary(report).encode(), 0o644)
        if self.output:
            verdict = report.verdict
            text = result_text(self.task, report, verdict=verdict, exit_code=verdict.exit_code)
            write_bytes(Path(self.output), f"{text}\n".encode(), 0o644)


def _writable(path: str | None) -> None:
    """Told before anything is scanned, not after."""
    if not path:
        return
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file")
    if not Path(path).absolute().parent.is_dir():
        raise UsageError(f"there is no folder for {path}", hint="make it, or name another file")


def _config(explicit: str | None) -> HardeningConfig:
    """The configuration; without any file, every kind of scanner as it is by default."""
    from hardening.config import HardeningConfig, load
    from restoreproof.config.document import found_here

    if not explicit and found_here() is None:
        return HardeningConfig(None, Path.cwd())
    return load(explicit)


@task(
    iterable=["only"],
    help=options_help(
        only="a scanner by its name or kind; may be given again; all of them where it is left out",
        offline="ask no service on the network",
        write_baseline="write what is there now to the baseline of the configuration",
        **_REPORTS,
    ),
)
def scan(
    _context: Context,
    only: list[str],
    offline: bool = False,
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    write_baseline: bool = False,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Run the scanners and judge what they say: clean, findings, or could not judge."""

    def work(chosen: HardeningConfig, run: Run) -> Report:
        from hardening.services.adoption import scan_into_baseline
        from hardening.services.scan import Options, scan_and_judge

        how = scan_into_baseline if write_baseline else scan_and_judge
        options = Options(tuple(only), offline=offline)
        return how(chosen, options, emit=run.emit, cancel=run.cancel)

    _Judging("harden.scan", config, sarif, markdown, output, json, quiet, events).by(work)


@task(
    positional=["rule"],
    help={"rule": "a rule by any of its names: DS-0002, DL3002, root-user", "json": "as JSON"},
)
def explain(_context: Context, rule: str, json: bool = False) -> None:
    """What a rule means and what to do about it; works offline."""
    from hardening.reports.explanation import render_explanation
    from hardening.services.explain import explain as explain_rule

    execute("harden.explain", lambda _run: explain_rule(rule), render=render_explanation, json=json)


@task(
    help=options_help(output="the file to write", root="the folder; the configuration's by default")
)
def sbom(
    _context: Context,
    output: str = "sbom.cdx.json",
    root: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Write a software bill of materials in CycloneDX, through Trivy."""
    from hardening.services.sbom import Sbom, write_sbom
    from restoreproof.reporters.text import one_line

    def told(bill: Sbom) -> str:
        return (
            f"{one_line(str(bill.path))} names {bill.components} components (trivy {bill.version})"
        )

    def call(run: Run) -> Sbom:
        _writable(output)
        folder = Path(root) if root else _config(config).root
        return write_sbom(folder, Path(output).absolute(), run.cancel)

    execute(
        "harden.sbom",
        call,
        render=told,
        json=json,
        quiet=quiet,
        events=events,
    )


@task(
    positional=["image"],
    help=options_help(
        image="reference or id of the image; nothing is pulled",
        offline="ask no service on the network",
        **_REPORTS,
    ),
)
def image(
    _context: Context,
    image: str,
    offline: bool = False,
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Judge a built image: its configuration, the files of all layers, its packages."""
    from hardening.services.targets import judge_image

    _Judging("harden.image", config, sarif, markdown, output, json, quiet, events).by(
        lambda chosen, run: judge_image(chosen, image, run, offline=offline)
    )


@task(
    iterable=["file"],
    help=options_help(
        file="a Compose file; may be given again, later ones over earlier ones",
        **_REPORTS,
    ),
)
def compose(
    _context: Context,
    file: list[str],
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Judge Compose files that belong together, merged as Compose does."""
    from hardening.services.targets import judge_compose

    _Judging("harden.compose", config, sarif, markdown, output, json, quiet, events).by(
        lambda chosen, run: judge_compose(chosen, file, run)
    )


@task(
    iterable=["container"],
    help=options_help(
        container="name or id of a running container; all of them where it is left out",
        **_REPORTS,
    ),
)
def live(
    _context: Context,
    container: list[str],
    sarif: str | None = None,
    markdown: str | None = None,
    output: str | None = None,
    config: str | None = None,
    json: bool = False,
    quiet: bool = False,
    events: str | None = None,
) -> None:
    """Judge how containers run, on the engine that DOCKER_HOST names."""
    from hardening.services.targets import judge_live

    _Judging("harden.live", config, sarif, markdown, output, json, quiet, events).by(
        lambda chosen, run: judge_live(chosen, container, run)
    )


collection = Collection("harden", scan, image, compose, live, explain, sbom)
