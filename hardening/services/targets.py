"""Judging what is no folder: a built image, running containers, Compose files together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hardening.config import HardeningConfig
from hardening.rules import Options as RuleOptions
from hardening.rules import scan_compose, scan_image, scan_live
from hardening.scanners.base import Circumstances, Scanner
from hardening.scanners.compose_lint import ComposeLint, ComposeLintSettings
from hardening.scanners.trivy import Trivy, TrivySettings
from hardening.services.own_rules import OneScan, OwnRulesSettings, options_of
from hardening.services.scan import Options, Report, judge_with
from restoreproof.errors import UsageError
from restoreproof.tasking import Run


def judge_image(config: HardeningConfig, image: str, run: Run, *, offline: bool = False) -> Report:
    """A built image: our rules over its configuration and files, Trivy over its packages.

    Raises:
        UsageError: no image is named.
        Interrupted: it was asked to stop.
    """
    if not image:
        raise UsageError("no image is named", hint="give its reference or id")
    rules = rule_options(config)
    settings = TrivySettings(mode="image", image=image, cache=_trivy_cache(config))
    limit = _limit(config)
    scanners: dict[str, Scanner] = {
        "image": OneScan(image, lambda: scan_image(image, rules)),
        "trivy-image": Trivy(settings, Circumstances("trivy-image", limit=limit)),
    }
    return judge_with(config, scanners, Options(offline=offline), emit=run.emit, cancel=run.cancel)


def judge_live(config: HardeningConfig, containers: Sequence[str], run: Run) -> Report:
    """Running containers; all of them where none is named.

    Raises:
        Interrupted: it was asked to stop.
    """
    scanners = {"live": OneScan("live", lambda: scan_live(containers))}
    return judge_with(config, scanners, emit=run.emit, cancel=run.cancel)


def judge_compose(config: HardeningConfig, files: Sequence[str], run: Run) -> Report:
    """Compose files that belong together: our rules over what they mean, compose-lint over each.

    Raises:
        UsageError: no file is named, or one of them is not there.
        Interrupted: it was asked to stop.
    """
    paths = [Path(name).parent.resolve() / Path(name).name for name in files]
    if not paths:
        raise UsageError(
            "no Compose file is named", hint="harden.compose --file docker/compose.yaml"
        )
    for path in paths:
        if not path.is_file():
            raise UsageError(f"there is no file at {path}")
    rules = rule_options(config)
    root = config.root.resolve()
    if not all(path.is_relative_to(root) for path in paths):
        root = Path(os.path.commonpath([path.parent for path in paths]))
    named = tuple(str(path.relative_to(root)) for path in paths)
    scanners: dict[str, Scanner] = {
        "compose": OneScan("compose", lambda: scan_compose(paths, rules, root=root)),
        "compose-lint": ComposeLint(
            ComposeLintSettings(paths=named), Circumstances("compose-lint", limit=_limit(config))
        ),
    }
    within = replace(config, root=root)  # tools are named files relative to it
    return judge_with(within, scanners, emit=run.emit, cancel=run.cancel)


def rule_options(config: HardeningConfig) -> RuleOptions:
    """The options of the rules that the configuration gives."""
    for one in config.scanners.values():
        if isinstance(one.settings, OwnRulesSettings):
            return options_of(one.settings)
    return RuleOptions()


def _limit(config: HardeningConfig) -> float:
    limits = [one.common.limit.total_seconds() for one in config.scanners.values()]
    return max(limits, default=Circumstances("").limit)


def _trivy_cache(config: HardeningConfig) -> Path | None:
    found = (one.settings for one in config.scanners.values())
    return next((one.cache for one in found if isinstance(one, TrivySettings)), None)
