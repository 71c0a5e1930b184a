"""Confined commands, with every layer and with each left out: what they can do, and their end."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from restoreproof.confine import NAMESPACES, UNUSED_IDS, Confinement, confined, layers
from restoreproof.process import procfs

USER = (UNUSED_IDS[-2], UNUSED_IDS[-2]) if os.geteuid() == 0 else None
EVERYTHING = (*NAMESPACES, "landlock")

LAYERINGS = pytest.mark.parametrize(
    "skip",
    [(), ("landlock",), ("mount namespace",), NAMESPACES],
    ids=["all layers", "no landlock", "no mounts", "no namespaces"],
)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the confined user can reach, and owns."""
    with tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        inside = folder / "home"
        inside.mkdir()
        if USER:
            os.chown(inside, *USER)
        yield inside


def run_confined(
    home: Path, script: str, *, skip: tuple[str, ...] = (), given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    confinement = Confinement(
        folder=home, write=(home,), user=USER, system_programs=True, skip=skip
    )
    return subprocess.run(
        confined(["/bin/sh", "-c", script], confinement),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_streams_and_exit_status_are_those_of_the_command(home: Path) -> None:
    done = run_confined(home, "cat; echo loud >&2; exit 7", given=b"x" * 300_000)
    assert (done.returncode, len(done.stdout), done.stderr) == (7, 300_000, b"loud\n")


def test_the_end_by_a_signal_is_passed_on(home: Path) -> None:
    done = run_confined(home, "kill -SEGV $$", skip=("process namespace",))
    assert done.returncode == -signal.SIGSEGV


def test_the_writer_is_told_when_the_command_reads_no_more(home: Path) -> None:
    confinement = Confinement(folder=home, write=(home,), user=USER, system_programs=True)
    with subprocess.Popen(
        confined(["/bin/sh", "-c", "exec <&-; sleep 30"], confinement), stdin=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        writing = select.poll()
        writing.register(child.stdin, 0)  # POLLERR: nobody reads any more
        assert writing.poll(10_000)
        child.kill()


@LAYERINGS
def test_files_outside_cannot_be_read_or_written(home: Path, skip: tuple[str, ...]) -> None:
    key = home.parent / "key"
    key.write_text("planted-secret")
    key.chmod(0o644)
    outside = home.parent / "open-to-all"
    outside.mkdir()
    outside.chmod(0o777)

    done = run_confined(
        home,
        f"cat {key}; echo x > {outside}/written; ls /root /home; echo went on",
        skip=skip,
    )

    assert done.stdout == b"went on\n"
    assert list(outside.iterdir()) == []


def test_those_files_are_in_reach_without_the_layers(home: Path) -> None:
    key = home.parent / "key"
    key.write_text("planted-secret")
    key.chmod(0o644)
    assert run_confined(home, f"cat {key}", skip=EVERYTHING).stdout == b"planted-secret"


@LAYERINGS
def test_its_own_folder_is_its_own(home: Path, skip: tuple[str, ...]) -> None:
    done = run_confined(
        home,
        "mkdir -p a/b && echo text > a/f && mv a/f a/b/f && cat a/b/f && umask && id -u && "
        "cp /bin/cat mine && chmod +x mine && ./mine a/b/f",
        skip=skip,
    )
    kept = done.stdout.decode().split()
    assert kept[:3] == ["text", "0077", str(USER[0] if USER else os.geteuid())]
    if "landlock" not in skip:
        assert kept[3:] == []  # what it writes it cannot execute


@LAYERINGS
def test_no_listener_on_this_machine_can_be_reached(home: Path, skip: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        call = f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected"
        script = f"/bin/bash -c '{call}'"

        assert b"connected" not in run_confined(home, script, skip=skip).stdout
        with pytest.raises(TimeoutError):
            listener.accept()

        assert b"connected" in run_confined(home, script, skip=EVERYTHING).stdout


@LAYERINGS
def test_no_privilege_and_no_descriptor_is_handed_on(home: Path, skip: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)  # noqa: FBT003  # its only form
        confinement = Confinement(
            folder=home,
            read=(Path("/proc"),),
            write=(home,),
            user=USER,
            system_programs=True,
            skip=(*skip, "process namespace"),
        )
        done = subprocess.run(
            confined(["/bin/cat", "/proc/self/status"], confinement),
            capture_output=True,
            pass_fds=[writing],
            check=True,
        )
    finally:
        os.close(reading)
        os.close(writing)
    status = dict(line.split(":\t", 1) for line in done.stdout.decode().splitlines())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"


@LAYERINGS
def test_processes_outside_get_no_signal(home: Path, skip: tuple[str, ...]) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], user=USER[0] if USER else None) as victim:
        done = run_confined(home, f"kill -9 {victim.pid}; kill -0 {os.getpid()}", skip=skip)
        assert done.returncode != 0
        assert victim.poll() is None
        victim.kill()


def started(home: Path, script: str, **options: object) -> subprocess.Popen[bytes]:
    given: dict[str, object] = {
        "folder": home, "write": (home,), "user": USER, "system_programs": True, **options,
    }  # fmt: skip
    child = subprocess.Popen(
        confined(["/bin/sh", "-c", script], Confinement(**given)),  # type: ignore[arg-type]  # named there
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def test_a_request_to_stop_arrives_as_the_stop_signal(home: Path) -> None:
    traps = "trap 'echo quit; exit 4' QUIT; trap 'echo term' TERM"
    script = f"{traps}; echo ready; while :; do sleep 0.05; done"
    with started(home, script, stop_signal=signal.SIGQUIT, grace=60) as child:
        child.terminate()
        assert child.wait(30) == 4
        assert child.stdout is not None
        assert child.stdout.read() == b"quit\n"


def test_what_does_not_stop_is_killed(home: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with started(home, script, grace=0.3) as child:
        child.terminate()
        assert child.wait(10) == -signal.SIGKILL


def living_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(folder) in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return [pid for pid in found if (stat := procfs.stat_of(pid)) and stat.alive]


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


DAEMON = "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 0.1; done' {home} &) & "


@LAYERINGS
def test_what_a_command_leaves_running_ends_with_it(home: Path, skip: tuple[str, ...]) -> None:
    done = run_confined(home, DAEMON.format(home=home) + "sleep 0.3", skip=skip)
    assert done.returncode == 0
    assert living_in(home) == []


def runs_a_daemon_in(folder: Path) -> bool:
    """Whether :data:`DAEMON` has got to its loop: its last argument is the folder."""
    for pid in living_in(folder):
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"\0%b\0" % bytes(folder)):
                return True
    return False


@LAYERINGS
@pytest.mark.parametrize("victim", ["owner", "supervisor"])
def test_nothing_outlives_who_started_it(home: Path, skip: tuple[str, ...], victim: str) -> None:
    if victim == "supervisor" and "process namespace" in skip:
        skip = tuple(name for name in skip if name != "process namespace")
    script = DAEMON.format(home=home) + "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    program = textwrap.dedent(f"""
        import subprocess, sys, time
        from pathlib import Path
        from restoreproof.confine import Confinement, confined
        confinement = Confinement(
            folder=Path({str(home)!r}), write=(Path({str(home)!r}),), user={USER!r},
            system_programs=True, grace=0.2, skip={skip!r},
        )
        child = subprocess.Popen(confined(["/bin/sh", "-c", {script!r}], confinement))
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdin is not None
        owner.stdin.write(program.encode())
        owner.stdin.close()
        assert owner.stdout is not None
        supervisor = int(owner.stdout.readline())
        assert owner.stdout.readline() == b"ready\n"
        try:
            assert eventually(lambda: runs_a_daemon_in(home))
            os.kill(owner.pid if victim == "owner" else supervisor, signal.SIGKILL)
            assert eventually(lambda: living_in(home) == [])
        finally:
            owner.kill()


def test_layers_are_told_as_they_are() -> None:
    told = layers(skip=("landlock",))
    assert told["landlock"] == "no: not asked for"
    assert set(NAMESPACES) - {"user namespace"} <= set(told)
    assert all(state == "yes" or state.startswith("no: ") for state in told.values())


def test_a_command_that_is_not_there_says_so(home: Path) -> None:
    confinement = Confinement(folder=home, write=(home,), user=USER)
    done = subprocess.run(
        confined(["/no/such/program"], confinement), capture_output=True, check=False
    )
    assert done.returncode == 126
    assert b"/no/such/program" in done.stderr
