"""Rules of our own: what no scanner covers.

``scan_files`` judges Dockerfiles, build contexts and Compose files below a folder,
``scan_compose`` Compose files that belong together, ``scan_image`` a built image and ``scan_live``
running containers. ``catalogue.RULES`` says why, and what to do.
"""

from __future__ import annotations

from hardening.rules.live.engine import scan_image, scan_live
from hardening.rules.options import CopyOwnership, Limits, Options
from hardening.rules.scan import scan_compose, scan_files

__all__ = [
    "CopyOwnership",
    "Limits",
    "Options",
    "scan_compose",
    "scan_files",
    "scan_image",
    "scan_live",
]
