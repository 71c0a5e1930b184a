"""Running a command that is not trusted, shut in as far as the system allows.

What is denied by default: every file but the system's libraries and what :class:`Confinement`
names, every network, our user where we are root, our processes, new privileges, and outliving us.
Linux only. Each layer stands by itself: where one is not granted, :func:`layers` says so and why,
and the others hold.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from restoreproof.errors import Inconclusive

LAUNCHER = Path(__file__).with_name("launcher.py")

UNUSED_IDS = range(60706, 61184)
"""User and group ids that neither distributions nor systemd hand out.

Source: the table in systemd's ``docs/UIDS-GIDS.md``; below 65536, so that they exist in containers
with mapped users too.
"""

_SYSTEM_READ = (
    "/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/nix/store",
    "/usr/share/i18n", "/usr/share/icu", "/usr/share/locale", "/usr/share/zoneinfo",
    "/etc/alternatives", "/etc/group", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf",
    "/etc/passwd", "/etc/pki/tls/openssl.cnf", "/etc/ssl/openssl.cnf",
    "/dev/random", "/dev/urandom", "/dev/zero",
)  # fmt: skip
_SYSTEM_WRITE = ("/dev/null",)
_LOADERS = ("lib*/ld-*.so*", "lib/*/ld-*.so*", "usr/lib/ld-*.so*")
_SYSTEM_PROGRAMS = ("/bin", "/usr/bin")

NAMESPACES = (
    "user namespace", "network namespace", "ipc namespace", "process namespace", "mount namespace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a confined command may do.

    Attributes:
        folder: working folder; has to be below one of the paths.
        read: files and trees it may read.
        execute: trees it may read and execute.
        write: trees it may change, in which nothing can be executed.
        user: user and group id to become, which needs root; None to stay who we are.
        system_programs: whether it may run those of ``/bin`` and ``/usr/bin``, a shell above all.
        network: whether it may use the network; Unix sockets below ``write`` always work.
        stop_signal: what the command is sent when it is asked to stop.
        grace: seconds from there until it is killed. A command that has no handler for the signal
            gets all of it: as the first process of its namespace it cannot be ended otherwise.
        skip: layers left out, by their names in :func:`layers`; for tests of the others.
    """

    folder: Path
    read: tuple[Path, ...] = ()
    execute: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    user: tuple[int, int] | None = None
    system_programs: bool = False
    network: bool = False
    stop_signal: int = signal.SIGTERM
    grace: float = 2.0
    skip: tuple[str, ...] = ()


def confined(argv: Sequence[str], confinement: Confinement) -> tuple[str, ...]:
    """The arguments that run ``argv`` (program as an absolute path) under ``confinement``.

    The process that they start is a supervisor with the same standard streams and exit status; see
    :mod:`restoreproof.confine.launcher`. Both end when this process ends.
    """
    loaders = [os.fspath(path) for pattern in _LOADERS for path in Path("/").glob(pattern)]
    spec = {
        "owner": os.getpid(),
        "folder": os.fspath(confinement.folder),
        "read": [*_SYSTEM_READ, *map(os.fspath, confinement.read)],
        "execute": [
            *loaders,
            *(_SYSTEM_PROGRAMS if confinement.system_programs else ()),
            *map(os.fspath, confinement.execute),
        ],
        "write": [*_SYSTEM_WRITE, *map(os.fspath, confinement.write)],
        "uid": confinement.user[0] if confinement.user else None,
        "gid": confinement.user[1] if confinement.user else None,
        "network": confinement.network,
        "stop_signal": int(confinement.stop_signal),
        "grace": confinement.grace,
        "skip": list(confinement.skip),
    }
    return (sys.executable, "-I", "-S", os.fspath(LAUNCHER), json.dumps(spec), *argv)


def layers(skip: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Which layers this system grants, found by putting them on: ``yes`` or ``no: reason``.

    Raises:
        Inconclusive: commands cannot be confined here at all.
    """
    user = (UNUSED_IDS[-1], UNUSED_IDS[-1]) if os.geteuid() == 0 else None
    confinement = Confinement(folder=Path("/"), user=user, skip=skip)
    try:
        done = subprocess.run(
            confined(["--probe"], confinement),
            env={"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise Inconclusive(
                "programs cannot be confined on this system: "
                + done.stderr.decode(errors="replace").strip(),
                hint="a root without other users, as in some containers: run as an ordinary user",
            )
        answer: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Inconclusive(
            "programs cannot be confined on this system",
            hint="run on Linux 5.4 or later, or use the sandbox kind 'docker' or 'external'",
        ) from error
    return answer
