"""Who runs, and who owns the files: RP-D001 to RP-D004."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hardening.rules.dockerfile.build import Build, is_root
from hardening.rules.dockerfile.stages import Step
from hardening.rules.options import CopyOwnership
from hardening.rules.rule import Found
from hardening.rules.shell import Words, commands, program, substituted, unwrapped


def runs_as_root(build: Build) -> Iterator[Found]:
    """The user in force at the end of the target stage is root, or not known."""
    user = build.user()
    start = build.target.line
    if user is None:
        base = build.target.image
        image = base.text or f"the image in {', '.join(base.missing)}"
        detail = f"no USER, and the user of {image} is not known"
        yield Found("RP-D001", "no USER", start, build.target.shown, detail)
    elif not is_root(user.text):
        return
    elif build.target.user is None:
        detail = "no USER, and the base image runs as root"
        yield Found("RP-D001", "no USER", start, build.target.shown, detail)
    else:
        detail = f"USER is {user.text or 'empty'}"
        if user.missing:
            detail += f", unless the base image sets {user.missing[0]}"
        yield Found("RP-D001", f"USER {user.text}", user.line, build.target.shown, detail)


def user_after_command(build: Build) -> Iterator[Found]:
    """A ``USER`` below the first ``CMD`` or ``ENTRYPOINT`` of the target stage."""
    starts = [s for s in build.target.steps if s.instruction.name in ("CMD", "ENTRYPOINT")]
    if not starts:
        return
    for step in build.target.steps:
        if step.instruction.name == "USER" and step.instruction.line > starts[0].instruction.line:
            evidence = " ".join(("USER", *(arg.text for arg in step.args)))
            yield Found("RP-D002", evidence, step.instruction.line, build.target.shown)


def command_becomes_root(build: Build) -> Iterator[Found]:
    """``sudo``, ``su``, ``gosu root`` and their like in what the container starts."""
    for step in (build.target.entrypoint, build.target.command, build.target.healthcheck):
        if step is None:
            continue
        for words in _started(step):
            reason = _becomes_root(words)
            if reason:
                name = step.instruction.name
                line = build.file.line_of(step.instruction, words[0])
                yield Found("RP-D003", f"{name} {reason}", line, build.target.shown, reason)


def copied_without_owner(build: Build) -> Iterator[Found]:
    """``COPY`` and ``ADD`` against the policy on owners, where somebody else than root runs."""
    policy = build.options.copy_ownership
    user = build.user()
    if policy is CopyOwnership.ANY or user is None or is_root(user.text):
        return
    for stage, step in build.steps():
        instruction = step.instruction
        if instruction.name not in ("COPY", "ADD"):
            continue
        owner = step.flags.get("chown")
        target = step.args[-1].text if step.args else ""
        evidence = f"{instruction.name} {target}"
        if policy is CopyOwnership.STATED and owner is None:
            detail = f"{evidence} does not say --chown"
            yield Found("RP-D004", evidence, instruction.line, stage.shown, detail)
        elif policy is CopyOwnership.ROOT and owner is not None and not is_root(owner.text):
            detail = f"{evidence} belongs to {owner.text}"
            yield Found("RP-D004", evidence, instruction.line, stage.shown, detail)


def _started(step: Step) -> Iterator[Words]:
    args = step.instruction.args
    if step.instruction.name == "HEALTHCHECK":
        args = args[1:]
    if step.instruction.is_json:
        yield from unwrapped(tuple(args))
        return
    for text in args:
        yield from commands(substituted(text, step.variables))


def _becomes_root(words: Sequence[str]) -> str | None:
    name, rest = program(words), list(words[1:])
    if "--allow-root" in rest:
        return f"{name} --allow-root"
    match name:
        case "sudo" | "doas":
            other = _after(rest, "-u", "--user")
            return name if other is None or is_root(other) else None
        case "su":
            named = [
                word
                for before, word in zip(words, rest, strict=False)
                if not word.startswith("-") and before not in ("-c", "-s", "--command", "--shell")
            ]
            return "su" if not named or is_root(named[0]) else None
        case "gosu" | "su-exec" | "setuidgid" | "chpst":
            other = _after(rest, "-u") or (rest[0] if rest else "root")
            return f"{name} {other}" if is_root(other) else None
        case "setpriv" | "runuser" | "chroot" | "start-stop-daemon":
            other = _after(rest, "--reuid", "-u", "--user", "--userspec", "--chuid", "-c")
            return f"{name} {other}" if other is not None and is_root(other) else None
    other = _after(rest, "--user", "--uid")
    if other is not None and is_root(other):
        return f"{name} --user {other}"
    return None


def _after(words: Sequence[str], *options: str) -> str | None:
    """The value of the first of these options; None where none is there."""
    for number, word in enumerate(words):
        option, has_value, value = word.partition("=")
        if option in options:
            if has_value:
                return value
            return words[number + 1] if number + 1 < len(words) else ""
    return None


CHECKS = (runs_as_root, user_after_command, command_becomes_root, copied_without_owner)
