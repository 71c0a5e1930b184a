"""An alert as people read it, in plain text."""

from __future__ import annotations

from datetime import datetime

from restoreproof.alerts.model import Alert


def title(alert: Alert) -> str:
    """One line: ``FAILED nightly/orders: integrity``."""
    word = "RECOVERED" if alert.recovered else alert.verdict.value.upper()
    subject = f"{alert.set}/{alert.store}" if alert.store else alert.set
    return _one_line(f"{word} {subject}: {alert.rung}")


def body(alert: Alert) -> str:
    """The reason, what to do, and since when; a few lines."""
    lines = [_one_line(alert.reason)]
    if alert.hint:
        lines.append(f"What to do: {_one_line(alert.hint)}")
    lines += [
        f"First failed: {_moment(alert.first_failed)} (runs that met it: {alert.occurrences})",
        f"Last good: {_moment(alert.last_good) if alert.last_good else 'not known'}",
        f"Judged: {_moment(alert.at)} on {_one_line(alert.host)}",
    ]
    return "\n".join(lines)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _one_line(text: str) -> str:
    """Names come from configuration and from databases: no line breaks, no control characters."""
    return "".join(char if char.isprintable() else " " for char in text)
