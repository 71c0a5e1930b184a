"""A secret shows nowhere; a reference to one is resolved late and strictly."""

from __future__ import annotations

import base64
import html
import json
import os
import pickle
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from restoreproof.errors import ConfigError
from restoreproof.events import Event, Warned
from restoreproof.redaction import MASK, Redactor, redact
from restoreproof.secrets import Secret, SecretRef

PLANTED = "pl4nted/S3cret+value=ü"
VALUES = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z")), min_size=8, max_size=40
).filter(lambda text: text.strip() == text)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    password: SecretRef


@dataclass(frozen=True)
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(PLANTED)),
        str(Secret(PLANTED)),
        f"{Secret(PLANTED):>80}",
        repr(Holder(Secret(PLANTED))),
    ],
)
def test_secret_shows_nowhere(shown: str) -> None:
    assert PLANTED not in shown
    assert "Secret('…')" in shown


def test_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(PLANTED))


def test_making_a_secret_makes_it_known() -> None:
    Secret("made-known-by-being-made")
    assert redact("x made-known-by-being-made y") == f"x {MASK} y"


@given(value=VALUES, before=st.text(max_size=20), after=st.text(max_size=20))
def test_value_is_scrubbed_in_every_spelling(value: str, before: str, after: str) -> None:
    scrub = Redactor()
    scrub.know(value)
    for spell in (
        lambda text: text,
        quote,
        lambda text: quote(text, safe=""),
        lambda text: re.sub("%..", lambda hit: hit[0].lower(), quote(text, safe="")),
        quote_plus,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        repr,
        ascii,
        shlex.quote,
        html.escape,
        lambda text: text.encode().hex(),
    ):
        spelled = spell(value)
        core = spelled.strip("\"'")
        shown = scrub(f"{before} {spelled} {after}")
        assert MASK in shown
        if core not in f"{before} {MASK} {after}":
            assert core not in shown


@given(value=VALUES, before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_value_is_scrubbed_in_base64_at_every_alignment(
    value: str, before: bytes, after: bytes
) -> None:
    scrub = Redactor()
    scrub.know(value)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        stream = encode(before + value.encode() + after).decode()
        shown = scrub(stream)
        assert MASK in shown
        # what is left over is what the neighbours decide too: two characters on either side
        assert len(shown.replace(MASK, "")) <= len(encode(before)) + len(encode(after)) + 4


def test_lines_of_a_long_secret_are_scrubbed_alone() -> None:
    scrub = Redactor()
    scrub.know("-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END KEY-----\n")
    assert scrub("got MC4CAQAwBQYDK2VwBCIEIA there") == f"got {MASK} there"


def test_too_short_values_do_not_tear_text_apart() -> None:
    scrub = Redactor()
    scrub.know("")
    scrub.know("ab")
    assert scrub("about cabs") == "about cabs"


def test_environment_reference_is_resolved_late(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = Model.model_validate({"password": {"env": "RP_TEST_PASSWORD"}}).password
    monkeypatch.setenv("RP_TEST_PASSWORD", PLANTED)
    assert reference.resolve().reveal() == PLANTED
    assert reference.as_json() == {"env": "RP_TEST_PASSWORD"}


@pytest.mark.parametrize(("value", "state"), [(None, "is not set"), ("", "is empty")])
def test_missing_environment_variable(
    monkeypatch: pytest.MonkeyPatch, value: str | None, state: str
) -> None:
    monkeypatch.delenv("RP_TEST_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("RP_TEST_PASSWORD", value)
    with pytest.raises(ConfigError, match=f"RP_TEST_PASSWORD {state}") as raised:
        SecretRef(env="RP_TEST_PASSWORD").resolve()
    assert raised.value.hint


def _written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret.txt"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_file_reference_drops_one_line_end(tmp_path: Path, end: str) -> None:
    _written(tmp_path, f"{PLANTED}{end}".encode())
    model = Model.model_validate(
        {"password": {"file": "secret.txt"}}, context={"base": tmp_path}
    ).password
    assert model.resolve().reveal() == PLANTED
    assert SecretRef(file="secret.txt").resolve(tmp_path).reveal() == PLANTED


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"\xff\xfe", 0o600, "is not UTF-8 text"),
        (b"a\0b", 0o600, "is not UTF-8 text"),
        (b"x" * 70_000, 0o600, "is larger than 64 KiB"),
        (b"value", 0o620, "can be changed by others"),
        (b"value", 0o602, "can be changed by others"),
    ],
)
def test_unfit_secret_file(tmp_path: Path, content: bytes, mode: int, message: str) -> None:
    path = _written(tmp_path, content, mode)
    with pytest.raises(ConfigError, match=message) as raised:
        SecretRef(file=str(path)).resolve()
    assert raised.value.hint
    assert str(path) in raised.value.message
    assert raised.value.__cause__ is None


def test_missing_secret_file_and_folder_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        SecretRef(file="nothing").resolve(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        SecretRef(file=".").resolve(tmp_path)


def test_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="is not a regular file"):
        SecretRef(file="fifo").resolve(tmp_path)


def test_file_that_everybody_can_read_is_warned_of(tmp_path: Path) -> None:
    path = _written(tmp_path, b"value", 0o644)
    told: list[Event] = []
    SecretRef(file=str(path)).resolve(emit=told.append)
    assert [type(event) for event in told] == [Warned]


@pytest.mark.parametrize(
    "given_value",
    [
        PLANTED,
        {"value": PLANTED},
        {"env": PLANTED},
        {"env": ""},
        {"file": ""},
        {"env": "A", "file": PLANTED},
        [PLANTED],
        7,
        None,
    ],
)
def test_anything_but_a_reference_is_refused_without_echo(given_value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        Model.model_validate({"password": given_value})
    assert PLANTED not in str(raised.value)
    assert PLANTED not in repr(raised.value)
    assert raised.value.errors(include_input=False)[0]["ctx"]["hint"]


def test_reference_has_exactly_one_source() -> None:
    with pytest.raises(ValueError, match="either env or file"):
        SecretRef()
    with pytest.raises(ValueError, match="either env or file"):
        SecretRef(env="A", file="b")
