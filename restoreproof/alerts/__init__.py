"""Telling people and dashboards what a verification found.

:class:`~restoreproof.alerts.dispatcher.Dispatcher` decides what is told when (de-duplication,
reminders, recovery) and hands each :class:`~restoreproof.alerts.model.Alert` to the channels.
"""

from __future__ import annotations

from restoreproof.alerts.model import Alert, Delivery, Finding, Heartbeat

__all__ = ["Alert", "Delivery", "Finding", "Heartbeat"]
