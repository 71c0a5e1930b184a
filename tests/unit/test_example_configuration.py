from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backup_lib.config import load
from hardening.config import load as load_hardening
from restoreproof.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "restoreproof.example.toml"


def test_the_example_is_a_valid_configuration(tmp_path: Path) -> None:
    copy = tmp_path / "restoreproof.toml"
    shutil.copy(EXAMPLE, copy)
    config = load(copy)
    assert list(config.sets) == ["nightly"]
    assert list(config.alerts) == ["board", "pager"]
    hardening = load_hardening(copy)
    assert list(hardening.chosen()) == ["python", "locks", "secrets"]
    assert [one.owner for one in hardening.ignores] == ["platform team"]


def test_every_option_that_is_commented_out_is_valid_too(tmp_path: Path) -> None:
    copy = tmp_path / "restoreproof.toml"
    lines = EXAMPLE.read_text().splitlines()
    options = [line.removeprefix("# ") if " = " in line else line for line in lines]
    copy.write_text("\n".join(options))
    config = load(copy)
    assert config.set("nightly").min_size == 1 << 20
    assert config.set("nightly").size_drop == 0.5
    hardening = load_hardening(copy)
    assert hardening.settings.grace.days == 14
    assert hardening.stricter["bandit"] == {"medium"}


def with_option(folder: Path, option: str) -> Path:
    """The example with one more line in its set."""
    copy = folder / "restoreproof.toml"
    copy.write_text(EXAMPLE.read_text().replace("[set.nightly]", f"[set.nightly]\n{option}", 1))
    return copy


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ('encrypt_to = ["age1…"]', "encryption"),
        ("keep = { last = 7 }", "pruning"),
        ("keep = {}", "pruning"),
        ('rto = "30m"', "time of a restore"),
    ],
)
def test_an_option_that_nothing_honours_yet_is_refused(
    tmp_path: Path, option: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load(with_option(tmp_path, option))


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("rop", 'did you mean "rpo"?'),
        ("encrypt_too", "known keys: alert_route, alerts, destination, max_age, min_size, "),
    ],
)
def test_an_option_that_nothing_honours_yet_is_not_suggested(
    tmp_path: Path, key: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(with_option(tmp_path, f'{key} = "1h"'))
    assert raised.value.hint.startswith(hint)
    assert not {"rto", "keep", "encrypt_to"} & set(raised.value.hint.split(", "))
