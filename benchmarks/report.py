"""Results as Markdown, and into the document that quotes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import Sample, Spread
from benchmarks.outcome import Outcome, Results

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def rendered(results: Results) -> str:
    """All tables."""
    return "\n".join(_lines(results)) + "\n"


def write_into(document: Path, results: Results) -> None:
    """Put the tables between the markers of a document."""
    text = document.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{BEGIN}\n{rendered(results)}{END}{after}", encoding="utf-8")


def _lines(results: Results) -> Iterator[str]:
    yield f"Measured by `{results.command}`."
    yield ""
    yield "| machine | |"
    yield "|---|---|"
    for name, value in (*results.machine.items(), *results.versions.items()):
        yield f"| {name} | {value} |"
    yield ""
    yield "| target | at most | found, median (least to most) | verdict |"
    yield "|---|---:|---:|---|"
    for outcome in results.outcomes:
        for target in outcome.targets:
            yield (
                f"| {outcome.title}: {target.what} | {target.limit:.2f} | "
                f"{_spread(target.found, 1)} | {target.verdict} |"
            )
    for outcome in results.outcomes:
        yield ""
        yield from _outcome(outcome)


def _outcome(outcome: Outcome) -> Iterator[str]:
    yield f"### {outcome.title}"
    yield ""
    runs = {len(way.samples) for way in outcome.ways}
    turns = f"{max(runs)} runs each, in turns" if max(runs) > 1 else "one run each"
    what = f"{outcome.data}; {turns}" if outcome.data else f"{turns[0].upper()}{turns[1:]}"
    yield f"{what}; {outcome.date}."
    yield ""
    yield "| way | wall, s | CPU, s | of it by the server, s | peak memory, MiB |"
    yield "|---|---:|---:|---:|---:|"
    for way in outcome.ways:
        cells = [_figures(way.samples, figure) for figure in _FIGURES]
        yield f"| {way.name} | {' | '.join(cells)} |"
    yield ""
    for way in outcome.ways:
        yield f"- {way.name}: {way.command}{_noted(way.samples)}"


def _noted(samples: tuple[Sample, ...]) -> str:
    """Further figures of a way: ``; NAME: FIGURE``."""
    names = dict.fromkeys(name for sample in samples for name in sample.notes)
    return "".join(
        f"; {name}: {_spread(Spread.of(found), len(found))}"
        for name in names
        if (found := [sample.notes[name] for sample in samples if name in sample.notes])
    )


_FIGURES: tuple[Callable[[Sample], float], ...] = (
    lambda sample: sample.wall,
    lambda sample: sample.cpu,
    lambda sample: sample.server_cpu,
    lambda sample: sample.memory / 2**20,
)


def _figures(samples: tuple[Sample, ...], figure: Callable[[Sample], float]) -> str:
    found = [figure(sample) for sample in samples]
    return _spread(Spread.of(found), len(found)) if any(found) else ""


def _spread(spread: Spread, runs: int) -> str:
    digits = 0 if spread.high >= 100 else 1 if spread.high >= 10 else 2
    if runs == 1 and spread.low == spread.high:
        return f"{spread.median:.{digits}f}"
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f} to {spread.high:.{digits}f})"
