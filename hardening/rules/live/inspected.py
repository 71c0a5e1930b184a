"""What an engine says of a container or image, as the rules want it. Pure functions over JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hardening.rules.credentials import credential
from hardening.rules.dockerfile.build import is_root
from hardening.rules.rule import Found
from hardening.rules.running import Health, Mount, Port, Running

Inspected = Mapping[str, Any]
"""The JSON of ``docker inspect``, one element."""


def running(container: Inspected) -> Running:
    """How a container runs.

    Args:
        container: ``docker inspect CONTAINER``.
    """
    host, config = _part(container, "HostConfig"), _part(container, "Config")
    return Running(
        name=str(container.get("Name", "")).lstrip("/"),
        image=str(config.get("Image", "")),
        user=str(config.get("User", "")),
        states_user=bool(config.get("User")),
        privileged=bool(host.get("Privileged")),
        read_only=bool(host.get("ReadonlyRootfs")),
        cap_add=_texts(host.get("CapAdd")),
        cap_drop=_texts(host.get("CapDrop")),
        security_opt=_texts(host.get("SecurityOpt")),
        tmpfs=tuple(_part(host, "Tmpfs")),
        mounts=tuple(_mounts(container)),
        has_pids_limit=int(host.get("PidsLimit") or 0) > 0,
        has_memory_limit=int(host.get("Memory") or 0) > 0,
        has_cpu_limit=any(int(host.get(key) or 0) > 0 for key in ("NanoCpus", "CpuQuota")),
        host_namespaces=tuple(
            name
            for name, key in (
                ("network_mode", "NetworkMode"),
                ("pid", "PidMode"),
                ("ipc", "IpcMode"),
                ("uts", "UTSMode"),
                ("userns_mode", "UsernsMode"),
            )
            if host.get(key) == "host"
        ),
        ports=tuple(_ports(container)),
        environment=_environment(config),
        health=_health(config),
    )


def judge_image(image: Inspected) -> Iterator[Found]:
    """What is wrong with an image's configuration: RP-I001, RP-I005, RP-I006.

    Args:
        image: ``docker image inspect IMAGE``.
    """
    config = _part(image, "Config")
    user = str(config.get("User") or "")
    if is_root(user):
        yield Found("RP-I001", f"USER {user}", detail=f"USER is {user or 'not set'}")
    pairs = [("ENV", name, value) for name, value in _environment(config).items()]
    pairs += [("LABEL", name, str(value)) for name, value in _part(config, "Labels").items()]
    for where, name, value in pairs:
        kind = credential(name, value)
        if kind:
            yield Found("RP-I005", f"{where} {name}", detail=f"{where} {name} is {kind}")
    if _health(config) is not Health.CHECKED:
        yield Found("RP-I006", "no health check")


def _part(whole: Inspected, key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, Mapping) else {}


def _texts(listed: object) -> tuple[str, ...]:
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _environment(config: Inspected) -> dict[str, str]:
    pairs = (text.partition("=") for text in _texts(config.get("Env")))
    return {name: value for name, _, value in pairs}


def _health(config: Inspected) -> Health:
    test = _texts(_part(config, "Healthcheck").get("Test"))
    if not test:
        return Health.MISSING
    return Health.DISABLED if test[0].upper() == "NONE" else Health.CHECKED


def _mounts(container: Inspected) -> Iterator[Mount]:
    for mount in container.get("Mounts") or ():
        if mount.get("Type") == "tmpfs":
            continue
        yield Mount(
            source=str(mount.get("Source", "")),
            target=str(mount.get("Destination", "")),
            is_bind=mount.get("Type") == "bind",
            read_only=not mount.get("RW", True),
        )


def _ports(container: Inspected) -> Iterator[Port]:
    host = _part(container, "HostConfig")
    published = _part(_part(container, "NetworkSettings"), "Ports") or _part(host, "PortBindings")
    for port, bindings in published.items():
        for binding in bindings or ():
            address = str(binding.get("HostIp", ""))
            number = port.partition("/")[0]
            if number.isdecimal():
                yield Port("" if address in ("0.0.0.0", "::") else address, int(number))  # noqa: S104  # compared
