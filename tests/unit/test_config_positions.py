"""Line numbers of TOML keys, against what tomllib reads."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from restoreproof.config.positions import KeyPath, positions

TEXT = '''\
# a comment with [brackets] and "quotes"
top = 1
"quoted key" = "a # no comment"
'literal.key' = 2
a.b.c = 3          # dotted
a . "b" . d = 4

[plain]
multi = """
[not a table]
key = "no key"
"""
literal = \'\'\'
x = 1\'\'\'
quotes = """a""\\""""""
array = [ 1, [2,
  3], # comment, ]
  { x = 1, y = { z = "}" } },
]
when = 1979-05-27 07:32:00
after = true

  [ plain . "sub table" ]
x = {}

[[many]]
n = 1
[many.inner]
m = 1
[[many.deep]]
d = 1
[[many]]
n = 2
[[many.deep]]
d = 2
[[many.deep]]
d = 3
'''


def _paths(value: object, prefix: KeyPath = ()) -> Iterator[KeyPath]:
    if prefix:
        yield prefix
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*prefix, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, (*prefix, index))


def test_every_form_of_key_has_its_line() -> None:
    data = tomllib.loads(TEXT)
    lines = positions(TEXT)
    assert set(lines) == set(_paths(data))
    rows = TEXT.splitlines()

    def line(start: str, *, nth: int = 1) -> int:
        return [number for number, row in enumerate(rows, 1) if row.strip().startswith(start)][
            nth - 1
        ]

    expected: Mapping[KeyPath, int] = {
        ("top",): line("top"),
        ("quoted key",): line('"quoted'),
        ("literal.key",): line("'literal"),
        ("a", "b", "c"): line("a.b.c"),
        ("a", "b", "d"): line("a . "),
        ("plain",): line("[plain]"),
        ("plain", "multi"): line("multi"),
        ("plain", "literal"): line("literal"),
        ("plain", "quotes"): line("quotes"),
        ("plain", "array", 1, 1): line("3]"),
        ("plain", "array", 2, "y", "z"): line("{ x"),
        ("plain", "when"): line("when"),
        ("plain", "after"): line("after"),
        ("plain", "sub table"): line("[ plain"),
        ("many",): line("[[many]]"),
        ("many", 0, "inner", "m"): line("m = 1"),
        ("many", 1): line("[[many]]", nth=2),
        ("many", 1, "n"): line("n = 2"),
        ("many", 0, "deep", 0, "d"): line("d = 1"),
        ("many", 1, "deep", 1, "d"): line("d = 3"),
    }
    assert {path: lines[path] for path in expected} == expected


def test_windows_line_ends_and_a_bare_file_end() -> None:
    assert positions("a = 1\r\n[t]\r\nb = 'x'") == {("a",): 1, ("t",): 2, ("t", "b"): 3}
    assert positions("") == {}
    assert positions("# only a comment") == {}


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
_VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30),
        st.datetimes(),
        st.dates(),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(data=st.dictionaries(_KEYS, _VALUES, max_size=5), multiline=st.booleans())
def test_every_key_that_is_read_has_a_line(data: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(data, multiline_strings=multiline)
    lines = positions(text)
    assert set(_paths(tomllib.loads(text))) == set(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(data=st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=5), above=st.integers(0, 5))
def test_lines_move_with_the_text(data: dict[str, Any], above: int) -> None:
    text = tomli_w.dumps(data)
    moved = positions('# comment [x] = "\n' * above + text)
    assert moved == {path: line + above for path, line in positions(text).items()}
