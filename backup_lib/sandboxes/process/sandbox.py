"""The sandbox ``process``: a disposable server as a confined child of ours."""

from __future__ import annotations

import os
import pwd
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from backup_lib.model import Target
from backup_lib.sandboxes.base import RunningServer, ServerRecipe
from backup_lib.sandboxes.process import failures
from backup_lib.sandboxes.process.budget import Budget
from backup_lib.sandboxes.process.homes import Home, Homes
from backup_lib.sandboxes.process.programs import Programs, choose
from backup_lib.sandboxes.process.staging import reachable, stage
from restoreproof.confine import Confinement, confined, layers
from restoreproof.errors import Unreachable
from restoreproof.events import Warned
from restoreproof.process import Child, clean_env, run, start
from restoreproof.process.errors import ChildFailed

if TYPE_CHECKING:
    from pydantic import BaseModel

    from backup_lib.model import ServerFacts
    from backup_lib.work import Work

STOP_GRACE = 5.0
_WAIT_AT_MOST = 0.25


class ProcessSandbox:
    """Starts disposable servers from programs on this machine, as root or as anybody.

    Args:
        programs: folder of the programs per store kind; looked for where none is given.
        folder: where homes lie.
        budget: bytes of disk that one server may take.
        start_timeout: seconds until it has to answer.
        attempts: how often a start is tried.
        skip: layers of confinement to leave out, for tests of the others.
    """

    kind: ClassVar[str] = "process"

    def __init__(
        self,
        *,
        programs: Mapping[str, Path] | None = None,
        folder: Path | None = None,
        budget: int | None = None,
        start_timeout: float = 60.0,
        attempts: int = 3,
        skip: tuple[str, ...] = (),
    ) -> None:
        self._programs = dict(programs or {})
        self._homes = Homes(folder)
        self._budget = budget
        self._start_timeout = start_timeout
        self._attempts = attempts
        self._skip = skip

    @classmethod
    def settings(cls) -> type[BaseModel]:
        """The model of the sandbox's section, without ``kind``."""
        from backup_lib.sandboxes.process.settings import ProcessSettings

        return ProcessSettings

    @classmethod
    def from_settings(cls, name: str, settings: BaseModel, base: Path) -> ProcessSandbox:  # noqa: ARG003  # messages of this kind need no name
        """A sandbox with those settings; relative folders are below ``base``."""
        from backup_lib.sandboxes.process.settings import ProcessSettings

        assert isinstance(settings, ProcessSettings)
        return cls(
            programs={kind: base / path for kind, path in settings.programs.items()},
            folder=base / settings.folder if settings.folder else None,
            budget=settings.budget,
            start_timeout=settings.start_timeout.total_seconds(),
            attempts=settings.attempts,
        )

    def offers(self, recipe: ServerRecipe) -> ServerFacts:
        return self._choose(recipe).facts

    def isolation(self) -> Mapping[str, str]:
        return self._layers

    @contextmanager
    def start(self, recipe: ServerRecipe, work: Work) -> Iterator[RunningServer]:
        chosen = self._choose(recipe)
        self._warn_of_gaps(work)
        with ExitStack() as stack:
            for attempt in range(1, self._attempts + 1):
                try:
                    running = stack.enter_context(self._attempt(recipe, chosen, work))
                except failures.NotStarted:
                    if attempt == self._attempts:
                        raise
                    continue
                break
            yield running

    @cached_property
    def _layers(self) -> Mapping[str, str]:
        return layers(self._skip)

    def _choose(self, recipe: ServerRecipe) -> Programs:
        return choose(recipe, self._programs.get(recipe.kind))

    def _warn_of_gaps(self, work: Work) -> None:
        found = self._layers
        confined_parts = {
            "files": "yes" in (found["mount namespace"], found["landlock"]),
            "network": "yes" in (found["network namespace"], found.get("tcp denied")),
        }
        if open_parts := [name for name, shut in confined_parts.items() if not shut]:
            what = " and ".join(open_parts)
            work.emit(
                Warned(
                    f"the disposable server is not kept from this machine's {what}",
                    hint="see 'isolation' in backup.doctor; the docker sandbox keeps it in",
                    details=tuple(f"{name}: {state}" for name, state in found.items()),
                )
            )

    @contextmanager
    def _attempt(
        self, recipe: ServerRecipe, chosen: Programs, work: Work
    ) -> Iterator[RunningServer]:
        work.cancel.check()
        with self._homes.open(partial(_could_not_remove, work)) as home:
            programs, trees = _placed(recipe, chosen.folder, home)
            confinement = Confinement(
                folder=home.path,
                execute=trees,
                write=(home.path,),
                user=home.user,
                stop_signal=recipe.stop_signal,
                grace=STOP_GRACE,
                skip=self._skip,
            )
            self._prepare(recipe, programs, confinement, home, work)
            server = start(
                confined(recipe.command(programs, home.path), confinement),
                env=clean_env(TZ="UTC", TMPDIR=os.fspath(home.path)),
                log=home.log,
                title=f"disposable {recipe.kind} server",
                grace=STOP_GRACE * 2,
            )
            with (
                server as child,
                Stopper(child.pid) as stopper,
                Budget(home.slot, self._budget, stopper.stop) as budget,
            ):
                target = recipe.target(home.path)
                self._wait_until_ready(recipe, target, child, budget, work)
                try:
                    yield RunningServer(target=target, facts=chosen.facts)
                except Exception as error:
                    cause = failures.cause_of(
                        error, recipe, child, budget, partial(recipe.is_ready, target)
                    )
                    if cause is None:
                        raise
                    raise cause from error
                if budget.error is not None:
                    raise budget.error

    def _prepare(
        self,
        recipe: ServerRecipe,
        programs: Path,
        confinement: Confinement,
        home: Home,
        work: Work,
    ) -> None:
        """Run what comes before the first start, as a user with a name: initdb insists on one.

        The restored content is not there yet, so these commands may use the system's programs.
        """
        account = _account_with_name() if home.user else None
        user = (account, home.user[1]) if home.user and account else confinement.user
        home.give_to(account)
        preparing = Confinement(
            folder=home.path,
            execute=confinement.execute,
            write=confinement.write,
            user=user,
            system_programs=True,
            skip=self._skip,
        )
        for command in recipe.prepare(programs, home.path):
            try:
                run(
                    confined(command, preparing),
                    env=clean_env(TZ="UTC", TMPDIR=os.fspath(home.path)),
                    stall_timeout=self._start_timeout,
                    cancel=work.cancel,
                    title=Path(command[0]).name,
                )
            except ChildFailed as error:
                raise failures.not_started(recipe.kind, error.message, error.stderr) from error
            except Unreachable as error:
                raise failures.not_started(recipe.kind, error.message, "") from error
        home.give_to(home.user[0] if home.user else None)

    def _wait_until_ready(
        self, recipe: ServerRecipe, target: Target, child: Child, budget: Budget, work: Work
    ) -> None:
        deadline = time.monotonic() + self._start_timeout
        pause = 0.01
        while not recipe.is_ready(target):
            work.cancel.check()
            if budget.error is not None:
                raise budget.error
            code = child.wait(pause)
            if code is not None or time.monotonic() > deadline:
                what = (
                    f"no answer within {self._start_timeout:g} s"
                    if code is None
                    else f"it ended with status {code}"
                )
                raise failures.not_started(recipe.kind, what, child.log_tail())
            pause = min(pause * 1.5, _WAIT_AT_MOST)


def _could_not_remove(work: Work, folder: Path, error: OSError) -> None:
    work.emit(
        Warned(
            f"a folder of a disposable server could not be removed: {error.strerror}",
            hint=f"remove {folder} by hand",
        )
    )


class Stopper:
    """Stops one process, never another that was given its number since."""

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.close(self._handle)

    def stop(self) -> None:
        """Ask it to end; nothing happens where it already has."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGTERM)


def _placed(recipe: ServerRecipe, folder: Path, home: Home) -> tuple[Path, tuple[Path, ...]]:
    """The programs where the server's user can reach them, and all they may read."""
    trees = tuple(recipe.installation(folder))
    if home.user is None or reachable(trees):
        return folder, trees
    return stage(folder, trees, home.slot / "programs")


def _account_with_name() -> int | None:
    """``nobody``, or any other account that is not root."""
    with suppress(KeyError):
        return pwd.getpwnam("nobody").pw_uid
    return next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid), None)
