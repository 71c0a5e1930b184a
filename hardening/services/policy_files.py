"""The policy out of the configuration and the files it names; and the baseline file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from hardening.config import HardeningConfig
from hardening.model import Severity
from hardening.policy.model import Judgement, Policy, Treatment, VexStatement
from hardening.policy.vex import read_vex
from restoreproof.atomic import write_bytes
from restoreproof.errors import ConfigError

FORMAT = "restoreproof/hardening-baseline"
VERSION = 1

_LARGEST = 64 * 1024 * 1024


def policy_of(config: HardeningConfig) -> Policy:
    """The policy, with its baseline and its VEX documents read.

    Raises:
        ConfigError: one of them is missing or broken.
    """
    settings = config.settings
    vex: list[VexStatement] = []
    for path in settings.vex:
        vex += read_vex(_text(path), path.name)
    return Policy(
        block=frozenset(Severity(level) for level in settings.block),
        grace=settings.grace,
        longest=settings.longest_ignore,
        max_data_age=settings.max_data_age,
        offline=config.offline,
        ignores=config.ignores,
        vex=tuple(vex),
        baseline=read_baseline(settings.baseline) if settings.baseline else {},
        looked_up=config.looked_up,
        stricter=config.stricter,
        source=_source(config),
    )


def _source(config: HardeningConfig) -> str:
    """The configuration as reports name it: relative to what is scanned, where it lies in there."""
    if config.path is None:
        return Policy().source
    path, root = config.path.resolve(), config.root.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else config.path.name


def read_baseline(path: Path) -> Mapping[str, int]:
    """How often each identity was there.

    Raises:
        ConfigError: it is missing or broken.
    """
    try:
        document = json.loads(_text(path))
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise ValueError
        counts = {str(name): int(one["count"]) for name, one in document["findings"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{path} is no baseline of version {VERSION}",
            hint="write it anew: harden.scan --write-baseline",
            path=path,
        ) from None
    return counts


def write_baseline(path: Path, judgement: Judgement) -> int:
    """Write down what is there now, so that only what is new blocks.

    What is ignored or answered is left out: it has its own reason.

    Returns:
        how many findings it holds.
    """
    known = [
        ruling.issue
        for ruling in judgement.rulings
        if ruling.treatment in {Treatment.BLOCKS, Treatment.KNOWN, Treatment.GRACE}
        and ruling.issue.findings[0] not in judgement.about_policy
    ]
    counts: Counter[str] = Counter()
    named: dict[str, str] = {}
    for issue in known:
        counts.update({found.identity for found in issue.findings})
        for found in issue.findings:
            named[found.identity] = f"{found.tool} {found.rule} {found.place.path}"
    document = {
        "format": FORMAT,
        "version": VERSION,
        "findings": {name: {"count": counts[name], "what": named[name]} for name in sorted(counts)},
    }
    write_bytes(path, (json.dumps(document, indent=1) + "\n").encode(), 0o644)
    return len(known)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            hint="[hardening] names it",
            path=path,
        ) from error
    if len(raw) > _LARGEST:
        raise ConfigError(f"{path} is too large", hint="[hardening] names it", path=path)
    return raw.decode("utf-8", "replace")
