"""Finding, reading and judging the configuration file: every message names file, key and line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restoreproof.config import ConfigProblems, find, read
from restoreproof.config.model import (
    ConfigPath,
    Duration,
    Percent,
    Settings,
    Size,
    format_duration,
    parse_duration,
    parse_percent,
    parse_size,
)
from restoreproof.errors import ConfigError
from restoreproof.secrets import SecretRef

Write = Callable[[str], Path]


class Inner(Settings):
    depth: int = 1


class Outer(Settings):
    name: str
    port: int = 1
    tags: tuple[str, ...] = ()
    mode: Literal["a", "b"] = "a"
    every: Duration = timedelta(days=1)
    most: Size = 1
    drop: Percent = 0.5
    folder: ConfigPath | None = None
    password: SecretRef | None = None
    inner: Inner | None = None


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(text: str) -> Path:
        path = tmp_path / "restoreproof.toml"
        path.write_text(text)
        return path

    return write_text


def _problems(path: Path) -> list[tuple[str, int | None, str, str]]:
    document = read(path)
    document.check(Outer, document.data["hardening"], ("hardening",))
    with pytest.raises(ConfigProblems) as raised:
        document.finish()
    assert str(path) in raised.value.message
    return [(one.key, one.line, one.message, one.hint) for one in raised.value.problems]


def test_given_name_wins_over_environment_over_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write("")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.delenv("RESTOREPROOF_CONFIG", raising=False)
    assert find() == here
    monkeypatch.setenv("RESTOREPROOF_CONFIG", "other.toml")
    assert find() == below / "other.toml"
    assert find("third.toml") == below / "third.toml"


def test_no_configuration_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREPROOF_CONFIG", raising=False)
    with pytest.raises(ConfigError, match=r"there is no restoreproof\.toml") as raised:
        find()
    assert "--config" in raised.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb = \xff\n", ", line 2: not UTF-8"),
        (b"a = 1\nb = [1, 2\n", "not valid TOML"),
        (b"a = 1\nb = = 2\n", ", line 2: not valid TOML: invalid value"),
        (b"a = 1\n\na = 2\n", ", line 3: not valid TOML: cannot overwrite a value"),
        (b"\xef\xbb\xbfa = 1", ", line 1: not valid TOML"),
        (b"#" * 5_000_000, "larger than 4 MiB"),
        (b"a = " + b"[" * 20_000, "nested too deeply"),
    ],
)
def test_unreadable_content(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        read(path)
    assert message in raised.value.message
    assert raised.value.path == path
    assert raised.value.hint


def test_missing_file_and_folder_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="is not a file"):
        read(tmp_path)


def test_all_problems_at_once_in_the_order_of_lines(write: Write) -> None:
    path = write(
        "hardning = 1\n"
        "[hardening]\n"
        'prot = "5432"\n'
        'port = "5432"\n'
        'tags = ["a", 2]\n'
        'mode = "c"\n'
        'every = "1 day"\n'
        'most = "10 GB/s"\n'
        'drop = "101%"\n'
        'password = "hunter2-planted"\n'
        "[hardening.inner]\n"
        "dept = 2\n"
    )
    found = _problems(path)
    assert [(key, line) for key, line, _, _ in found] == [
        ("hardning", 1),
        ("hardening.name", 2),
        ("hardening.prot", 3),
        ("hardening.port", 4),
        ("hardening.tags[1]", 5),
        ("hardening.mode", 6),
        ("hardening.every", 7),
        ("hardening.most", 8),
        ("hardening.drop", 9),
        ("hardening.password", 10),
        ("hardening.inner.dept", 12),
    ]
    assert [hint for key, _, _, hint in found if key in ("hardning", "hardening.prot")] == [
        'did you mean "hardening"?',
        'did you mean "port"?',
    ]
    assert found[-1][3] == 'did you mean "depth"?'
    assert "hunter2" not in repr(found)


def test_one_problem_is_one_sentence(write: Write) -> None:
    path = write('[hardening]\nname = "x"\nzzz = 1\n')
    document = read(path)
    document.check(Outer, document.data["hardening"], ("hardening",), also_known=("kind",))
    with pytest.raises(ConfigProblems) as raised:
        document.finish()
    assert raised.value.message == f"{path}, line 3: hardening.zzz is not a known key"
    assert raised.value.hint.startswith("known keys: drop, every, folder")
    assert "kind" in raised.value.hint
    assert (raised.value.path, raised.value.key, raised.value.line) == (path, "hardening.zzz", 3)


def test_control_characters_in_keys_do_not_reach_the_terminal(write: Write) -> None:
    path = write('"a\\u001b[2J" = 1\n')
    with pytest.raises(ConfigProblems) as raised:
        read(path).finish()
    assert "\x1b" not in raised.value.message
    assert '"a\\u001b[2J"' in raised.value.message


def test_a_valid_table_keeps_its_types(write: Write) -> None:
    path = write(
        '[hardening]\nname = "x"\ntags = ["a"]\nmode = "b"\nevery = "1h30m"\nmost = "10 KiB"\n'
        'drop = "30 %"\nfolder = "sub/x"\npassword = { file = "pw" }\n'
    )
    document = read(path)
    checked = document.check(Outer, document.data["hardening"], ("hardening",))
    document.finish()
    assert checked == Outer(
        name="x",
        tags=("a",),
        mode="b",
        every=timedelta(minutes=90),
        most=10240,
        drop=0.3,
        folder=path.parent / "sub/x",
        password=SecretRef(file="pw", base=path.parent),
    )


def test_tables_that_are_none(write: Write) -> None:
    document = read(write('set = 1\n[store]\nx = "y"\n'))
    assert document.table("set") == {}
    assert document.table("store") == {}
    with pytest.raises(ConfigProblems) as raised:
        document.finish()
    assert [one.key for one in raised.value.problems] == ["set", "store.x"]


@given(seconds=st.integers(0, 10**9))
def test_durations_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1 h", "1y", "1h ", "99999999999d", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)


def test_sizes_and_shares() -> None:
    sizes = {"0": 0, "1kB": 1000, "1 KiB": 1024, "1.5MiB": 1572864, "2G": 2 * 10**9, "1TiB": 2**40}
    assert {text: parse_size(text) for text in sizes} == sizes
    assert parse_percent("0%") == 0
    assert parse_percent("12.5 %") == 0.125
    for text in ("", "GB", "-1", "1XB", "1 Ki B"):
        with pytest.raises(ValueError, match="size"):
            parse_size(text)
