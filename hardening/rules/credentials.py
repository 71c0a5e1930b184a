"""Is this a credential? Answers name what kind, never what value."""

from __future__ import annotations

import re

_IN_ADDRESS = re.compile(
    r"(?<![\w+.-])[a-z][a-z0-9+.-]{1,30}://[^\s/@:?#]{0,256}:([^\s/@]{1,1024})@", re.IGNORECASE
)
_REFERENCE = re.compile(r"^(?:\$|\{\{|<|%|/run/secrets/)|^\*+$|^x+$", re.IGNORECASE)

_TOKENS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})"),
        ("a GitLab token", r"\bglpat-[\w-]{20}"),
        ("a Slack token", r"\bxox[abeprs]-[\w-]{10,}"),
        ("a Stripe key", r"\b[rs]k_live_[0-9A-Za-z]{16,}"),
        ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a PyPI token", r"\bpypi-AgE[\w-]{50,}"),
        ("a Google API key", r"\bAIza[\w-]{35}\b"),
        ("a private key", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY"),
        ("an age identity", r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    )
)

_NAME = re.compile(
    r"(?:^|[_.-])(?:password|passwd|pwd|passphrase|secret|token|api_?key|access_?key|secret_?key|"
    r"private_?key|credentials?|auth)(?:$|[_.-](?:key|value|[0-9]+)?$)",
    re.IGNORECASE,
)
_POINTS_ELSEWHERE = re.compile(
    r"(?:_|\.|-)(?:file|path|dir|url|name|id|ttl|expiry|length)$", re.IGNORECASE
)
_SWITCH = re.compile(
    r"^(?:|true|false|yes|no|on|off|none|null|md5|scram-sha-256|trust|[0-9]{1,3})$", re.IGNORECASE
)


def credential(name: str, value: str) -> str | None:
    """What kind of credential ``name=value`` is, or None.

    ``PASSWORD_FILE=/run/secrets/p`` and ``PASSWORD=$FROM_OUTSIDE`` are none.
    """
    text = value[: 1 << 16]
    for found in _IN_ADDRESS.finditer(text):
        if not _REFERENCE.search(found[1]):
            return "a password inside an address"
    for kind, pattern in _TOKENS:
        if pattern.search(text):
            return kind
    if not _NAME.search(name) or _POINTS_ELSEWHERE.search(name):
        return None
    if _SWITCH.search(text) or _REFERENCE.search(text):
        return None
    return "a value whose name says secret"
