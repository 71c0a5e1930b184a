from __future__ import annotations

from pathlib import Path

import pytest

from restoreproof.atomic import durable_file, write_bytes
from restoreproof.errors import Refused


def test_a_file_appears_wholly(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    with durable_file(path) as file:
        file.write(b"content")
        assert not path.exists()

    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_raises_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    write_bytes(path, b"old")

    def torn() -> None:
        with durable_file(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        torn()

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_exclusive_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "manifest"
    write_bytes(path, b"old", exclusive=True)

    with pytest.raises(Refused, match="there is a file of that name already"):
        write_bytes(path, b"new", exclusive=True)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
