"""Running children: bulk data through pipes, with a deadline on progress."""

from __future__ import annotations

from restoreproof.process.cancellation import Cancellation

__all__ = ["Cancellation"]
