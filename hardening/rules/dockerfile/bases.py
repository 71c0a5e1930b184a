"""Where things come from, and whether anybody would notice: RP-D005 to RP-D008, RP-D014."""

from __future__ import annotations

from collections.abc import Iterator

from hardening.rules.dockerfile.build import Build
from hardening.rules.references import is_pinned, tag
from hardening.rules.rule import Found


def base_not_pinned(build: Build) -> Iterator[Found]:
    """An image behind ``FROM`` or ``COPY --from`` without a digest."""
    for stage in build.stages:
        if build.is_image(stage) and not is_pinned(stage.base.text):
            shown = stage.base.text
            if not stage.base.is_certain:
                shown = f"{shown} (set from outside: {', '.join(stage.base.missing)})".strip()
            yield Found("RP-D005", f"FROM {stage.base.text}", stage.line, stage.shown, shown)
        names = {other.name for other in build.stages[: stage.number]}
        for step in stage.steps:
            source = step.flags.get("from")
            if step.instruction.name != "COPY" or source is None:
                continue
            if source.text.lower() in names or source.text.isdecimal() or is_pinned(source.text):
                continue
            evidence = f"COPY --from={source.text}"
            yield Found("RP-D005", evidence, step.instruction.line, stage.shown, source.text)


def base_without_version(build: Build) -> Iterator[Found]:
    """An image behind ``FROM`` without a tag, or with ``latest``, and without a digest."""
    for stage in build.stages:
        base = stage.base
        if not build.is_image(stage) or not base.is_certain or is_pinned(base.text):
            continue
        if tag(base.text) in ("", "latest"):
            yield Found("RP-D006", f"FROM {base.text}", stage.line, stage.shown, base.text)


def no_health_check(build: Build) -> Iterator[Found]:
    """No ``HEALTHCHECK`` in force, or one that says ``NONE``."""
    check = build.target.healthcheck
    if check is None:
        yield Found("RP-D007", "no HEALTHCHECK", build.target.line, build.target.shown)
    elif check.args and check.args[0].text.upper() == "NONE":
        line = check.instruction.line
        yield Found("RP-D008", "HEALTHCHECK NONE", line, build.target.shown)


def added_from_network(build: Build) -> Iterator[Found]:
    """``ADD`` of an address without a checksum."""
    for stage in build.stages:
        for step in stage.steps:
            if step.instruction.name != "ADD" or "checksum" in step.flags:
                continue
            for source in step.args[:-1]:
                if source.text.lower().startswith(("http://", "https://", "ftp://")):
                    address = source.text.partition("?")[0]
                    line = build.file.line_of(step.instruction, address)
                    yield Found("RP-D014", f"ADD {address}", line, stage.shown)


CHECKS = (base_not_pinned, base_without_version, no_health_check, added_from_network)
