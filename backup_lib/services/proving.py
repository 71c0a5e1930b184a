"""Keeps what a verification established as a signed proof, which others can read and check.

The proofs of a set lie in the state folder, one file a verification: evidence for an audit, and
what a release gate reads. A newer one never replaces an older one.
"""

from __future__ import annotations

from dataclasses import replace

from backup_lib.destinations.base import SetRef
from backup_lib.format.proofs import prove
from backup_lib.format.sets import read_manifest
from backup_lib.model import SetVerification
from backup_lib.services.site import Site
from backup_lib.work import Work
from restoreproof.atomic import make_folder, write_bytes
from restoreproof.errors import Inconclusive, RestoreproofError
from restoreproof.events import Warned
from restoreproof.pathnames import encode_component
from restoreproof.version import version


def keep_proof(site: Site, result: SetVerification, work: Work) -> SetVerification:
    """Sign ``result`` and keep it; the verdict never depends on whether that works.

    Returns:
        the result with the file's path in ``proof``; as it was where there was no backup to judge,
        or where the proof could not be kept, which is then said in a warning.
    """
    if not result.manifest:
        return result
    try:
        return replace(result, proof=_kept(site, result))
    except RestoreproofError as error:
        work.emit(Warned(f"no proof was kept: {error.message}", error.hint))
    except OSError as error:
        work.emit(
            Warned(
                f"no proof was kept: {error.strerror or error}",
                hint=f"check that {site.proofs} can be written to",
            )
        )
    return result


def _kept(site: Site, result: SetVerification) -> str:
    key = site.signing_key()
    destination = site.plan(result.set_name).destination
    ref = SetRef(result.set_name, result.set_id)
    signed = read_manifest(destination, ref, site.trusted)
    if signed.digest != result.manifest:
        raise Inconclusive(
            f"the set {result.set_id} was replaced while it was verified",
            hint="find out who writes to the destination, and verify again",
        )
    proof = prove(result, signed, key, version=version())
    folder = site.proofs / encode_component(result.set_name) / encode_component(result.set_id)
    make_folder(folder)
    path = folder / f"{result.at:%Y%m%dT%H%M%S.%fZ}-{result.depth}-{result.verdict}.dsse.json"
    write_bytes(path, proof)
    return str(path)
