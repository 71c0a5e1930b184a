"""Adopting the policy on an old repository: what is there now becomes the baseline."""

from __future__ import annotations

from dataclasses import replace

from hardening.config import HardeningConfig
from hardening.services.policy_files import write_baseline
from hardening.services.scan import Options, Report, scan_and_judge
from restoreproof.clock import SYSTEM_CLOCK, Clock
from restoreproof.errors import UsageError
from restoreproof.events import Listener, Warned, silent
from restoreproof.process import Cancellation


def scan_into_baseline(
    config: HardeningConfig,
    options: Options,
    *,
    emit: Listener = silent,
    cancel: Cancellation | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Report:
    """Scan, and write down what is there, so that from now on only what is new blocks.

    The report is that of this scan: what it found still blocks in it.

    Raises:
        UsageError: the configuration names no baseline, or not all scanners are to run: what the
            others know would be lost from the file.
        ConfigError: the baseline or a VEX document is wrong.
        Interrupted: it was asked to stop.
    """
    path = config.settings.baseline
    if path is None:
        raise UsageError(
            "the configuration names no baseline", hint='[hardening] baseline = "baseline.json"'
        )
    if options.only:
        raise UsageError(
            "a baseline is made of what all scanners find", hint="leave --only out to write it"
        )
    if not path.exists():  # it is about to be written for the first time
        without = config.settings.model_copy(update={"baseline": None})
        config = replace(config, settings=without)
    report = scan_and_judge(config, options, emit=emit, cancel=cancel, clock=clock)
    count = write_baseline(path, report.judgement)
    gaps = len(report.judgement.gaps)
    emit(
        Warned(
            f"{count} findings are in the baseline {path.name} now",
            hint="scan again: only what is new blocks" if not gaps else "",
            details=(f"{gaps} things were not looked at: what is in them is not in it",)
            if gaps
            else (),
        )
    )
    return report
