from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restoreproof.errors import UsageError
from restoreproof.pathnames import (
    COMPONENT_PATTERN,
    decode_component,
    encode_component,
    encode_path,
    is_safe_path,
)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=16)


@given(names)
def test_every_name_has_one_safe_path_name_and_back(name: str) -> None:
    encoded = encode_component(name)

    assert re.fullmatch(COMPONENT_PATTERN, encoded)
    assert is_safe_path(encoded)
    assert decode_component(encoded) == name


@given(names, names)
def test_two_names_never_share_a_path_name(one: str, other: str) -> None:
    assert (encode_component(one) == encode_component(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("orders", "orders"),
        ("or ders", "or%20ders"),
        ('it\'s "so"', "it%27s%20%22so%22"),
        ("-rf", "%2Drf"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/b", "a%2Fb"),
        ("ü", "%C3%BC"),
        ("100%", "100%25"),
        ("~", "%7E"),
        ("a\x00\nb", "a%00%0Ab"),
    ],
)
def test_what_is_readable_stays_readable(name: str, encoded: str) -> None:
    assert encode_component(name) == encoded


def test_a_path_keeps_its_folders() -> None:
    assert encode_path("dump/toc dat") == "dump/toc%20dat"


@pytest.mark.parametrize("name", ["", "x" * 201, "ü" * 40, "\ud800"])
def test_what_cannot_be_stored_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        encode_component(name)


@pytest.mark.parametrize("foreign", ["a b", "%2e.", "%zz", "-rf", ".git", "%FF", "", "%61"])
def test_a_path_name_of_somebody_else_is_not_decoded(foreign: str) -> None:
    assert decode_component(foreign) is None
