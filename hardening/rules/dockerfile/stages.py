"""What the stages of a Dockerfile come to: users, commands and variables in force, not as written.

The builder's rules: arguments before the first ``FROM`` hold in ``FROM`` lines only, until a stage
asks for them by ``ARG``; a stage built ``FROM`` another inherits its user, variables, command and
triggers; the values of one instruction see the variables from before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hardening.rules.dockerfile.syntax import Dockerfile, Instruction, parse_trigger
from hardening.rules.dockerfile.words import Value, expand
from restoreproof.errors import Inconclusive

_MOST_STAGES = 200
_MOST_TRIGGERS = 20
_MOST_VARIABLES = 1_000

PLATFORM_ARGS = {
    f"{side}{part}": value
    for side in ("BUILD", "TARGET")
    for part, value in (
        ("PLATFORM", "linux/amd64"),
        ("OS", "linux"),
        ("ARCH", "amd64"),
        ("VARIANT", ""),
    )
}
"""What BuildKit sets before the first line."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a stage, with what is in force when it runs.

    Attributes:
        instruction: as written; for a trigger, what stands behind ``ONBUILD``.
        args: its words after substitution, where the builder substitutes; else as written.
        flags: ``{"chown": Value("1:1", …)}``.
        user: who runs it, or None before any ``USER``.
        variables: names and values in force before it.
    """

    instruction: Instruction
    args: tuple[Value, ...]
    flags: Mapping[str, Value]
    user: Value | None
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, evaluated.

    Attributes:
        number: from 0.
        name: as given by ``AS``, in lower case; or empty.
        line: of its ``FROM``.
        base: what stands behind ``FROM``, substituted.
        parent: number of the stage it continues, or None for an image.
        image: the image at the very bottom.
        steps: its own, triggers first; not those of the parent.
        user: the last ``USER`` in force, or None where there is none down to the image.
        command, entrypoint, healthcheck: the instruction in force, or None.
        triggers: ``ONBUILD`` instructions for whoever continues it.
        variables: in force at its end.
    """

    number: int
    name: str
    line: int
    base: Value
    parent: int | None
    image: Value
    steps: tuple[Step, ...]
    user: Value | None
    command: Step | None
    entrypoint: Step | None
    healthcheck: Step | None
    triggers: tuple[Instruction, ...]
    variables: Mapping[str, str]

    @property
    def shown(self) -> str:
        """Its name, or its number."""
        return self.name or f"stage {self.number}"


@dataclass(slots=True)
class _Building:
    """A stage while it is read."""

    escape: str
    variables: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    user: Value | None = None
    command: Step | None = None
    has_own_command: bool = False
    entrypoint: Step | None = None
    healthcheck: Step | None = None
    triggers: list[Instruction] = field(default_factory=list)

    def expand(self, word: str, line: int) -> Value:
        return expand(word, self.variables, line=line, escape=self.escape)


