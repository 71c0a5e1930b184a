"""Which files must not get into an image: by name, and where a name may be harmless by content."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache

PEEK = 64 << 10
"""Bytes of a file that are looked at, at most."""

Peek = Callable[[], bytes | None]
"""Gives the first bytes of a file; None where they cannot be read."""

_NAMES = {
    "environment variables": (".env", ".env.*", "*.env", ".envrc"),
    "a private key": (
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.ppk", "*.key", "*.pem", "*.p12"),
        *("*.pfx", "*.jks", "*.keystore", "*.ovpn", "*.age-key", "identity.age"),
    ),
    "a password store": ("*.kdbx", "*.kdb", "*.agilekeychain", "*.psafe3", ".vault-token"),
    "credentials": (
        *(".netrc", "_netrc", ".pgpass", ".git-credentials", ".pypirc", ".npmrc", ".yarnrc.yml"),
        *(".dockercfg", ".htpasswd", ".my.cnf", ".s3cfg", ".boto", "credentials.json"),
        *("service-account*.json", "client_secret*.json", "secrets.yml", "secrets.yaml"),
        *("kubeconfig", "*.kubeconfig"),
    ),
    "state with secrets": ("*.tfstate", "*.tfstate.backup", ".bash_history", ".psql_history"),
}
_PATHS = {
    "credentials": (
        *(".aws/credentials", ".aws/config", ".docker/config.json", ".kube/config"),
        *(".config/gcloud/*", ".azure/*", ".ssh/*", ".gnupg/*", ".config/gh/hosts.yml"),
    ),
}
_FOLDERS = {
    ".git": "a repository's history",
    ".hg": "a repository's history",
    ".svn": "a repository's history",
}
_HARMLESS = (
    *(".env.example", ".env.sample", ".env.template", ".env.dist", "*.env.example", "*.pub"),
    *("example.env", "sample.env", "template.env"),
)

_PRIVATE = re.compile(rb"PRIVATE KEY|ENCRYPTED DATA|OPENSSH|AGE-SECRET")
_PUBLIC = re.compile(rb"-----BEGIN (?:TRUSTED )?(?:CERTIFICATE|PUBLIC KEY|X509 CRL|DH PARAMETERS)")
_TOKEN = re.compile(rb"_authToken|_password|_auth\b|npmAuthToken|npmAuthIdent")

Patterns = tuple[tuple[str, str], ...]
_BY_NAME: Patterns = tuple((glob, kind) for kind, globs in _NAMES.items() for glob in globs)
_BY_PATH: Patterns = tuple((glob, kind) for kind, globs in _PATHS.items() for glob in globs)


def sensitive_folder(name: str) -> str | None:
    """What kind of secret a whole folder is, or None."""
    return _FOLDERS.get(name)


def sensitive(path: str, peek: Peek) -> str | None:
    """What kind of secret a file is, or None.

    Args:
        path: relative, with ``/``.
        peek: asked only where the name alone does not say.
    """
    name = path.rpartition("/")[2]
    kind = _by_name(name)
    if kind is None:
        tail = "/".join(path.split("/")[-3:])
        for glob, found in _BY_PATH:
            if fnmatchcase(tail, glob) or fnmatchcase(tail, f"*/{glob}"):
                return None if name in ("known_hosts", "authorized_keys") else found
        return None
    if name.endswith((".pem", ".key")):
        start = peek()
        # a certificate alone is public; what cannot be read is taken at its name
        if start is not None and _PUBLIC.search(start) and not _PRIVATE.search(start):
            return None
    if name in (".npmrc", ".yarnrc.yml"):
        start = peek()
        if start is not None and not _TOKEN.search(start):
            return None
    return kind


@cache
def _compiled() -> re.Pattern[str]:
    import fnmatch

    return re.compile("|".join(fnmatch.translate(glob) for glob, _ in _BY_NAME))


def _by_name(name: str) -> str | None:
    if not _compiled().match(name) or any(fnmatchcase(name, glob) for glob in _HARMLESS):
        return None
    return next(kind for glob, kind in _BY_NAME if fnmatchcase(name, glob))
