from __future__ import annotations

from pathlib import Path

from restoreproof.state import StateFile


def test_what_was_written_is_read(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "deep" / "state.json")
    assert state.read() == {}

    with state.update() as data:
        data["sequence"] = 7

    assert state.read() == {"sequence": 7}
