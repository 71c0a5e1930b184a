"""What is remembered between runs is never lost silently."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from restoreproof.errors import UsageError
from restoreproof.events import Event, Warned
from restoreproof.state import StateDamaged, StateFile

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = Path(__file__).parents[2]
DAMAGED = [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 0, "data": {}}', b"\xff", b"[" * 99_999]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    assert StateFile(path).read() == {}

    with StateFile(path).update() as data:
        data["sequence"] = 7

    assert StateFile(path).read() == {"sequence": 7}
    assert json.loads(path.read_text()) == {"format": 1, "data": {"sequence": 7}}


def test_an_update_that_raises_changes_nothing(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "state")
    with state.update() as data:
        data["sequence"] = 7

    def broken() -> None:
        with state.update() as data:
            data["sequence"] = 8
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert state.read() == {"sequence": 7}


@pytest.mark.parametrize("content", DAMAGED)
def test_damage_is_an_error_and_the_file_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)

    with pytest.raises(StateDamaged, match="is damaged"):
        StateFile(path).read()
    with pytest.raises(StateDamaged), StateFile(path).update():
        pass
    assert path.read_bytes() == content


def test_damage_is_moved_aside_and_told_where_somebody_listens(tmp_path: Path) -> None:
    path = tmp_path / "state"
    told: list[Event] = []
    state = StateFile(path, emit=told.append)
    for content in (b"first", b"second"):
        path.write_bytes(content)
        assert state.read() == {}

    assert (tmp_path / "state.damaged").read_bytes() == b"first"
    assert (tmp_path / "state.damaged-2").read_bytes() == b"second"
    assert [isinstance(event, Warned) for event in told] == [True, True]


def test_a_newer_layout_is_refused_and_never_moved(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text('{"format": 2, "data": {"x": 1}}')

    with pytest.raises(UsageError, match="newer version"):
        StateFile(path, emit=lambda _event: None).read()
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_updates_of_many_processes_are_all_kept(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys; from restoreproof.state import StateFile\n"
        "for _ in range(20):\n"
        "    with StateFile(pathlib.Path(sys.argv[1])).update() as data:\n"
        "        data['n'] = data.get('n', 0) + 1\n"
    )
    path = tmp_path / "state"
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=ROOT) for _ in range(4)
    ]
    assert [child.wait() for child in children] == [0] * 4
    assert StateFile(path).read() == {"n": 80}


def test_what_a_killed_writer_left_goes_with_the_next_update(tmp_path: Path) -> None:
    left = tmp_path / ".memory.json.part"
    left.write_text("half")
    with StateFile(tmp_path / "memory.json").update() as data:
        data["seen"] = 1
    assert [path.name for path in tmp_path.iterdir()] == ["memory.json"]
