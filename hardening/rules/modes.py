"""File modes, as numbers and as ``chmod`` writes them."""

from __future__ import annotations

import re

_OCTAL = re.compile(r"[0-7]{1,5}")
_CLAUSE = re.compile(r"([ugoa]*)([-+=])([rwxXst]*)")


def is_world_writable(mode: str) -> bool:
    """Whether it lets everybody write; a sticky folder such as ``/tmp`` is no harm."""
    if _OCTAL.fullmatch(mode):
        bits = int(mode, 8)
        return bool(bits & 0o002) and not bits & 0o1000
    clauses = _CLAUSE.findall(mode)
    opened = any(
        operator != "-" and "w" in rights and (set(who) & set("oa"))
        for who, operator, rights in clauses
    )
    return opened and not any("t" in rights and operator != "-" for _, operator, rights in clauses)


def is_setid(mode: str) -> bool:
    """Whether it sets the setuid or setgid bit."""
    if _OCTAL.fullmatch(mode):
        return bool(int(mode, 8) & 0o6000)
    return any(operator != "-" and "s" in rights for _, operator, rights in _CLAUSE.findall(mode))
