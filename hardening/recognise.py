"""Which files are Dockerfiles and Compose files: the one place that says so, for every scanner.

A name settles it where it can. A file of another name is looked into, since builders and Compose
take any name that they are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from hardening.peeking import peek

_MOST = 256 << 10
"""Bytes that are looked at, of a file whose name does not settle what it is."""

_DOCKERFILE = re.compile(
    r"(?:docker|container)file(?:\d*|[._-].+)|.+[._-](?:docker|container)file",
    re.IGNORECASE | re.DOTALL,
)
_TEMPLATE = re.compile(
    r".*(?:\.(?:dockerignore|j2|jinja2?|tmpl|tpl|orig|bak|swp|pyc)|~)", re.IGNORECASE | re.DOTALL
)
_SOURCE = re.compile(
    r".*\.(?:md|rst|txt|html?|svg|png|go|jsx?|json|lua|php|pl|py|rb|rs|sh|tsx?|vim|xml|ya?ml)",
    re.IGNORECASE | re.DOTALL,
)
"""``Dockerfile.go`` may be for Go, or in Go."""

_FIRST = re.compile(
    rb"\A(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*"
    rb"[ \t]*(?:ARG[ \t]+[\w.-]+(?:=[^\n]*)?|FROM[ \t]+(?:--[\w=/$.{}-]+[ \t]+)*[^\s#{]\S*"
    rb"(?:[ \t]+AS[ \t]+\S+)?)[ \t]*\r?(?:\n|\Z)",
    re.IGNORECASE,
)
"""How every Dockerfile begins, and no text of another kind: not Python's ``from a import b``."""

_COMPOSE = re.compile(
    r"(?:.+[._-])?(?:docker-)?compose(?:[._-].+)?\.ya?ml", re.IGNORECASE | re.DOTALL
)
_MAIN = re.compile(r"(?:docker-)?compose(?:\.override)?\.ya?ml")
_YAML = (".yml", ".yaml")
_OVERRIDE = re.compile(r"((?:docker-)?compose)\.override\.ya?ml")

_SERVICES = re.compile(rb"""(?:^|[{,])[ \t]*["']?services["']?[ \t]*:""", re.MULTILINE)
_SERVICES_ON_TOP = re.compile(rb"""^["']?services["']?[ \t]*:""", re.MULTILINE)
_TOP = frozenset(
    (
        "version",
        "name",
        "include",
        "services",
        "networks",
        "volumes",
        "secrets",
        "configs",
        "models",
    )
)
_OF_A_SERVICE = frozenset(
    (
        *("image", "build", "extends", "command", "entrypoint", "environment", "env_file", "ports"),
        *("volumes", "networks", "depends_on", "deploy", "restart", "user", "privileged"),
        *("cap_add", "devices", "network_mode", "pid", "security_opt", "secrets", "configs"),
        *("container_name", "mem_limit", "healthcheck", "provider"),
    )
)


def is_dockerfile(path: PurePath) -> bool:
    """Whether a file is a Dockerfile: ``Dockerfile_prod`` and ``web.Dockerfile`` are, by name.

    Args:
        path: looked into where the name leaves it open; a link is not followed.
    """
    if not _DOCKERFILE.fullmatch(path.name) or _TEMPLATE.fullmatch(path.name):
        return False
    if not _SOURCE.fullmatch(path.name):
        return True
    return _FIRST.match(_beginning(path)) is not None


def is_compose(path: PurePath) -> bool:
    """Whether a file is for Compose: by its name, or by the services that it describes.

    Args:
        path: looked into where it is YAML that Compose does not look for by itself; a link is not
            followed.
    """
    if _MAIN.fullmatch(path.name):
        return True
    if _COMPOSE.fullmatch(path.name):
        return not _is_for_others(_beginning(path))
    return path.suffix.lower() in _YAML and _describes_services(_beginning(path))


def overridden(path: PurePath) -> tuple[PurePath, ...]:
    """What Compose by itself puts a file over, by name; none where it puts it over nothing."""
    found = _OVERRIDE.fullmatch(path.name)
    return tuple(path.with_name(found[1] + suffix) for suffix in (".yaml", ".yml")) if found else ()


def _beginning(path: PurePath) -> bytes:
    return peek(path, _MOST + 1) or b""


def _describes_services(text: bytes) -> bool:
    if not _SERVICES.search(text):
        return False
    if len(text) > _MOST:  # too large to be sure: whoever judges it says so
        return _SERVICES_ON_TOP.search(text) is not None
    keys = _top(text)
    if not keys or _foreign(keys):
        return False
    services = keys.get("services")
    return any(_OF_A_SERVICE & set(_keys(service)) for service in _keys(services).values())


def _is_for_others(text: bytes) -> bool:
    """Whether YAML is surely not for Compose: a workflow that is named after what it tests."""
    if len(text) > _MOST:
        return False
    keys = _top(text)
    return bool(keys) and _foreign(keys) and not {"services", "include"} & set(keys)


def _foreign(keys: Iterable[str]) -> bool:
    """Whether there are keys for which Compose refuses a file."""
    return any(key not in _TOP and not key.startswith("x-") for key in keys)


def _top(text: bytes) -> dict[str, object]:
    import yaml

    try:
        return _keys(yaml.compose(text.decode("utf-8-sig"), Loader=yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        return {}


def _keys(node: object) -> dict[str, object]:
    """The items of a mapping, those that it merges in among them."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return {}
    found: dict[str, object] = {}
    for key, value in node.value:
        if key.value != "<<":
            found[str(key.value)] = value
            continue
        for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(source, yaml.MappingNode):
                found |= {str(name.value): item for name, item in source.value}
    return found
