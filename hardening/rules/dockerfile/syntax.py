"""The instructions of a Dockerfile, with their lines. BuildKit's own grammar does the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardening.rules.options import Limits
from restoreproof.errors import Inconclusive
from restoreproof.quantities import readable_size

if TYPE_CHECKING:
    from e2b_dockerfile_utils import DockerfileHeredoc

LONGEST_LINE = 65_535
"""Bytes of one line; the builder refuses a longer one."""

_LONGEST_DIRECTIVE = 1_024


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A document within an instruction.

    Attributes:
        name: the word that ends it.
        content: its lines, without leading tabs where ``<<-`` asked for that.
        line: its first line.
    """

    name: str
    content: str
    line: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, continuation lines joined.

    Attributes:
        name: in capitals.
        flags: ``--chown=1:1``, without quotes; not expanded.
        args: its words, as the grammar of that instruction splits them; not expanded. ``ENV`` and
            ``LABEL`` give name, value and separator in turn.
        is_json: whether it is written as a JSON list.
        heredocs: in order.
        line: of its first word, from 1.
        last_line: of its end, heredocs included.
        text: the joined line, without heredocs.
    """

    name: str
    flags: tuple[str, ...]
    args: tuple[str, ...]
    is_json: bool
    heredocs: tuple[Heredoc, ...]
    line: int
    last_line: int
    text: str

    def flag(self, name: str) -> str | None:
        """The value of ``--name=value``; the empty string for ``--name``; None without it."""
        for flag in self.flags:
            key, _, value = flag.partition("=")
            if key == f"--{name}":
                return value
        return None


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A file as it is written.

    Attributes:
        instructions: in order.
        escape: the escape character.
        lines: its physical lines, without line ends.
    """

    instructions: tuple[Instruction, ...]
    escape: str
    lines: tuple[str, ...]

    def line_of(self, instruction: Instruction, word: str) -> int:
        """The line within an instruction on which ``word`` stands; its first line otherwise."""
        for number in range(instruction.line, instruction.last_line + 1):
            if word and word in self.lines[number - 1]:
                return number
        return instruction.line


def parse(raw: bytes, limits: Limits | None = None) -> Dockerfile:
    """What a Dockerfile says.

    Raises:
        Inconclusive: the builder would refuse it, or it is too large to be meant.
    """
    from e2b_dockerfile_utils import DockerfileSyntaxError, parse_dockerfile_ast

    limits = limits or Limits()
    text = _checked(raw, limits)
    try:
        tree = parse_dockerfile_ast(text)
    except DockerfileSyntaxError as error:
        raise Inconclusive(str(error), hint="the builder refuses this file as well") from None
    except (ValueError, RecursionError) as error:
        raise Inconclusive(f"this is not a Dockerfile: {error}") from None
    if len(tree.instructions) > limits.instructions:
        raise Inconclusive(f"it has more than {limits.instructions} instructions")
    instructions = tuple(
        Instruction(
            name=found.name,
            flags=tuple(found.flags),
            args=tuple(found.args),
            is_json=found.json,
            heredocs=_heredocs(found.heredocs, found.end_line),
            line=found.start_line,
            last_line=found.end_line,
            text=found.original,
        )
        for found in tree.instructions
    )
    return Dockerfile(instructions, tree.escape_token, tuple(text.split("\n")))


def parse_trigger(instruction: Instruction, escape: str) -> Instruction | None:
    """The instruction behind ``ONBUILD``, on the same line; None where the builder refuses it."""
    words = instruction.text.split(None, 1)
    if len(words) < 2:
        return None
    try:
        (inner,) = parse(
            f"# escape={escape}\n{words[1]}".encode("utf-8", "surrogateescape")
        ).instructions
    except (Inconclusive, ValueError):
        return None
    if inner.name in ("ONBUILD", "FROM", "MAINTAINER"):
        return None
    return Instruction(
        inner.name,
        inner.flags,
        inner.args,
        inner.is_json,
        (),
        instruction.line,
        instruction.last_line,
        inner.text,
    )


def _checked(raw: bytes, limits: Limits) -> str:
    if len(raw) > limits.file_bytes:
        raise Inconclusive(f"it is larger than {readable_size(limits.file_bytes)}")
    lines = raw.split(b"\n")
    longest = max(map(len, lines))
    if longest > LONGEST_LINE:
        raise Inconclusive(
            f"a line of {longest} bytes is longer than the builder accepts ({LONGEST_LINE})"
        )
    for line in lines:  # comments at the top are read by a pattern that long ones make slow
        if not line.lstrip().startswith(b"#"):
            break
        if len(line) > _LONGEST_DIRECTIVE:
            raise Inconclusive("a comment at its top is too long to be a parser directive")
    return raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def _heredocs(found: Sequence[DockerfileHeredoc], last_line: int) -> tuple[Heredoc, ...]:
    """With their first lines, counted back from the line that ends the last of them."""
    placed: list[Heredoc] = []
    end = last_line
    for heredoc in reversed(found):
        lines = heredoc.content.split("\n")[:-1]
        content = "\n".join(line.lstrip("\t") if heredoc.chomp else line for line in lines)
        placed.append(Heredoc(heredoc.name, content, end - len(lines)))
        end -= len(lines) + 1
    return tuple(reversed(placed))
