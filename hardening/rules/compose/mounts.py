"""What a service mounts, whichever way it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hardening.rules.compose.nodes import Node
from hardening.rules.running import Mount

_BINDS = frozenset(("bind", "rbind"))


def mounts(service: Node, shared: Mapping[str, Mapping[str, Node]]) -> Iterator[Mount]:
    """Binds and volumes, and the files of secrets and configs.

    Args:
        service: merged.
        shared: volumes, secrets and configs of the project, by kind and name.
    """
    named = shared.get("volumes", {})
    for mount in _volumes_of(service):
        device = _device(named.get(mount.source)) if not mount.is_bind else None
        if device is None:
            yield mount
        else:
            yield Mount(device, mount.target, is_bind=True, read_only=mount.read_only)
    for kind in ("secrets", "configs"):
        for item in _items(service, kind):
            name = _text(item, "source") or item.text
            node = shared.get(kind, {}).get(name)
            file = node.get("file") if node else None
            if file is not None:
                yield Mount(_absolute(file.text, file), name, is_bind=True, read_only=True)


def tmpfs_volumes(service: Node) -> Iterator[str]:
    """Targets of those that are only memory."""
    for item in _items(service, "volumes"):
        target = _text(item, "target")
        if _text(item, "type") == "tmpfs" and target:
            yield target


def _volumes_of(service: Node) -> Iterator[Mount]:
    for item in _items(service, "volumes"):
        if item.text:
            parts = item.text.split(":")
            source = parts[0] if len(parts) > 1 else ""
            target = parts[1] if len(parts) > 1 else parts[0]
            options = parts[2].split(",") if len(parts) > 2 else []
            is_bind = source.startswith((".", "/", "~"))
            yield Mount(_absolute(source, item), target, is_bind, "ro" in options)
            continue
        kind, source = _text(item, "type"), _text(item, "source")
        if kind in ("bind", "volume"):
            is_bind = kind == "bind"
            read_only = item.get("read_only")
            yield Mount(
                _absolute(source, item) if is_bind else source,
                _text(item, "target"),
                is_bind,
                read_only is not None and read_only.is_true,
            )


def _device(volume: Node | None) -> str | None:
    """The folder of the host that a named volume is in truth; None where it is none."""
    options = volume.get("driver_opts") if volume else None
    device = options.get("device") if options else None
    if options is None or device is None:
        return None
    how = options.get("o")
    words = {word.strip() for item in (how.items if how else ()) for word in item.text.split(",")}
    return _absolute(device.text, device) if words & _BINDS else None


def _items(service: Node, key: str) -> tuple[Node, ...]:
    found = service.get(key)
    return found.items if found else ()


def _text(item: Node, key: str) -> str:
    found = item.get(key)
    return found.text if found else ""


def _absolute(source: str, item: Node) -> str:
    if not source.startswith("."):
        return source
    return str((item.file.parent / source).absolute())
