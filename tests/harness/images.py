"""This repository's images, built on a base that comes from no registry."""

from __future__ import annotations

import configparser
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.engine import Engine
from tests.harness.locks import ROOT

SAMPLE = ROOT / "docker" / "sample" / "Dockerfile"
TOOLBOX = ROOT / "docker" / "toolbox" / "Dockerfile"
_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy")


@pytest.fixture(scope="session")
def sample(engine: Engine, base: str) -> str:
    """The sample application's image."""
    tag = "restoreproof-sample:e2e"
    engine.build(SAMPLE.read_text(), ROOT, tag, "--build-arg", f"BASE={base}")
    return tag


@pytest.fixture(scope="session")
def toolbox_options(base: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """How the toolbox is built here: the base, and pip's settings and authorities as secrets."""
    folder = tmp_path_factory.mktemp("pip")
    settings = folder / "pip.conf"
    settings.write_text(_pip_settings())
    options = ["--build-arg", f"BASE={base}", "--secret", f"id=pip,src={settings}"]
    named = (os.environ.get(name) for name in _BUNDLES)
    bundle = next((Path(path) for path in named if path), _BUNDLE)
    if bundle.is_file():
        options += ["--secret", f"id=ca,src={bundle}"]
    return tuple(options)


@pytest.fixture(scope="session")
def toolbox(engine: Engine, toolbox_options: tuple[str, ...]) -> str:
    """The toolbox's image; its packages come from where pip takes them on this machine."""
    tag = "restoreproof-toolbox:e2e"
    engine.build(TOOLBOX.read_text(), ROOT, tag, *toolbox_options)
    return tag


def _pip_settings() -> str:
    """Where pip takes packages from on this machine, wherever that is configured, as one file."""
    shown = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=False, capture_output=True, text=True
    )
    found = configparser.ConfigParser(interpolation=None)
    found["global"] = {}
    for line in shown.stdout.splitlines():
        key, _, value = line.partition("=")
        setting = key.rpartition(".")[2]
        if setting in _SETTINGS:
            found["global"][setting] = value.strip("'\"")
    text = io.StringIO()
    found.write(text)
    return text.getvalue()
