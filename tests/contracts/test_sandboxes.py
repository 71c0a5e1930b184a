"""What every kind of sandbox has to keep, for every kind of server it can start."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from backup_lib.kinds import SANDBOXES, STORES
from backup_lib.model import ServerFacts, Target
from backup_lib.sandboxes.base import RunningServer, ServerRecipe
from backup_lib.work import Work
from restoreproof.errors import Inconclusive, Interrupted, JudgedBad
from tests.harness.sandboxes import RECIPES, RIGS, Rig


@pytest.fixture(params=SANDBOXES.names())
def rig(request: pytest.FixtureRequest, sandbox_folder: Path) -> Iterator[Rig]:
    with RIGS[request.param](sandbox_folder) as made:
        yield made


@pytest.fixture(params=sorted(RECIPES))
def recipe(request: pytest.FixtureRequest) -> ServerRecipe:
    return RECIPES[request.param]()


class Altered:
    """A recipe with something wrong."""

    def __init__(self, recipe: ServerRecipe) -> None:
        self._recipe = recipe
        self.kind = recipe.kind
        self.program_names = recipe.program_names
        self.stop_signal = recipe.stop_signal
        self.started = 0

    def bundled_programs(self) -> Path | None:
        return self._recipe.bundled_programs()

    def usual_programs(self) -> Sequence[Path]:
        return self._recipe.usual_programs()

    def installation(self, programs: Path) -> Sequence[Path]:
        return self._recipe.installation(programs)

    def facts(self, programs: Path) -> ServerFacts:
        return self._recipe.facts(programs)

    def suffices(self, facts: ServerFacts) -> bool:
        return self._recipe.suffices(facts)

    def prepare(self, programs: Path, home: Path) -> Sequence[Sequence[str]]:
        return self._recipe.prepare(programs, home)

    def command(self, programs: Path, home: Path) -> Sequence[str]:
        self.started += 1
        return self._recipe.command(programs, home)

    def target(self, home: Path) -> Target:
        return self._recipe.target(home)

    def is_ready(self, target: Target) -> bool:
        return self._recipe.is_ready(target)

    def damage_in(self, log: str) -> str:
        return self._recipe.damage_in(log)


class Broken(Altered):
    """Its server complains and ends, the first ``times`` times."""

    def __init__(self, recipe: ServerRecipe, times: int) -> None:
        super().__init__(recipe)
        self._times = times

    def command(self, programs: Path, home: Path) -> Sequence[str]:
        command = super().command(programs, home)
        return command if self.started > self._times else [command[0], "--no-such-thing"]


class NeverReady(Altered):
    """Its server never answers."""

    def is_ready(self, target: Target) -> bool:
        return super().is_ready(target) and False


class NotPrepared(Altered):
    """What has to come before the start fails."""

    def prepare(self, programs: Path, home: Path) -> Sequence[Sequence[str]]:
        commands = super().prepare(programs, home) or [[str(programs / self.program_names[0])]]
        return [[*command, "--no-such-thing"] for command in commands]


def test_every_kind_of_sandbox_has_a_rig() -> None:
    assert set(SANDBOXES.names()) == set(RIGS)


def test_every_kind_of_store_has_a_recipe() -> None:
    assert set(STORES.names()) == set(RECIPES)


def test_settings_make_a_sandbox(rig: Rig, tmp_path: Path) -> None:
    plugin = SANDBOXES.load(rig.kind)
    made = plugin.from_settings("test", plugin.settings().model_validate({}), tmp_path)
    assert made.kind == rig.kind


def test_isolation_is_told_layer_by_layer(rig: Rig) -> None:
    told = rig.make().isolation()
    assert told
    assert all(state.startswith(("yes", "no")) for state in told.values())


def test_a_server_is_what_was_offered_and_is_gone_afterwards(
    rig: Rig, recipe: ServerRecipe
) -> None:
    sandbox = rig.make()
    offers = sandbox.offers(recipe)

    with sandbox.start(recipe, Work()) as server:
        assert server.target.disposable
        assert server.facts == offers
        assert recipe.is_ready(server.target)
        assert rig.remains() != []

    assert rig.remains() == []
    assert not recipe.is_ready(server.target)


def test_two_servers_share_nothing(rig: Rig, recipe: ServerRecipe) -> None:
    sandbox = rig.make()
    with sandbox.start(recipe, Work()) as one, sandbox.start(recipe, Work()) as other:
        assert one.target.params != other.target.params
        assert recipe.is_ready(one.target)
        assert recipe.is_ready(other.target)
    assert rig.remains() == []


def test_an_error_of_its_user_comes_out_as_it_is(rig: Rig, recipe: ServerRecipe) -> None:
    error = JudgedBad("the copy differs")
    with pytest.raises(JudgedBad) as caught, rig.make().start(recipe, Work()):
        raise error
    assert caught.value is error
    assert rig.remains() == []


def test_a_server_that_does_not_start_is_inconclusive_and_has_last_words(
    rig: Rig, recipe: ServerRecipe
) -> None:
    broken = Broken(recipe, times=99)
    with (
        pytest.raises(Inconclusive, match="did not start") as caught,
        rig.make(attempts=2).start(broken, Work()),
    ):
        pytest.fail("it cannot have started")
    assert "no-such-thing" in caught.value.hint
    assert broken.started == 2
    assert rig.remains() == []


def test_what_cannot_be_prepared_is_inconclusive_and_has_last_words(
    rig: Rig, recipe: ServerRecipe
) -> None:
    with (
        pytest.raises(Inconclusive, match="did not start") as caught,
        rig.make(attempts=1).start(NotPrepared(recipe), Work()),
    ):
        pytest.fail("it cannot have started")
    assert "no-such-thing" in caught.value.hint
    assert rig.remains() == []


def test_a_start_that_fails_once_is_tried_again_from_nothing(
    rig: Rig, recipe: ServerRecipe
) -> None:
    broken = Broken(recipe, times=1)
    with rig.make(attempts=2).start(broken, Work()) as server:
        assert recipe.is_ready(server.target)
    assert broken.started == 2
    assert rig.remains() == []


def test_a_server_that_never_answers_is_inconclusive(rig: Rig, recipe: ServerRecipe) -> None:
    sandbox = rig.make(attempts=1, start_timeout=8.0)
    with (
        pytest.raises(Inconclusive, match="no answer within 8 s"),
        sandbox.start(NeverReady(recipe), Work()),
    ):
        pytest.fail("it cannot have been ready")
    assert rig.remains() == []


def test_a_cancelled_start_leaves_nothing(rig: Rig, recipe: ServerRecipe) -> None:
    work = Work()

    class Cancelling(NeverReady):
        def is_ready(self, target: Target) -> bool:
            work.cancel.request()
            return super().is_ready(target)

    with pytest.raises(Interrupted), rig.make().start(Cancelling(recipe), work):
        pytest.fail("it was cancelled")
    assert rig.remains() == []


def test_a_server_that_dies_in_use_says_nothing_about_the_backup(
    rig: Rig, recipe: ServerRecipe
) -> None:
    def use(server: RunningServer) -> None:
        for pid in rig.server_processes(server):
            os.kill(pid, signal.SIGKILL)
        while recipe.is_ready(server.target):
            pass
        raise JudgedBad("the connection broke, so the restore failed")

    with (
        pytest.raises(Inconclusive, match="while it was in use"),
        rig.make().start(recipe, Work()) as server,
    ):
        use(server)
    assert rig.remains() == []


def test_programs_that_are_not_there_are_named(
    rig: Rig, recipe: ServerRecipe, tmp_path: Path
) -> None:
    with pytest.raises(Inconclusive) as caught:
        rig.make(programs={recipe.kind: tmp_path}).offers(recipe)
    assert recipe.program_names[0] in caught.value.message
    assert f"programs.{recipe.kind}" in caught.value.hint


def test_the_servers_programs_get_nothing_of_our_environment(
    rig: Rig, recipe: ServerRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = "planted-Zk3-secret"
    monkeypatch.setenv("ORDERS_DSN", f"postgresql://app:{planted}@db/orders")
    with rig.make().start(recipe, Work()) as server:
        environments = []
        for pid in rig.server_processes(server):
            with suppress(OSError):  # a worker of the server may have ended by now
                environments.append(Path(f"/proc/{pid}/environ").read_bytes())
    assert environments
    assert not any(planted.encode() in environment for environment in environments)
