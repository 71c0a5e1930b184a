"""The stable facade: is this backup there, young, large and whole enough, and does it restore?

For plain files that any tool made, and for the sets of a configuration::

    from backup_lib import BackupVerifier

    verifier = BackupVerifier()
    if not verifier.restore_test("/backups/orders.dump", "postgres"):
        verifier.send_alert(verifier.last)

A method answers True for *passed* and for nothing else; :attr:`BackupVerifier.last` tells failed
from inconclusive, with the reason and what to do. A bad backup is an answer, never an exception;
what is raised is a wrong call (:class:`~restoreproof.errors.UsageError`), a wrong configuration
(:class:`~restoreproof.errors.ConfigError`) or an interruption.

A path is a file, a folder that is a backup, or a folder or pattern of several backups, of which the
newest complete one is meant. A type is one of ``postgres-sql``, ``postgres-custom``,
``postgres-tar``, ``postgres-directory``, ``json``, ``valkey-rdb``, ``valkey-aof``, ``neo4j-dump``,
``qdrant-snapshot``, ``opensearch-repository``, ``compressed``, or a store alone (``postgres``);
left out, the file tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backup_lib.model import Fingerprint, Rung, RungResult, SetVerification
from backup_lib.services.alerting import finding_of, report
from backup_lib.services.amounts import row_counts
from backup_lib.services.nightly import verify_sets
from backup_lib.services.plain_ladder import PlainLadder, PlainPlan
from backup_lib.services.plain_plans import age_of, bytes_of, depth_of, path_of, plans_of, type_of
from backup_lib.services.surroundings import Surroundings
from backup_lib.work import Work
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import UsageError
from restoreproof.events import Listener, Warned, silent
from restoreproof.process import Cancellation
from restoreproof.verdict import Verdict

if TYPE_CHECKING:
    from backup_lib.config import BackupConfig
    from backup_lib.sandboxes.base import Sandbox
    from restoreproof.alerts.channel import Channel

_NO_CHANNEL = "configure one: a table [alert.NAME] in restoreproof.toml"


class BackupVerifier:
    """Judges backups. Needs no arguments: what is left out is configured, found or usual.

    Args:
        config: a configuration or its file: its alert channels and its first sandbox are used. Left
            out, the one that ``RESTOREPROOF_CONFIG`` names or that lies in this folder or above is
            used for its channels, if there is one.
        sandbox: where restores are rehearsed; disposable servers on this machine by default.
        channels: who is told, by name, instead of the configured channels.
        state: folder of what is remembered of alerts; the configuration's, else the user's own
            (``~/.local/state/restoreproof``).
        scratch: folder for temporary files, on a disk with room; the system's by default.
        emit: listener for progress and warnings.
        clock: wall time, for tests of schedules.
        cancel: stops the work from another thread or a signal handler.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | BackupConfig | None = None,
        *,
        sandbox: Sandbox | None = None,
        channels: Mapping[str, Channel] | None = None,
        state: str | os.PathLike[str] | None = None,
        scratch: str | os.PathLike[str] | None = None,
        emit: Listener = silent,
        clock: Clock = SYSTEM_CLOCK,
        cancel: Cancellation | None = None,
    ) -> None:
        self._around = Surroundings(
            config,
            sandbox=sandbox,
            channels=channels,
            state=None if state is None else path_of(state),
            clock=clock,
        )
        self._work = Work(emit=emit, clock=clock, cancel=cancel or Cancellation())
        if scratch is not None:
            self._work = replace(self._work, scratch=path_of(scratch))
        self._last: RungResult | None = None
        self._results: tuple[SetVerification, ...] = ()
        self._content: Fingerprint | None = None
        self._about = "backup"

    @property
    def last(self) -> RungResult | None:
        """Verdict, rung, reason and hint of the last judgement; of ``verify_all`` the worst one."""
        return self._last

    @property
    def results(self) -> tuple[SetVerification, ...]:
        """Every rung of every backup of the last :meth:`verify_all`."""
        return self._results

    @property
    def content(self) -> Fingerprint | None:
        """The content of the copy that :meth:`restore_test` restored last; None without one."""
        return self._content

    @property
    def row_counts(self) -> dict[str, int]:
        """Rows of each table of that copy by its name; keys of each database of Valkey."""
        return row_counts(self._content) if self._content else {}

    def check_exists(self, path: str | os.PathLike[str]) -> bool:
        """Whether there is one; missing is ``failed``, not readable ``inconclusive``."""
        return self._judged(self._ladder(path).exists())

    def check_freshness(self, path: str | os.PathLike[str], max_age_hours: float) -> bool:
        """Whether it was last written within ``max_age_hours``.

        Of a folder its newest file counts. An archive of ``pg_dump`` or an RDB file that says
        itself that it is older than its file is as old as it says.

        Raises:
            UsageError: the limit is no number of hours.
        """
        return self._judged(self._ladder(path, max_age=age_of(max_age_hours)).fresh())

    def validate_size(self, path: str | os.PathLike[str], min_bytes: int = 1) -> bool:
        """Whether it has at least ``min_bytes`` stored bytes; an empty one is always too small.

        Raises:
            UsageError: the limit is no number of bytes.
        """
        return self._judged(self._ladder(path, min_size=bytes_of(min_bytes)).size())

    def validate_integrity(
        self, path: str | os.PathLike[str], backup_type: str | None = None
    ) -> bool:
        """Whether every byte is as its format says; ``docs/PROOF.md`` says what that shows.

        Args:
            path: see the module.
            backup_type: what it has to be; a file of another store is ``failed``.

        Raises:
            UsageError: there is no such type.
        """
        return self._judged(self._ladder(path, backup_type).integrity())

    def restore_test(
        self,
        path: str | os.PathLike[str],
        backup_type: str | None = None,
        expected: Fingerprint | None = None,
    ) -> bool:
        """Whether it restores into a disposable server, and holds what the source held.

        Afterwards :attr:`content` and :attr:`row_counts` tell what came out. A copy without one row
        proves nothing and is ``inconclusive``.

        Args:
            path: see the module.
            backup_type: what it has to be; a file of another store is ``failed``.
            expected: fingerprint of the source; the content has to be equal to it.

        Raises:
            UsageError: there is no such type.
        """
        ladder = self._ladder(path, backup_type, expected=expected)
        self._content = None
        rungs = ladder.restore()
        if ladder.rehearsal:
            self._content = ladder.rehearsal.content
        return self._judged(_worst(rungs))

    def send_alert(self, error: str | BaseException | RungResult | None) -> bool:
        """Tell the alert channels; True when at least one took it.

        Nothing is held back and nothing is remembered: that is what :meth:`verify_all` does. Never
        raises because of a channel or its configuration; a warning is emitted instead.

        Args:
            error: a sentence, an exception, or the result of a rung such as :attr:`last`.
        """
        if error is None or (isinstance(error, RungResult) and error.verdict is Verdict.PASSED):
            self._warn(
                "there is nothing to alert anybody about", "alert when a check answers False"
            )
            return False
        try:
            dispatcher = self._around.dispatcher(self._work.emit)
        except UsageError as wrong:
            self._warn(f"nobody was told: {wrong.message}", wrong.hint)
            return False
        if dispatcher is None:
            self._warn("nobody was told: there is no alert channel", _NO_CHANNEL)
            return False
        deliveries = dispatcher.announce(finding_of(error, self._about, self._last))
        return any(delivery.ok for delivery in deliveries)

    def verify_all(
        self,
        config: str | os.PathLike[str] | BackupConfig | Mapping[str, object] | None = None,
        *,
        depth: str | None = None,
    ) -> dict[str, bool]:
        """Climb the whole ladder for every backup, and tell the alert channels what was found.

        Args:
            config: the file of a configuration, or a configuration, whose sets are verified; or a
                mapping about plain files: one entry, name → entry, or name → path. An entry has
                ``path`` and may have ``type``, ``max_age_hours``, ``min_bytes``, ``expected`` and
                ``depth``. Left out: the configuration of this verifier.
            depth: the highest rung to climb to; as far as there is something to judge by default.

        Returns:
            for a configuration ``"SET/STORE"`` → whether all its rungs passed; for plain files
            name → the same, where an entry alone is called by its file's name. :attr:`results` has
            every rung.

        Raises:
            ConfigError, UsageError: the configuration is wrong, or there is nothing to verify.
        """
        rung = None if depth is None else depth_of(depth, sets=not isinstance(config, Mapping))
        told = False
        self._content = None
        if isinstance(config, Mapping):
            plans = plans_of(config, depth=rung)
            self._results = tuple(self._climb(plan) for plan in plans)
            answers = {result.set_name: _passed(result.verdict) for result in self._results}
        else:
            site = self._around.site if config is None else self._around.site_of(config)
            if site is None:
                raise UsageError("nothing to verify", hint="name a configuration, or plain files")
            self._results = verify_sets(
                site,
                site.chosen_sets(None),
                self._work,
                depth=rung or Rung.ASSERTIONS,
                alerts=not self._around.own_channels,
            )
            told = bool(site.alert_channels()) and not self._around.own_channels
            answers = {
                f"{result.set_name}/{store.store}": _passed(store.verdict)
                for result in self._results
                for store in result.stores
            }
        worst = [(_worst(_rungs(result)), result.set_name) for result in self._results]
        self._last = _worst([rung for rung, _ in worst])
        self._about = next(name for rung, name in worst if rung is self._last)
        if not told:
            self._tell()
        return answers

    def _climb(self, plan: PlainPlan) -> SetVerification:
        ladder = PlainLadder(plan, self._around.sandbox, self._work)
        result = ladder.climb()
        if ladder.rehearsal:
            self._content = ladder.rehearsal.content
        return result

    def _tell(self) -> None:
        """Tell the usual channels of what no set has told its own."""
        try:
            dispatcher = self._around.dispatcher(self._work.emit)
        except UsageError as wrong:
            self._warn(f"nobody was told: {wrong.message}", wrong.hint)
            return
        if dispatcher is None and any(not _passed(one.verdict) for one in self._results):
            self._warn("nobody was told: there is no alert channel", _NO_CHANNEL)
        report(dispatcher, self._results)

    def _ladder(
        self,
        path: str | os.PathLike[str],
        backup_type: str | None = None,
        *,
        max_age: timedelta | None = None,
        min_size: int = 1,
        expected: Fingerprint | None = None,
    ) -> PlainLadder:
        there = path_of(path)
        self._about = there.name or str(there)
        plan = PlainPlan(
            self._about,
            there,
            type=type_of(backup_type),
            max_age=max_age,
            min_size=min_size,
            expected=expected,
        )
        return PlainLadder(plan, self._around.sandbox, self._work)

    def _judged(self, result: RungResult) -> bool:
        self._last = result
        return _passed(result.verdict)

    def _warn(self, message: str, hint: str = "") -> None:
        self._work.emit(Warned(message, hint))


def _passed(verdict: Verdict) -> bool:
    return verdict is Verdict.PASSED


def _rungs(result: SetVerification) -> list[RungResult]:
    return [rung for store in result.stores for rung in store.rungs]


def _worst(rungs: tuple[RungResult, ...] | list[RungResult]) -> RungResult:
    """The first that failed, else the first inconclusive, else the highest."""
    for verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE):
        for rung in rungs:
            if rung.verdict is verdict:
                return rung
    return rungs[-1]
