"""How a hardened container runs, as data: for the Docker SDK, for Compose, and to be checked.

The defaults suit a disposable server: no network, nothing writable but small tmpfs, no
capabilities, no way to gain privileges, and bounds on memory, processes and processor time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

TMP = "rw,noexec,nosuid,nodev,size=64m,mode=1777"
"""Options of a tmpfs for temporary files."""

_SMALL_TMP: Mapping[str, str] = MappingProxyType({"/tmp": TMP})  # noqa: S108  # the container's


@dataclass(frozen=True, slots=True)
class RunProfile:
    """How a container is to run.

    Attributes:
        user: ``uid:gid``; numbers, since an orchestrator cannot tell who a name is.
        read_only: whether the root file system is.
        tmpfs: writable folders in memory, and their mount options.
        cap_drop: capabilities taken away.
        cap_add: capabilities given back; each needs a reason where it is asked for.
        no_new_privileges: whether setuid programs lose their power.
        pids: processes and threads at most.
        memory: bytes at most; swap included.
        cpus: processors at most.
        network: name of a network; ``none`` for no way out.
        init: whether a process of the engine's reaps orphans.
    """

    user: str = "1000:1000"
    read_only: bool = True
    tmpfs: Mapping[str, str] = field(default_factory=lambda: _SMALL_TMP)
    cap_drop: tuple[str, ...] = ("ALL",)
    cap_add: tuple[str, ...] = ()
    no_new_privileges: bool = True
    pids: int = 100
    memory: int = 512 << 20
    cpus: float = 1.0
    network: str = "none"
    init: bool = True

    def sdk_arguments(self) -> dict[str, Any]:
        """Keyword arguments for ``client.containers.run`` and ``create`` of the Docker SDK."""
        return {
            "user": self.user,
            "read_only": self.read_only,
            "tmpfs": dict(self.tmpfs),
            "cap_drop": list(self.cap_drop),
            "cap_add": list(self.cap_add),
            "security_opt": ["no-new-privileges:true"] if self.no_new_privileges else [],
            "pids_limit": self.pids,
            "mem_limit": self.memory,
            "memswap_limit": self.memory,
            "nano_cpus": round(self.cpus * 1e9),
            "network_mode": self.network,
            "init": self.init,
        }

    def compose(self) -> dict[str, Any]:
        """The same as keys of a Compose service."""
        service: dict[str, Any] = {
            "user": self.user,
            "read_only": self.read_only,
            "tmpfs": [f"{path}:{options}" for path, options in self.tmpfs.items()],
            "cap_drop": list(self.cap_drop),
            "security_opt": ["no-new-privileges:true"] if self.no_new_privileges else [],
            "pids_limit": self.pids,
            "mem_limit": self.memory,
            "memswap_limit": self.memory,
            "cpus": self.cpus,
            "network_mode": self.network,
            "init": self.init,
        }
        return service | ({"cap_add": list(self.cap_add)} if self.cap_add else {})

    def shortfalls(self, inspected: Mapping[str, Any]) -> tuple[str, ...]:
        """Where a container that was started falls short of this; empty where nowhere.

        What was asked for is not always what an engine does: an old one ignores what it does not
        know, and a daemon's configuration adds to it.

        Args:
            inspected: ``docker inspect CONTAINER``, one element.
        """
        host: Mapping[str, Any] = inspected.get("HostConfig") or {}
        config: Mapping[str, Any] = inspected.get("Config") or {}
        dropped = _capabilities(host.get("CapDrop"))
        options = [str(o).replace("=", ":", 1) for o in host.get("SecurityOpt") or ()]
        reached = set((inspected.get("NetworkSettings") or {}).get("Networks") or {})
        checks = {
            "user": config.get("User") == self.user,
            "read_only": bool(host.get("ReadonlyRootfs")) or not self.read_only,
            "tmpfs": set(self.tmpfs) <= set(host.get("Tmpfs") or {}),
            "cap_drop": "ALL" in dropped or _capabilities(self.cap_drop) <= dropped,
            "cap_add": _capabilities(host.get("CapAdd")) <= _capabilities(self.cap_add),
            "no_new_privileges": not self.no_new_privileges
            or bool({"no-new-privileges", "no-new-privileges:true"} & set(options)),
            "seccomp": not any(option.endswith(":unconfined") for option in options),
            "privileged": not host.get("Privileged"),
            "pids": 0 < int(host.get("PidsLimit") or 0) <= self.pids,
            "memory": 0 < int(host.get("Memory") or 0) <= self.memory,
            "cpus": 0 < int(host.get("NanoCpus") or 0) <= round(self.cpus * 1e9),
            "network": host.get("NetworkMode") == self.network and reached <= {self.network},
            "host name spaces": not any(
                host.get(key) == "host" for key in ("PidMode", "IpcMode", "UTSMode", "UsernsMode")
            ),
        }
        return tuple(name for name, holds in checks.items() if not holds)


def _capabilities(names: object) -> set[str]:
    listed = names if isinstance(names, (list, tuple)) else ()
    return {str(name).upper().removeprefix("CAP_") for name in listed}