# instructions whose words the builder substitutes; those of the others go to a shell, or nowhere
_SUBSTITUTED = frozenset(
    ("ADD", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")
)


def evaluate(file: Dockerfile, build_args: Mapping[str, str] | None = None) -> tuple[Stage, ...]:
    """All stages, in order.

    Raises:
        Inconclusive: there is no stage, there are too many, or something stands before ``FROM``.
    """
    given = dict(build_args or {})
    outer: dict[str, str] = {name: given.get(name, value) for name, value in PLATFORM_ARGS.items()}
    declared: dict[str, str] = dict(outer)
    starts = [n for n, found in enumerate(file.instructions) if found.name == "FROM"]
    setting = sum(found.name in ("ARG", "ENV") for found in file.instructions)
    if not starts:
        raise Inconclusive("it has no FROM", hint="the builder refuses it as well")
    if len(starts) > _MOST_STAGES:
        raise Inconclusive(f"it has more than {_MOST_STAGES} stages")
    if setting > _MOST_VARIABLES:
        raise Inconclusive(f"it has more than {_MOST_VARIABLES} ARG and ENV instructions")
    for found in file.instructions[: starts[0]]:
        if found.name != "ARG":
            raise Inconclusive(f"line {found.line}: {found.name} stands before the first FROM")
        for word in found.args:
            name, has_default, default = word.partition("=")
            if name in given:
                declared[name] = given[name]
            elif has_default:
                value = expand(default, declared, line=found.line, escape=file.escape)
                if value.known:
                    declared[name] = value.text
    stages: list[Stage] = []
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(file.instructions)
        own = file.instructions[start:end]
        stages.append(_stage(number, own, file.escape, declared, given, stages))
    return tuple(stages)


def lineage(stages: Sequence[Stage], stage: Stage) -> tuple[Stage, ...]:
    """The stage and those it continues, the lowest first."""
    chain = [stage]
    while chain[-1].parent is not None:
        chain.append(stages[chain[-1].parent])
    return tuple(reversed(chain))


def _stage(
    number: int,
    own: Sequence[Instruction],
    escape: str,
    declared: Mapping[str, str],
    given: Mapping[str, str],
    before: Sequence[Stage],
) -> Stage:
    start = own[0]
    if not start.args:
        raise Inconclusive(f"line {start.line}: FROM names nothing")
    base = expand(start.args[0], declared, line=start.line, escape=escape)
    names_it = len(start.args) == 3 and start.args[1].upper() == "AS"
    name = start.args[2].lower() if names_it else ""
    parent = next(
        (stage for stage in reversed(before) if stage.name and stage.name == base.text.lower()),
        None,
    )
    building = _Building(escape)
    triggers: tuple[Instruction, ...] = ()
    if parent is not None:
        building.variables = dict(parent.variables)
        building.user = parent.user
        building.command, building.entrypoint = parent.command, parent.entrypoint
        building.healthcheck = parent.healthcheck
        triggers = parent.triggers
    for trigger in triggers:
        inner = parse_trigger(trigger, escape)
        if inner is not None:
            _take(building, inner, declared, given)
    for instruction in own[1:]:
        _take(building, instruction, declared, given)
    return Stage(
        number=number,
        name=name,
        line=start.line,
        base=base,
        parent=parent.number if parent else None,
        image=parent.image if parent else base,
        steps=tuple(building.steps),
        user=building.user,
        command=building.command,
        entrypoint=building.entrypoint,
        healthcheck=building.healthcheck,
        triggers=tuple(building.triggers[:_MOST_TRIGGERS]),
        variables=building.variables,
    )


def _take(
    building: _Building,
    instruction: Instruction,
    declared: Mapping[str, str],
    given: Mapping[str, str],
) -> None:
    name, line = instruction.name, instruction.line
    if name in _SUBSTITUTED:
        args = tuple(building.expand(word, line) for word in instruction.args)
    else:
        args = tuple(Value(word, line) for word in instruction.args)
    flags: dict[str, Value] = {}
    for flag in instruction.flags:
        key, _, value = flag.removeprefix("--").partition("=")
        flags[key] = building.expand(value, line)
    step = Step(instruction, args, flags, building.user, building.variables)
    match name:
        case "ARG":
            building.variables = _with_arguments(building, instruction, declared, given)
        case "ENV":
            pairs = zip(args[0::3], args[1::3], strict=False)
            building.variables = building.variables | {
                key.text: value.text for key, value in pairs if value.known
            }
        case "USER" if args:
            building.user = args[0]
        case "CMD":
            building.command, building.has_own_command = step, True
        case "ENTRYPOINT":
            building.entrypoint = step
            if not building.has_own_command:  # an inherited command does not fit another program
                building.command = None
        case "HEALTHCHECK":
            building.healthcheck = step
        case "ONBUILD":
            building.triggers.append(instruction)
    building.steps.append(step)


def _with_arguments(
    building: _Building,
    instruction: Instruction,
    declared: Mapping[str, str],
    given: Mapping[str, str],
) -> dict[str, str]:
    added: dict[str, str] = {}
    for word in instruction.args:
        key, has_default, default = word.partition("=")
        name = building.expand(key, instruction.line).text
        if name in given:
            added[name] = given[name]
        elif has_default:
            value = building.expand(default, instruction.line)
            if value.known:
                added[name] = value.text
        elif name in declared:
            added[name] = declared[name]
    return building.variables | added
