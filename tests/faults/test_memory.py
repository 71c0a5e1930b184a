"""The memory of our own process does not grow with the data."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from restoreproof.exit_codes import ExitCode
from tests.harness.fault_site import FaultSite, finish, of_kinds
from tests.harness.profiles import profile

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

MIB = 1 << 20
SMALL = 80 * MIB
"""Large enough for several readers at a restore, each of which has its own few buffers."""
LARGE = (240 if profile() == "quick" else 1536) * MIB
OVER_THE_INTERPRETER = 128 * MIB
TOLERANCE = 24 * MIB
"""More than that between a small and a large database would be growth, not chance."""


def peak(process: subprocess.Popen[str]) -> int:
    """The most memory a process had, in bytes, read until it is gone."""
    highest = 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                highest = max(highest, int(line.split()[1]) << 10)
        time.sleep(0.005)
    assert highest
    return highest


def interpreter() -> int:
    """Of Python alone."""
    argv = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    with subprocess.Popen(argv, text=True) as process:
        return peak(process)


def measure(site: FaultSite, *command: str) -> int:
    running = site.start(*command, "--quiet", "--json")
    highest = peak(running)
    done = finish(running)
    assert done.code == ExitCode.OK, done
    return highest


@of_kinds("postgres")
def test_peaks_of_a_run_and_its_verification_do_not_grow(fault_site: FaultSite) -> None:
    commands = {
        "run": ("backup.run", "--set", "nightly"),
        "verify": ("backup.verify", "--set", "nightly", "--again"),
    }
    peaks = {}
    for size in (SMALL, LARGE):
        fault_site.rig.grow(size)
        for name, command in commands.items():
            peaks[name, size] = measure(fault_site, *command)
        fault_site.rig.shrink()
    bare = interpreter()
    told = {key: f"{value / MIB:.0f} MiB" for key, value in peaks.items()}
    for name in commands:
        assert peaks[name, LARGE] - bare < OVER_THE_INTERPRETER, told
        assert peaks[name, LARGE] - peaks[name, SMALL] < TOLERANCE, told
