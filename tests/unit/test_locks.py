from __future__ import annotations

from pathlib import Path

import pytest

from restoreproof.errors import LockHeld
from restoreproof.locks import hold, inspect


def test_a_held_lock_names_its_holder_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "set.lock"
    with hold(path, owner="backup of set nightly") as lock:
        lock.check()
        holder = inspect(path)
        assert holder is not None
        assert holder.owner == "backup of set nightly"
        with (
            pytest.raises(LockHeld, match="held by backup of set nightly"),
            hold(path, owner="another"),
        ):
            pass

    assert inspect(path) is None
    assert list(tmp_path.iterdir()) == []
