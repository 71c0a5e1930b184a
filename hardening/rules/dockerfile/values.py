"""Credentials in what ends up in the image's configuration: RP-D013."""

from __future__ import annotations

from collections.abc import Iterator

from hardening.rules.credentials import credential
from hardening.rules.dockerfile.build import Build
from hardening.rules.dockerfile.stages import Step
from hardening.rules.rule import Found


def credentials(build: Build) -> Iterator[Found]:
    """``ENV``, ``LABEL`` and defaults of ``ARG``, in all stages and before the first."""
    for instruction in build.file.instructions:
        if instruction.name == "FROM":
            break
        for word in instruction.args:
            name, _, value = word.partition("=")
            kind = credential(name, value.strip("'\""))
            if kind:
                yield Found("RP-D013", f"ARG {name}", instruction.line, "", f"ARG {name} is {kind}")
    for stage in build.stages:
        for step in stage.steps:
            for name, value in _pairs(step):
                kind = credential(name, value)
                if kind:
                    evidence = f"{step.instruction.name} {name}"
                    line = build.file.line_of(step.instruction, name)
                    yield Found("RP-D013", evidence, line, stage.shown, f"{evidence} is {kind}")


def _pairs(step: Step) -> Iterator[tuple[str, str]]:
    match step.instruction.name:
        case "ENV" | "LABEL":
            pairs = zip(step.args[0::3], step.args[1::3], strict=False)
            yield from ((name.text, value.text) for name, value in pairs)
        case "ARG":
            for word in step.instruction.args:
                name, _, value = word.partition("=")
                yield name, value.strip("'\"")


CHECKS = (credentials,)
