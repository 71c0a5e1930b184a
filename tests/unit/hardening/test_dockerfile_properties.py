from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.rules.dockerfile.build import is_root, read
from hardening.rules.dockerfile.judge import judge
from hardening.rules.dockerfile.syntax import parse
from hardening.rules.options import Options
from restoreproof.errors import Inconclusive

NAMES = (
    *("FROM", "RUN", "USER", "ENV", "ARG", "CMD", "COPY", "ADD", "ONBUILD", "LABEL", "SHELL"),
    *("HEALTHCHECK", "ENTRYPOINT", "VOLUME"),
)
words = st.text(st.sampled_from(string.ascii_lowercase + "$\\{}'\"=<-: #\t/0"), max_size=20)
lines = st.one_of(
    st.builds("{} {}".format, st.sampled_from(NAMES), words),
    words,
    st.just("FROM a AS b"),
    st.just("RUN <<E"),
    st.just("E"),
)
nearly = st.lists(lines, max_size=12).map(lambda found: "\n".join(["FROM a", *found]).encode())


@given(st.one_of(nearly, st.binary(max_size=200)))
def test_anything_is_judged_or_refused_and_never_crashes(raw: bytes) -> None:
    try:
        found = list(judge(read(raw, Options())))
    except Inconclusive:
        found = []
    last = raw.count(b"\n") + 1
    assert all(1 <= one.line <= last for one in found)


filler = st.sampled_from(
    ["", "# comment", "   ", "RUN a \\\n  b", "RUN <<X\nUSER root\nX", "ENV a=b"]
)


@given(st.lists(filler, max_size=8), st.lists(filler, max_size=4), st.integers(0, 3))
def test_an_instruction_has_the_line_it_stands_on(
    before: list[str], after: list[str], blanks: int
) -> None:
    above = ["FROM a", *before, *[""] * blanks]
    text = "\n".join([*above, "WORKDIR /marked", *after]) + "\n"
    line = text[: text.index("WORKDIR")].count("\n") + 1
    (found,) = (one for one in parse(text.encode()).instructions if one.name == "WORKDIR")
    assert found.line == found.last_line == line


@given(st.lists(st.sampled_from(["# c", "", "  # d"]), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_a_continued_instruction_ends_where_it_ends(between: list[str], end: str) -> None:
    text = end.join(["FROM a", "RUN x \\", *between, "  && y", "USER u", ""])
    _, run, user = parse(text.encode()).instructions
    assert (run.line, run.last_line, user.line) == (2, 3 + len(between), 4 + len(between))
    assert run.text.split() == ["RUN", "x", "&&", "y"]


@given(
    st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["x", "\ttab", "FROM z", "# no comment", "y \\", ""]), max_size=4),
    st.booleans(),
)
def test_heredocs_end_at_their_own_words(names: list[str], body: list[str], quoted: bool) -> None:
    marks = " ".join(f'<<"{name}"' if quoted else f"<<{name}" for name in names)
    text = ["FROM a", f"RUN cat {marks}"]
    for name in names:
        text += [*(line for line in body if line != name), name]
    text += ["USER u"]
    _, run, user = parse("\n".join(text).encode()).instructions
    assert [one.name for one in run.heredocs] == names
    assert user.line == len(text)
    for one in run.heredocs:
        inside = [line for line in body if line != one.name]
        assert text[one.line - 1 : one.line - 1 + len(inside)] == (
            one.content.split("\n") if inside else []
        )


@pytest.mark.parametrize(
    "user", ["", "root", "0", "00", "+0", "-0", "0:0", "root:app", "0:1000", " 0 ", ":5"]
)
def test_root_has_many_spellings(user: str) -> None:
    assert is_root(user)


@pytest.mark.parametrize(
    "user", ["app", "1000", "1000:0", "rooty", "0x0", "\u0660", "01", "app:root"]
)
def test_others_are_not_root(user: str) -> None:
    assert not is_root(user)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ENV A=1 B=$A\nUSER u$B", "u"),
        ("ENV A=1\nENV A=2 B=$A\nUSER u$B", "u1"),
        ("ARG A=1\nENV A=2\nUSER u$A", "u2"),
        ("ARG G\nUSER u$G", "u7"),
        ("ARG G=8\nUSER u$G", "u8"),
        ("USER u$G", "u"),
        ("ARG X=given-by-file\nUSER $X", "given"),
        ("USER \\$A", "$A"),
        ("USER '$A'", "$A"),
        ('ENV A="x y"\nUSER "$A"', "x y"),
        ("ENV A=\nUSER ${A:-d}${A-e}${A:+f}${A+g}", "dg"),
        ("ENV A a b c\nUSER $A", "a b c"),
        ("ENV A=abc\nUSER ${A#a}${A%c}", "bcab"),
        ("ARG TARGETARCH\nUSER u$TARGETARCH", "uamd64"),
    ],
)
def test_variables_are_substituted_as_the_builder_does(text: str, value: str) -> None:
    build = read(f"ARG G=7\nFROM scratch\n{text}\n".encode(), Options(build_args={"X": "given"}))
    user = build.user()
    assert user is not None
    assert user.text == value


def test_the_user_of_a_base_image_can_be_told() -> None:
    options = Options(base_users={"gcr.io/distroless/*:nonroot": "65532", "a": "root"})
    for base, user in (("gcr.io/distroless/cc:nonroot", "65532"), ("a", "root"), ("b", None)):
        found = read(f"FROM {base}\n".encode(), options).user()
        assert (found.text if found else None) == user


def test_a_stage_can_be_asked_for() -> None:
    raw = b"FROM a AS one\nUSER one\nFROM a AS Two\nUSER two\nFROM a\n"
    for target, user in (("one", "one"), ("tWo", "two"), ("0", "one"), ("", None)):
        found = read(raw, Options(), target).user()
        assert (found.text if found else None) == user
    with pytest.raises(Inconclusive):
        read(raw, Options(), "three")
