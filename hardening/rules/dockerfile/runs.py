"""What build steps do: RP-D009 to RP-D012."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hardening.rules.dockerfile.build import Build
from hardening.rules.dockerfile.stages import Stage, Step
from hardening.rules.modes import is_setid, is_world_writable
from hardening.rules.rule import Found
from hardening.rules.shell import SHELLS, Words, commands, program, substituted, unwrapped

_INSTALL = {
    "apt-get": ("install",),
    "apt": ("install",),
    "aptitude": ("install",),
    "apk": ("add",),
    "dnf": ("install",),
    "yum": ("install",),
    "microdnf": ("install",),
    "tdnf": ("install",),
    "zypper": ("install", "in"),
    "pacman": ("-S", "-Sy", "-Syu"),
}
_REMOVE = {
    "apt-get": ("purge", "remove", "autoremove"),
    "apt": ("purge", "remove", "autoremove"),
    "aptitude": ("purge", "remove"),
    "apk": ("del",),
    "dnf": ("remove", "erase"),
    "yum": ("remove", "erase"),
    "microdnf": ("remove",),
    "tdnf": ("remove",),
    "zypper": ("remove", "rm"),
    "pacman": ("-R", "-Rs", "-Rns"),
}
_WITH_VALUE = frozenset(("-o", "-t", "--target-release", "-c", "--repository", "-X", "--setopt"))
_VERSION = re.compile(r"[=<>~@].*$|:(?:amd64|arm64|i386|any|native)$")
_HEREDOC_ONLY = re.compile(r"^\s*\d*<<-?\s*['\"]?\w+['\"]?\s*$")


def scripts(step: Step) -> Iterator[Words]:
    """The commands of a ``RUN``, variables put in as far as they are known."""
    for words in _written(step):
        start = 0
        if program(words) in ("sudo", "doas"):
            start = next((n for n, word in enumerate(words) if n and not word.startswith("-")), 0)
        yield words[start:]


def _written(step: Step) -> Iterator[Words]:
    args = step.instruction.args
    if step.instruction.is_json:
        yield from unwrapped(tuple(args))
        return
    line = substituted(args[0] if args else "", step.variables)
    is_script = bool(_HEREDOC_ONLY.match(line))
    for words in commands(line):
        yield words
        is_script = is_script or program(words) in SHELLS
    for heredoc in step.instruction.heredocs if is_script else ():
        yield from commands(substituted(heredoc.content, step.variables))


def denied_tools(build: Build) -> Iterator[Found]:
    """Packages of the deny list that are installed and not removed again."""
    present: dict[str, tuple[Stage, Step]] = {}
    for stage, step in build.steps():
        if step.instruction.name != "RUN":
            continue
        virtual: dict[str, set[str]] = {}
        for words in scripts(step):
            installed = _packages(words, _INSTALL)
            group = _virtual(words)
            if group:
                virtual.setdefault(group, set()).update(installed)
            present |= {
                package: (stage, step)
                for package in installed
                if package in build.options.denied_tools
            }
            for package in _packages(words, _REMOVE):
                for gone in (package, *virtual.get(package, ())):
                    present.pop(gone, None)
    for package, (stage, step) in present.items():
        line = build.file.line_of(step.instruction, package)
        yield Found("RP-D009", f"install {package}", line, stage.shown, package)


def loose_modes(build: Build) -> Iterator[Found]:
    """``chmod``, ``install -m``, ``mkdir -m``, ``--chmod`` that open files to all, or set ids."""
    for stage, step in build.steps():
        instruction = step.instruction
        for mode in _modes(step):
            line = build.file.line_of(instruction, mode)
            evidence = f"{instruction.name} mode {mode}"
            if is_world_writable(mode):
                yield Found("RP-D010", evidence, line, stage.shown, f"mode {mode}")
            if is_setid(mode):
                yield Found("RP-D011", evidence, line, stage.shown, f"mode {mode}")


def not_isolated(build: Build) -> Iterator[Found]:
    """``RUN --security=insecure`` and ``--network=host``, in any stage."""
    for stage in build.stages:
        for step in stage.steps:
            for flag, value in (("security", "insecure"), ("network", "host")):
                found = step.flags.get(flag)
                if step.instruction.name == "RUN" and found and found.text == value:
                    evidence = f"RUN --{flag}={value}"
                    yield Found("RP-D012", evidence, step.instruction.line, stage.shown, evidence)


def _modes(step: Step) -> Iterator[str]:
    if step.instruction.name in ("COPY", "ADD") and "chmod" in step.flags:
        yield step.flags["chmod"].text
    if step.instruction.name != "RUN":
        return
    for words in scripts(step):
        match program(words):
            case "chmod":
                modes = [word for word in words[1:] if not _is_option(word)]
                yield from modes[:1]
            case "install" | "mkdir":
                for word, following in zip(words[1:], (*words[2:], ""), strict=False):
                    if word in ("-m", "--mode"):
                        yield following
                    elif word.startswith("--mode="):
                        yield word.removeprefix("--mode=")
                    elif re.fullmatch(r"-m[0-7]{3,4}", word):
                        yield word[2:]


def _is_option(word: str) -> bool:
    return word.startswith("--") or (word.startswith("-") and set(word[1:]) <= set("Rvfc"))


def _packages(words: Sequence[str], verbs: dict[str, tuple[str, ...]]) -> list[str]:
    asked = verbs.get(program(words))
    if asked is None or not any(word in asked for word in words[1:]):
        return []
    packages: list[str] = []
    skip = False
    is_past = False
    for word in words[1:]:
        if skip:
            skip = False
        elif not is_past and word in asked:
            is_past = True
        elif word in _WITH_VALUE or word in ("-t", "--virtual"):
            skip = True
        elif is_past and not word.startswith("-"):
            packages.append(_VERSION.sub("", word))
    return packages


def _virtual(words: Sequence[str]) -> str | None:
    if program(words) != "apk":
        return None
    for word, following in zip(words, (*words[1:], ""), strict=False):
        if word in ("-t", "--virtual"):
            return following
        if word.startswith("--virtual="):
            return word.removeprefix("--virtual=")
    return None


CHECKS = (denied_tools, loose_modes, not_isolated)
