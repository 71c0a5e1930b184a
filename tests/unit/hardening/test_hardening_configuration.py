from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardening.config import HardeningConfig, load
from hardening.model import Severity
from hardening.policy.model import Offline
from hardening.services.policy_files import policy_of
from restoreproof.errors import ConfigError, UsageError
from restoreproof_cli.configuration import check_configuration, configuration_schema
from tests.harness.locks import ROOT

IGNORE = '[[hardening.ignore]]\nid = "CVE-1"\nreason = "not called here"\nowner = "ops"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "restoreproof.toml"
    path.write_text(text)
    return path


def test_the_defaults_block_critical_and_high(tmp_path: Path) -> None:
    policy = policy_of(load(write(tmp_path, "")))
    assert policy.block == {Severity.CRITICAL, Severity.HIGH}
    assert policy.longest.days == 90
    assert policy.ignores == ()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[hardening]\nblok = []\n", 2, "is not a known key"),
        ("[hardening]\nblock = []\n", 2, "at least 1"),
        ('[hardening]\nblock = ["worst"]\n', 2, "should be"),
        (IGNORE, 1, "is missing"),
        (IGNORE + 'expires = "soon"\n', 5, "date"),
        (IGNORE.replace("not called here", "no") + "expires = 2027-01-01\n", 3, "10 characters"),
        ('[scanner.x]\nkind = "trivi"\n', 2, "is not usable"),
        ('[scanner.x]\nkind = "trivy"\nmode = "all"\n', 3, "should be"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        load(write(tmp_path, text))
    assert raised.value.line == line


def test_both_packages_tables_are_checked_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, '[hardening]\nblok = 1\n[set.x]\nstores = ["a"]\n')
    with pytest.raises(ConfigError, match="problems") as raised:
        check_configuration(str(path), lambda _event: None)
    assert "hardening.blok" in raised.value.message
    assert "set.x.destination" in raised.value.message


def test_the_schema_has_both_packages_tables() -> None:
    properties = configuration_schema()["properties"]
    assert {"set", "hardening", "scanner"} <= set(properties)
    assert "block" in properties["hardening"]["properties"]


@pytest.mark.parametrize(
    ("written", "ci", "offline"),
    [
        ("auto", "true", Offline.BLOCK),
        ("auto", "", Offline.REPORT),
        ("block", "", Offline.BLOCK),
        ("report", "true", Offline.REPORT),
    ],
)
def test_offline_blocks_in_ci_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, ci: str, offline: Offline
) -> None:
    monkeypatch.setenv("CI", ci)
    assert load(write(tmp_path, f'[hardening]\noffline = "{written}"\n')).offline is offline


def test_scanners_are_chosen_by_name_or_kind(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            '[scanner.a]\nkind = "bandit"\n[scanner.b]\nkind = "trivy"\n'
            '[scanner.c]\nkind = "trivy"\nmode = "secret"\n',
        )
    )
    assert list(config.chosen()) == ["a", "b", "c"]
    assert list(config.chosen(("trivy",))) == ["b", "c"]
    assert list(config.chosen(("a", "c"))) == ["a", "c"]
    with pytest.raises(UsageError) as raised:
        config.chosen(("bandid",))
    assert raised.value.hint == 'did you mean "bandit"?'


def test_without_a_configuration_every_kind_that_finds_something_runs(tmp_path: Path) -> None:
    assert "bandit" not in HardeningConfig(None, tmp_path).chosen()
    (tmp_path / "a.py").write_text("x = 1\n")
    chosen = HardeningConfig(None, tmp_path).chosen()
    assert {"bandit", "trivy-secret", "trivy-fs"} <= set(chosen)
    assert "hadolint" not in chosen


@pytest.mark.parametrize("content", ["", "[]", '{"format": "x"}', "{" * 9000])
def test_a_broken_baseline_is_an_error_not_an_empty_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "baseline.json").write_text(content)
    config = load(write(tmp_path, '[hardening]\nbaseline = "baseline.json"\n'))
    with pytest.raises(ConfigError, match="baseline"):
        policy_of(config)


def test_this_repositorys_own_configuration_is_right() -> None:
    config = load(ROOT / "hardening.toml")
    kinds = {one.kind for one in config.scanners.values()}
    assert kinds >= {"bandit", "pip-audit", "trivy", "hadolint", "zizmor", "check-jsonschema"}
    assert policy_of(config).block >= {Severity.CRITICAL, Severity.HIGH}
    assert json.dumps(sorted(config.scanners))
