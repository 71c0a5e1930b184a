"""The kinds tables."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from restoreproof.errors import ConfigError, MissingExtra
from restoreproof.kinds import Kinds, did_you_mean


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with a distribution that offers kinds."""
    info = tmp_path / "their_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        textwrap.dedent("""\
            [restoreproof.things]
            theirs = rp_their_plugin:Theirs
            ours = rp_their_plugin:Impostor
            needy = rp_their_needy:Needy
            """)
    )
    (tmp_path / "rp_their_plugin.py").write_text("class Theirs: ...\nclass Impostor: ...\n")
    (tmp_path / "rp_their_needy.py").write_text("import rp_no_such_library\nclass Needy: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def _kinds() -> Kinds[object]:
    return Kinds(
        group="restoreproof.things",
        builtin={
            "ours": "collections:OrderedDict",
            "needs-client": "rp_their_needy:Needy",
            "broken": "restoreproof.no_such_module:Thing",
        },
        extra={"needs-client": "client"},
    )


def test_kinds_are_listed_without_import(plugins: Path) -> None:
    assert plugins.exists()
    assert _kinds().names() == ("broken", "needs-client", "needy", "ours", "theirs")
    assert "rp_their_plugin" not in sys.modules


def test_builtin_kind_is_not_shadowed(plugins: Path) -> None:
    assert plugins.exists()
    assert _kinds().load("ours").__name__ == "OrderedDict"
    assert _kinds().load("theirs").__name__ == "Theirs"


def test_unknown_kind_has_a_suggestion() -> None:
    with pytest.raises(ConfigError, match='there is no thing kind "our"') as raised:
        _kinds().load("our")
    assert 'did you mean "ours"?' in raised.value.hint
    assert "known kinds: " in raised.value.hint


def test_missing_client_names_the_extra(plugins: Path) -> None:
    assert plugins.exists()
    with pytest.raises(MissingExtra) as raised:
        _kinds().load("needs-client")
    assert raised.value.hint == "install the extra 'client' (README.md, Install)"
    with pytest.raises(ConfigError, match="rp_no_such_library"):
        _kinds().load("needy")


def test_a_client_that_is_imported_late_names_the_extra_too(plugins: Path) -> None:
    (plugins / "rp_their_needy.py").write_text(
        "class Needy:\n    @classmethod\n    def make(cls):\n        import rp_no_such_library\n"
    )
    with pytest.raises(MissingExtra) as raised:
        _kinds().make("needs-client", lambda plugin: plugin.make())  # type: ignore[attr-defined]
    assert raised.value.hint == "install the extra 'client' (README.md, Install)"


def test_broken_plugin_of_ours_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError):
        _kinds().load("broken")


def test_did_you_mean() -> None:
    assert did_you_mean("Postgress", ["postgres", "local"]) == 'did you mean "postgres"?'
    assert did_you_mean("xyz", ["postgres"]) == ""


def test_two_letters_that_changed_places_are_the_nearest() -> None:
    for known in (["rpo", "rto"], ["rto", "rpo"]):
        assert did_you_mean("rop", known) == 'did you mean "rpo"?'
        assert did_you_mean("Rpo", known) == 'did you mean "rpo"?'
    assert did_you_mean("nighlty", ["nightly2", "nightly"]) == 'did you mean "nightly"?'


def test_backup_kinds_are_listed_without_their_clients() -> None:
    code = (
        "import sys; from backup_lib.kinds import DESTINATIONS, SANDBOXES, STORES;"
        "STORES.names(), DESTINATIONS.names(), SANDBOXES.names();"
        "print(sorted({'pydantic', 'psycopg', 'rich', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
