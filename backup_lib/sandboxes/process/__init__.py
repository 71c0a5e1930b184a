"""The sandbox ``process``: disposable servers as confined children of ours.

A restored dump is hostile code, and PostgreSQL hands its superuser a shell. So the server runs
under a user of its own (where we are root), sees nothing but its programs and its home, has no
network, no environment of ours, no privileges to gain, and does not outlive us. What the system
does not grant is told by :meth:`ProcessSandbox.isolation`.
"""

from __future__ import annotations

from backup_lib.sandboxes.process.sandbox import ProcessSandbox

__all__ = ["ProcessSandbox"]
