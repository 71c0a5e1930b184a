"""The parts of the sandbox ``process``, without a server."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_lib.model import ServerFacts
from backup_lib.sandboxes.process import ProcessSandbox, staging
from backup_lib.sandboxes.process.budget import Budget, used_bytes
from backup_lib.sandboxes.process.homes import Homes
from backup_lib.sandboxes.process.programs import choose
from backup_lib.sandboxes.process.removal import remove_tree
from backup_lib.sandboxes.process.users import SLOTS, UserLock
from backup_lib.stores.postgres import features, installation
from backup_lib.stores.postgres.server import PostgresRecipe
from backup_lib.stores.valkey.server import ValkeyRecipe
from restoreproof.errors import Inconclusive, NoSpace, UsageError

ROOT = os.geteuid() == 0


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def refuse(folder: Path, error: OSError) -> None:
    raise AssertionError(f"{folder}: {error}")


# ── removal ─────────────────────────────────────────────────────────────────────────────────────


def test_a_tree_deeper_than_any_path_or_stack_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("sub", dir_fd=here)
        below = os.open("sub", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    remove_tree(top)

    assert not top.exists()


def test_folders_without_any_permission_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "closed" / "inner").mkdir(parents=True)
    (top / "closed" / "inner" / "file").write_text("x")
    (top / "closed" / "inner").chmod(0)
    (top / "closed").chmod(0)
    top.chmod(0)

    remove_tree(top)

    assert not top.exists()


def test_what_links_lead_to_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    top = tmp_path / "top"
    (top / "inner").mkdir(parents=True)
    (top / "folder").symlink_to(kept)
    (top / "inner" / "file").symlink_to(kept / "file")
    (top / "inner" / "nowhere").symlink_to("/no/such/place")

    remove_tree(top)

    assert not top.exists()
    assert (kept / "file").read_text() == "x"


# ── homes ───────────────────────────────────────────────────────────────────────────────────────


def test_a_home_is_its_owners_and_goes_with_the_block(short: Path) -> None:
    homes = Homes(short / "homes")
    with homes.open(refuse) as home:
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
        owner = json.loads((home.slot / "owner.json").read_text())
        assert owner["pid"] == os.getpid()
        assert owner["started"] > 0
        assert owner["boot"]
        if home.user:
            assert home.user[0] in SLOTS
            assert home.path.stat().st_uid == home.user[0]
            assert home.slot.stat().st_uid == 0
        assert homes.sweep(refuse) == ()
        assert home.path.exists()
    assert list(homes.folder.iterdir()) == []


@pytest.mark.skipif(not ROOT, reason="only root has users to give")
def test_one_user_serves_one_home_whatever_the_folder(short: Path) -> None:
    with Homes(short / "a").open(refuse) as one, Homes(short / "b").open(refuse) as other:
        assert one.user != other.user


@pytest.mark.skipif(not ROOT, reason="only root has users to give")
def test_a_user_that_is_held_is_passed_over(short: Path) -> None:
    held = [lock for number in SLOTS[:3] if (lock := UserLock.take(number))]
    try:
        with Homes(short / "a").open(refuse) as home:
            assert home.user
            assert home.user[0] not in {lock.number for lock in held}
    finally:
        for lock in held:
            lock.release()


def test_homes_of_dead_owners_are_swept_and_half_made_ones_too(short: Path) -> None:
    folder = short / "homes"
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from backup_lib.sandboxes.process.homes import Homes;"
        "opened = Homes(Path(sys.argv[1])).open(print); home = opened.__enter__();"
        "(home.path / 'data').mkdir(); (home.path / 'data').chmod(0);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, folder], check=False)
    assert killed.returncode < 0
    (folder / ".new-999999999-1-abc").mkdir()
    (folder / ".old-999999999-1-abcd" / "home").mkdir(parents=True)
    (folder / "not-ours.txt").write_text("x")
    left = {entry.name for entry in folder.iterdir()}
    assert len(left) == 4

    swept = Homes(folder).sweep(refuse)

    assert len(swept) == 3
    assert [entry.name for entry in folder.iterdir()] == ["not-ours.txt"]


def test_a_marker_that_was_cut_short_has_a_dead_owner(short: Path) -> None:
    homes = Homes(short / "homes")
    with homes.open(refuse):
        pass
    slot = homes.folder / str(SLOTS[5])
    (slot / "home").mkdir(parents=True)
    (slot / "owner.json").write_text('{"pid": 1')
    assert homes.sweep(refuse) == (slot,)


def test_a_folder_of_somebody_else_is_refused(short: Path) -> None:
    (short / "real").mkdir()
    (short / "link").symlink_to(short / "real")
    with (
        pytest.raises(UsageError, match="not a folder of ours"),
        Homes(short / "link").open(refuse),
    ):
        pass


def test_a_path_too_long_for_a_socket_is_refused(short: Path) -> None:
    with (
        pytest.raises(UsageError, match="too long for a socket"),
        Homes(short / ("x" * 90)).open(refuse),
    ):
        pass


@pytest.mark.skipif(not ROOT, reason="others come in only where there are others")
def test_a_folder_that_the_servers_user_cannot_reach_is_refused(short: Path) -> None:
    (short / "closed").mkdir(mode=0o700)
    with (
        pytest.raises(UsageError, match="cannot pass through"),
        Homes(short / "closed" / "homes").open(refuse),
    ):
        pass


@pytest.mark.skipif(not ROOT, reason="others come in only where there are others")
def test_where_the_folder_was_not_chosen_the_hint_names_tmpdir(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (short / "closed").mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(short / "closed"))
    with pytest.raises(UsageError, match="cannot pass through") as caught, Homes().open(refuse):
        pass
    assert str(short / "closed") in caught.value.message
    assert f"TMPDIR leads into {short / 'closed'}" in caught.value.hint


# ── staging ─────────────────────────────────────────────────────────────────────────────────────


def test_programs_are_staged_in_the_same_places(short: Path) -> None:
    source = short / "site"
    (source / "pkg" / "bin").mkdir(parents=True)
    (source / "pkg" / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "pkg" / "bin" / "run").chmod(0o700)
    (source / "pkg" / "bin" / "alias").symlink_to("run")
    (source / "pkg.libs").mkdir()
    (source / "pkg.libs" / "lib.so").write_text("x")
    (source / "pkg.libs" / "lib.so").chmod(0o600)
    trees = (source / "pkg" / "bin", source / "pkg.libs")
    assert not staging.reachable(trees)

    programs, copies = staging.stage(trees[0], trees, short / "copy")

    assert programs == short / "copy" / "pkg" / "bin"
    assert (programs / ".." / ".." / "pkg.libs" / "lib.so").read_text() == "x"
    assert (programs / "alias").readlink() == Path("run")
    assert staging.reachable(copies)


def test_a_single_folder_of_programs_is_staged(short: Path) -> None:
    (short / "bin").mkdir(mode=0o700)
    (short / "bin" / "run").write_text("#!/bin/sh\n")

    programs, copies = staging.stage(short / "bin", (short / "bin",), short / "copy")

    assert (programs / "run").read_text() == "#!/bin/sh\n"
    assert staging.reachable(copies)


def test_a_closed_parent_makes_programs_unreachable(short: Path) -> None:
    (short / "root" / "bin").mkdir(parents=True)
    (short / "root" / "bin").chmod(0o755)
    (short / "root").chmod(0o755)
    assert staging.reachable([short / "root" / "bin"])
    (short / "root").chmod(0o700)
    assert not staging.reachable([short / "root" / "bin"])


# ── budget ──────────────────────────────────────────────────────────────────────────────────────


def test_what_is_used_counts_whole_trees_and_no_links(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 1_000_000)
    (tmp_path / "link").symlink_to("/usr")
    assert 1_000_000 <= used_bytes(tmp_path) < 1_200_000


def test_who_spends_too_much_is_stopped_once(tmp_path: Path) -> None:
    stopped = threading.Event()
    with Budget(tmp_path, 100_000, stopped.set) as budget:
        assert not stopped.wait(0.7)
        (tmp_path / "file").write_bytes(b"x" * 1_000_000)
        assert stopped.wait(10)
    assert isinstance(budget.error, NoSpace)
    assert "100000 bytes" in budget.error.message


def test_a_spent_budget_does_not_even_begin(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1_000_000)
    with pytest.raises(NoSpace), Budget(tmp_path, 100_000, lambda: None):
        pytest.fail("too late")


# ── the PostgreSQL recipe ───────────────────────────────────────────────────────────────────────


def test_the_wheel_is_known_without_starting_it() -> None:
    programs = PostgresRecipe().bundled_programs()
    assert programs is not None
    facts = installation.facts(programs)
    assert facts.product == "PostgreSQL"
    assert features.major(facts.version) >= 18
    assert facts.features[features.TLS] == features.NO
    assert features.locale_provider("icu") not in facts.features
    assert features.XML not in facts.features
    assert facts.features[features.extension("hstore")]
    assert features.extension("pgcrypto") not in facts.features
    assert facts.features[features.locale("C")] == features.YES
    assert any(tree.name.endswith(".libs") for tree in installation.trees(programs))


def test_a_folder_without_a_server_is_inconclusive(tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho something else\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(Inconclusive, match="not a PostgreSQL server"):
        choose(PostgresRecipe(), tmp_path)


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\necho boom >&2\nexit 1\n", "#!/no/such/shell\n", "#!/bin/sh\necho yes\n"]
)
def test_a_valkey_server_that_does_not_run_is_inconclusive(tmp_path: Path, script: str) -> None:
    (tmp_path / "valkey-server").write_text(script)
    (tmp_path / "valkey-server").chmod(0o755)
    with pytest.raises(Inconclusive, match="valkey-server"):
        choose(ValkeyRecipe(), tmp_path)


def test_the_first_programs_that_suffice_are_taken() -> None:
    bundled = PostgresRecipe().bundled_programs()
    assert bundled is not None
    assert choose(PostgresRecipe(), None).folder == bundled.resolve()

    seen: list[ServerFacts] = []

    def never(facts: ServerFacts) -> bool:
        seen.append(facts)
        return False

    assert choose(PostgresRecipe(never), None).folder == bundled.resolve()
    assert seen


def test_the_server_is_told_what_a_throw_away_one_needs() -> None:
    command = PostgresRecipe().command(Path("/opt/bin"), Path("/tmp/home"))
    assert command[0] == "/opt/bin/postgres"
    assert "--listen_addresses=" in command
    assert "--unix_socket_directories=/tmp/home" in command
    assert "--fsync=off" in command
    assert "--log_min_error_statement=panic" in command
    assert "--shared_buffers=128MB" in command  # whatever the machine has: memory is promised flat


def test_settings_are_read_relative_to_their_file(tmp_path: Path) -> None:
    model = ProcessSandbox.settings().model_validate(
        {"programs": {"postgres": "pg/bin"}, "budget": "20GB", "start_timeout": "90s"}
    )
    sandbox = ProcessSandbox.from_settings("test", model, tmp_path)
    with pytest.raises(Inconclusive) as caught:
        sandbox.offers(PostgresRecipe())
    assert str(tmp_path / "pg" / "bin") in caught.value.message
