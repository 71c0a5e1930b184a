"""One service of a Compose project: how its container will run, and how it is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hardening.rules.compose.mounts import mounts, tmpfs_volumes
from hardening.rules.compose.nodes import Node
from hardening.rules.compose.project import Project, environment
from hardening.rules.dockerfile.build import Build, read
from hardening.rules.files import read_bounded, relative, resolved
from hardening.rules.running import Health, Port, Running


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """How a service's image is built here.

    Attributes:
        context: the folder; None where it is a repository elsewhere.
        dockerfile: the file; None where its text stands in the Compose file.
        target: stage; empty for the last.
        args: values given to it.
        inline: the text in the Compose file, or None.
    """

    context: Path | None
    dockerfile: Path | None
    target: str
    args: Mapping[str, str]
    inline: Node | None = None


def build_plan(service: Node) -> BuildPlan | None:
    """The plan, or None where the service takes an image, or a context from elsewhere.

    Raises:
        Inconclusive: a path in it leads nowhere.
    """
    build = service.get("build")
    if build is None:
        return None
    named = build.get("context")
    where = build.text or (named.text if named else ".")
    inline = build.get("dockerfile_inline")
    is_elsewhere = "://" in where or where.startswith("git@")
    if is_elsewhere and inline is None:
        return None
    context = None if is_elsewhere else resolved(build.file.parent / where)
    file = build.get("dockerfile")
    target = build.get("target")
    args = build.get("args")
    given = _pairs(args) if args else {}
    name = file.text if file else "Dockerfile"
    dockerfile = None if inline or context is None else resolved(context / name)
    return BuildPlan(context, dockerfile, target.text if target else "", given, inline)


def read_build(project: Project, plan: BuildPlan) -> Build:
    """The Dockerfile of a plan, evaluated, wherever it stands.

    Raises:
        Inconclusive: it cannot be read, or the builder would refuse it.
    """
    options = replace(project.options, build_args={**project.options.build_args, **plan.args})
    if plan.inline is not None:
        raw = plan.inline.text.encode()
    else:
        assert plan.dockerfile is not None
        raw = read_bounded(plan.dockerfile, project.root, options.limits.file_bytes)
    return read(raw, options, plan.target)


def running(
    name: str,
    service: Node,
    built: Build | None,
    root: Path,
    shared: Mapping[str, Mapping[str, Node]],
) -> Running:
    """How the service's container will run.

    Args:
        name: of the service.
        service: merged.
        built: its evaluated Dockerfile, where it is built here and was readable.
        root: for paths in the report.
        shared: volumes, secrets and configs of the project.
    """
    user = service.get("user")
    image = service.get("image")
    from_build = built.user() if built else None
    return Running(
        name=name,
        image="" if service.get("build") else (image.text if image else ""),
        user=user.text if user else (from_build.text if from_build else None),
        states_user=user is not None,
        privileged=_is_true(service, "privileged"),
        read_only=_is_true(service, "read_only"),
        cap_add=_texts(service, "cap_add"),
        cap_drop=_texts(service, "cap_drop"),
        security_opt=_texts(service, "security_opt"),
        tmpfs=(*_texts(service, "tmpfs"), *tmpfs_volumes(service)),
        mounts=tuple(mounts(service, shared)),
        has_pids_limit=_is_limited(service, "pids_limit", "pids"),
        has_memory_limit=_is_limited(service, "mem_limit", "memory"),
        has_cpu_limit=_is_limited(service, "cpus", "cpus") or _is_limited(service, "cpu_quota", ""),
        host_namespaces=tuple(
            key
            for key in ("network_mode", "pid", "ipc", "uts", "userns_mode")
            if (found := service.get(key)) and found.text == "host"
        ),
        ports=tuple(_ports(service)),
        environment={key: node.text for key, node in environment(service).items()},
        health=_health(service, built),
        lines=_lines(service, root),
    )


def unexplained_capabilities(
    service: Node, lines: Mapping[Path, tuple[str, ...]]
) -> Iterator[tuple[str, Node]]:
    """Each added capability that has no comment on its line, nor on the line above."""
    added = service.get("cap_add")
    for item in added.items if added else ():
        text = lines.get(item.file, ())
        here = text[item.line - 1] if item.line <= len(text) else ""
        above = text[item.line - 2] if 2 <= item.line <= len(text) + 1 else ""
        if "#" not in here and not above.lstrip().startswith("#"):
            yield item.text, item


def _lines(service: Node, root: Path) -> dict[str, tuple[int, str]]:
    def at(node: Node) -> tuple[int, str]:
        return node.line, relative(node.file, root.resolve())

    lines = {key: at(node) for key, node in service.mapping.items()}
    lines[""] = at(service)
    for key, node in environment(service).items():
        lines[f"environment {key}"] = at(node)
    return lines


def _is_true(service: Node, key: str) -> bool:
    found = service.get(key)
    return found is not None and found.is_true


def _texts(service: Node, key: str) -> tuple[str, ...]:
    found = service.get(key)
    return tuple(item.text for item in found.items) if found else ()


def _pairs(node: Node) -> dict[str, str]:
    if isinstance(node.value, Mapping):
        return {key: item.text for key, item in node.value.items()}
    pairs = (item.text.partition("=") for item in node.items)
    return {key: value for key, has_value, value in pairs if has_value}


def _is_limited(service: Node, key: str, resource: str) -> bool:
    for found in (service.get(key), service.get("deploy", "resources", "limits", resource)):
        if found is not None and found.text.strip() not in ("", "0", "-1", "0.0"):
            return True
    return False


def _ports(service: Node) -> Iterator[Port]:
    found = service.get("ports")
    for item in found.items if found else ():
        if item.text:
            rest, _, container = item.text.partition("/")[0].rpartition(":")
            address, has_port, _ = rest.rpartition(":")
            yield from _numbered(address if has_port else "", container)
        elif (target := item.get("target")) is not None:
            host = item.get("host_ip")
            yield from _numbered(host.text if host else "", target.text)


def _numbered(address: str, ports: str) -> Iterator[Port]:
    first, _, last = ports.partition("-")
    if first.isdecimal() and len(first) <= 5:
        end = int(last) if last.isdecimal() and len(last) <= 5 else int(first)
        for number in range(int(first), min(end, int(first) + 100) + 1):
            yield Port(address, number)


def _health(service: Node, built: Build | None) -> Health:
    check = service.get("healthcheck")
    if check is not None:
        test = check.get("test")
        first = test.items[0].text if test and test.items else ""
        if _is_true(check, "disable") or first.upper() == "NONE":
            return Health.DISABLED
        if first:
            return Health.CHECKED
    if built is not None:
        found = built.target.healthcheck
        if found is not None and found.args and found.args[0].text.upper() != "NONE":
            return Health.CHECKED
    return Health.MISSING
