"""What a run measured, as data: written as JSON, read back, judged against the targets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Sample, Spread

_SAME = ("profile", "machine", "versions")


@dataclass(frozen=True, slots=True)
class Way:
    """One variant with all its runs.

    Attributes:
        name: as in the tables.
        command: what was run, for people; without folders of the machine.
        samples: in the order in which they ran.
    """

    name: str
    command: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A promise, and what was found.

    Attributes:
        what: one phrase.
        limit: the figure may not be larger.
        found: over the turns; the median is judged.
    """

    what: str
    limit: float
    found: Spread

    @property
    def met(self) -> bool:
        return self.found.median <= self.limit

    @property
    def verdict(self) -> str:
        """``met`` or ``missed``, and how much of the limit was left or exceeded."""
        share = self.found.median / self.limit - 1
        word, side = ("met", "below") if self.met else ("missed", "above")
        return f"{word}, {abs(share):.0%} {side}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scenario measured.

    Attributes:
        name: of the scenario.
        title: for people.
        data: what was worked on, one phrase; empty where there is none.
        ways: all variants.
        targets: all promises.
        date: of its run, ISO 8601.
    """

    name: str
    title: str
    data: str
    ways: tuple[Way, ...]
    targets: tuple[Target, ...]
    date: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run.

    Attributes:
        profile: ``quick`` or ``full``.
        command: that repeats it.
        machine: what it ran on.
        versions: of what took part.
        outcomes: by scenario.
    """

    profile: str
    command: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    outcomes: tuple[Outcome, ...]

    def after(self, earlier: Results) -> Results:
        """With the outcomes of an earlier run, of those scenarios that are left out now.

        Raises:
            SystemExit: that run was of another size, machine or version.
        """
        if any(getattr(self, name) != getattr(earlier, name) for name in _SAME):
            raise SystemExit("the earlier results are of another machine or version: run all")
        return replace(self, outcomes=earlier.outcomes)

    def having(self, outcome: Outcome) -> Results:
        """With this outcome, in the place of an earlier one of its scenario."""
        by_name = {known.name: known for known in self.outcomes} | {outcome.name: outcome}
        return replace(self, outcomes=tuple(by_name.values()))

    def ordered(self, names: Sequence[str]) -> Results:
        """With the outcomes in the order of these names of scenarios."""
        return replace(
            self, outcomes=tuple(sorted(self.outcomes, key=lambda one: names.index(one.name)))
        )

    def to_json(self) -> str:
        return json.dumps(_rounded(asdict(self)), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Results:
        found = json.loads(path.read_text(encoding="utf-8"))
        outcomes = tuple(_outcome(outcome) for outcome in found.pop("outcomes"))
        return cls(**found, outcomes=outcomes)


def _outcome(found: dict[str, Any]) -> Outcome:
    return Outcome(
        name=found["name"],
        date=found["date"],
        title=found["title"],
        data=found["data"],
        ways=tuple(
            Way(way["name"], way["command"], tuple(Sample(**sample) for sample in way["samples"]))
            for way in found["ways"]
        ),
        targets=tuple(
            Target(target["what"], target["limit"], Spread(**target["found"]))
            for target in found["targets"]
        ),
    )


def _rounded(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(inner) for inner in value]
    return value
