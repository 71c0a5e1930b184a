"""The control for a system's packages.

Trivy's database has a part for each release of each system. Where it has none for a release, Trivy
finds nothing in its packages and says nothing of it. So a package that is old enough to be
vulnerable in all of them is looked up for the very release that an image has. As an SBOM, since
that is the one form in which a package of any system can be written down.
"""

from __future__ import annotations

import json

PACKAGE = "openssl"
_KINDS = {"debian": "deb", "ubuntu": "deb", "alpine": "apk", "wolfi": "apk", "chainguard": "apk"}
_VERSIONS = {"deb": "0.0.1", "apk": "0.0.1-r0", "rpm": "0.0.1-1"}


def control(system: str) -> str:
    """A CycloneDX document of one old package.

    Args:
        system: family and release as Trivy reports them, ``debian 12.5``.
    """
    family, _, release = system.partition(" ")
    kind = _KINDS.get(family, "rpm")
    version = _VERSIONS[kind]
    package = f"pkg:{kind}/{family}/{PACKAGE}@{version}?distro={family}-{release}"
    components = [
        {"bom-ref": "system", "type": "operating-system", "name": family, "version": release},
        {
            "bom-ref": "package",
            "type": "library",
            "name": PACKAGE,
            "version": version,
            "purl": package,
        },
    ]
    return json.dumps(
        {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}
    )
