"""Destination ``local``: backup sets in a folder of this machine, or of a mounted disk.

::

    PATH/SET/SET-ID/STORE/ARTIFACT.zst
    PATH/SET/SET-ID/manifest.dsse.json      written last: from here on the set exists
    PATH/SET/SET-ID/.lock                   while it is being written

Names are path names as ``restoreproof.pathnames`` makes them.
"""

from __future__ import annotations

from backup_lib.destinations.local.destination import LocalDestination

__all__ = ["LocalDestination"]
