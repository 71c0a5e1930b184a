"""The truth table: what is done to a backup, a store or the machine, and what must be said then.

Rows are data: ``tests/faults/test_truth_table.py`` executes every one through the command line, and
``docs/PROOF.md`` shows them (``python -m tests.harness.truth`` prints that table). A later kind of
store adds rows, with its injuries in a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from backup_lib.model import Rung
from backup_lib.services.run import BackupRun
from restoreproof.exit_codes import ExitCode
from restoreproof.verdict import Verdict
from tests.harness.fault_site import FaultSite

ANY = "any"
"""Every kind of store."""

_VERDICT_CODES = {
    Verdict.PASSED: ExitCode.OK,
    Verdict.FAILED: ExitCode.BAD,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


@dataclass
class Scene:
    """A site with one good backup, which a row injures.

    Attributes:
        site: the site.
        run: the good backup.
        stack: what is undone at the end.
        command: what is run then; an injury may change it.
    """

    site: FaultSite
    run: BackupRun
    stack: ExitStack
    command: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        what: the damage or failure, in words.
        injure: does it.
        task: the task that is run then, such as ``backup.verify``.
        code: the exit code it must end with.
        verdict: of a verification.
        rung: the lowest one that does not pass; None where all pass.
        store: the kind of store, or :data:`ANY`.
        options: of the task, beyond the set.
        needs_mount: a small disk is mounted for it.
    """

    what: str
    injure: Callable[[Scene], object]
    task: str
    code: ExitCode
    verdict: Verdict | None = None
    rung: Rung | None = None
    store: str = ANY
    options: tuple[str, ...] = ()
    needs_mount: bool = False

    def cells(self) -> tuple[str, ...]:
        """As the document shows it."""
        task = " ".join((self.task, *self.options)).strip()
        return (
            self.what,
            self.store,
            f"`{task}`",
            str(self.verdict or "—"),
            f"`{self.rung}`" if self.rung else "—",
            str(int(self.code)),
        )


def judged(
    what: str,
    injure: Callable[[Scene], object],
    verdict: Verdict,
    rung: Rung | None = None,
    *,
    store: str = ANY,
    depth: Rung | None = None,
    options: tuple[str, ...] = (),
    needs_mount: bool = False,
) -> Row:
    """A row about ``backup.verify``; the exit code is that of the verdict."""
    if depth is not None:
        options = ("--depth", str(depth), *options)
    code = _VERDICT_CODES[verdict]
    return Row(
        what, injure, "backup.verify", code, verdict, rung, store, options, needs_mount=needs_mount
    )


def rows() -> tuple[Row, ...]:
    """All rows, in the order of the document."""
    from tests.harness.truth_postgres import POSTGRES_ROWS
    from tests.harness.truth_sets import SET_ROWS
    from tests.harness.truth_valkey import VALKEY_ROWS
    from tests.harness.truth_valkey_aof import AOF_ROWS

    return (*SET_ROWS, *POSTGRES_ROWS, *VALKEY_ROWS, *AOF_ROWS)


def rendered(table: Iterable[Row]) -> str:
    """The table as Markdown."""
    head = ("damage or failure", "store", "task", "verdict", "rung", "exit code")
    lines = [head, ("---",) * 5 + ("---:",), *(row.cells() for row in table)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


if __name__ == "__main__":
    print(rendered(rows()), end="")  # noqa: T201 - the output of this program
