from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restoreproof.process.diagnostics import Tail, last_meaningful_line, printable


@given(st.lists(st.binary(max_size=50)), st.integers(min_value=1, max_value=64))
def test_a_tail_keeps_whole_lines_of_the_end(pieces: list[bytes], limit: int) -> None:
    tail = Tail(limit)
    for piece in pieces:
        tail.add(piece)

    whole = b"".join(pieces)
    kept = whole[-limit:]
    if len(whole) > limit and b"\n" in kept:
        kept = kept[kept.index(b"\n") + 1 :]
    assert tail.text() == printable(kept.decode("utf-8", "replace"))


@given(st.text())
def test_what_is_printed_holds_nothing_that_drives_a_terminal(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in printable(text))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("only this\n\n", "only this"),
        ("pg_dump: error: ERROR:  permission denied\npg_dump: detail: Query was: LOCK TABLE t\n",
         "ERROR:  permission denied"),
        ("pg_dump: error: one\npg_dump: error: two\npg_dump: hint: try\n", "two"),
        ("Traceback:\n  line 1\nValueError: bad\n", "ValueError: bad"),
        ("x" * 1000, "x" * 399 + "…"),
    ],
    ids=["nothing", "blank", "one", "detail after error", "last error", "last line", "long"],
)  # fmt: skip
def test_the_line_that_says_why(stderr: str, line: str) -> None:
    assert last_meaningful_line(stderr, "pg_dump") == line
