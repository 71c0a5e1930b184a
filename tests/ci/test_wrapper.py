"""``./inv`` and ``./nox``: a shell script that stands before everything else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness.locks import ROOT

# what a bare system has, and no Python
TOOLS = ("sh", "basename", "dirname", "readlink", "cmp", "rm", "cp", "mv", "mkdir")
# enough of the lock to build and run a project of one module
SMALL = frozenset(
    [
        "argcomplete",
        "attrs",
        "colorlog",
        "dependency-groups",
        "distlib",
        "filelock",
        "hatchling",
        "humanize",
        "nox",
        "packaging",
        "pathspec",
        "platformdirs",
        "pluggy",
        "python-discovery",
        "trove-classifiers",
        "virtualenv",
    ]
)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An environment that counts as made, whose ``python`` shows what it is called with."""
    venv = tmp_path / "made venv"
    (venv / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "requirements" / "dev.txt", venv / "made-from.txt")
    python = venv / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" "$PATH"\nexit 4\n')
    python.chmod(0o755)
    return venv


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH with what the script needs, without any Python."""
    folder = tmp_path / "bare"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return folder


def call(
    *argv: str | Path, cwd: Path = ROOT, **environment: str | Path
) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHON", "RESTOREPROOF_VENV"}}
    env |= {name: str(value) for name, value in environment.items()}
    return subprocess.run(
        [str(arg) for arg in argv],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_arguments_working_folder_and_exit_code_are_handed_over(made: Path, tmp_path: Path) -> None:
    arguments = ("backup.run", "--only=a b", "", "*", "$HOME", "quo'te", "line\nbreak")
    result = call(ROOT / "inv", *arguments, cwd=tmp_path, RESTOREPROOF_VENV=made)
    handed = "\n".join((str(tmp_path), "-P", "-m", "restoreproof_cli.main", *arguments))
    assert result.stdout.startswith(handed + "\n")
    assert (result.returncode, result.stderr) == (4, "")


def test_nox_reads_this_noxfile_and_finds_the_tools_first(made: Path, tmp_path: Path) -> None:
    result = call(ROOT / "nox", "-s", "lint", cwd=tmp_path, RESTOREPROOF_VENV=made)
    lines = result.stdout.splitlines()
    assert lines[1:-1] == ["-m", "nox", "--noxfile", f"{ROOT}/noxfile.py", "-s", "lint"]
    assert lines[-1].split(os.pathsep)[0] == str(made / "bin")


def test_a_link_elsewhere_runs_the_same(made: Path, tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to(ROOT / "inv")
    (tmp_path / "inv").symlink_to("first")
    result = call("./inv", "--list", cwd=tmp_path, RESTOREPROOF_VENV=made)
    assert "restoreproof_cli.main\n--list" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("asked_for", ["", "no-such-python"])
def test_without_a_python_one_line_says_what_to_do(
    bare: Path, tmp_path: Path, asked_for: str
) -> None:
    venv = tmp_path / "venv"
    result = call(ROOT / "inv", PATH=bare, RESTOREPROOF_VENV=venv, PYTHON=asked_for)
    assert (result.returncode, result.stdout) == (3, "")
    assert re.fullmatch(
        r"restoreproof: Python 3\.11 or newer is needed.*PYTHON=.*\n", result.stderr
    )
    assert not venv.exists()


def test_a_python_that_is_too_old_is_passed_over(bare: Path, tmp_path: Path) -> None:
    old = bare / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the question for its version ends with
    old.chmod(0o755)
    result = call(ROOT / "inv", PATH=bare, RESTOREPROOF_VENV=tmp_path / "venv")
    assert (result.returncode, result.stdout) == (3, "")


def test_an_unfinished_environment_is_never_used(made: Path, bare: Path) -> None:
    (made / "made-from.txt").unlink()
    result = call(ROOT / "inv", PATH=bare, RESTOREPROOF_VENV=made)
    assert (result.returncode, result.stdout) == (3, "")  # it went to look for a Python


def test_an_environment_from_another_lock_is_never_used(made: Path, bare: Path) -> None:
    with (made / "made-from.txt").open("a") as lock:
        lock.write("# one more line\n")
    result = call(ROOT / "inv", PATH=bare, RESTOREPROOF_VENV=made)
    assert (result.returncode, result.stdout) == (3, "")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project of one module behind the real script, with the small part of the real lock."""
    root = tmp_path / "checkout"
    package = root / "restoreproof_cli"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "inv", root)
    (root / "nox").symlink_to("inv")
    (package / "__init__.py").touch()
    (package / "main.py").write_text('import sys\nprint("ran with", *sys.argv[1:])\n')
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "restoreproof"\nversion = "1"\n'
        '[tool.hatch.build]\ndev-mode-dirs = ["."]\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["restoreproof_cli"]\n'
    )
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements" / "dev.txt").read_text())
    small = [entry for entry in entries if entry.split("==")[0] in SMALL]
    assert len(small) == len(SMALL)
    (root / "requirements").mkdir()
    (root / "requirements" / "dev.txt").write_text("\n".join(small) + "\n")
    return root


@pytest.mark.servers
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_environment_is_made_once_and_again_for_another_lock(
    checkout: Path, tmp_path: Path, installer: str
) -> None:
    path = path_with(installer, tmp_path)
    first = call(checkout / "inv", "--list", cwd=tmp_path, PATH=path, PYTHON=sys.executable)
    assert (first.stdout, first.returncode) == ("ran with --list\n", 0), first.stderr
    assert "making .venv from dev.txt" in first.stderr

    again = call(checkout / "inv", cwd=tmp_path, PATH=path)
    assert (again.stdout, again.stderr) == ("ran with\n", "")

    with (checkout / "requirements" / "dev.txt").open("a") as lock:
        lock.write("# another lock\n")
    anew = call(checkout / "nox", "--version", cwd=tmp_path, PATH=path, PYTHON=sys.executable)
    assert anew.returncode == 0
    assert "making .venv from dev.txt" in anew.stderr


@pytest.mark.servers
def test_two_at_once_make_it_once(checkout: Path, tmp_path: Path) -> None:
    runs = [start(checkout, tmp_path) for _ in range(3)]
    ended = [run.communicate(timeout=120) for run in runs]
    assert [out for out, _ in ended] == ["ran with --list\n"] * 3
    assert sum("making .venv" in err for _, err in ended) == 1


@pytest.mark.servers
def test_killed_while_it_is_made_the_next_run_makes_it_anew(checkout: Path, tmp_path: Path) -> None:
    run = start(checkout, tmp_path)
    deadline = time.monotonic() + 60
    while not (checkout / ".venv" / "bin" / "python").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate(timeout=60)
    assert not (checkout / ".venv" / "made-from.txt").exists()

    result = call(
        checkout / "inv", "--list", PATH=path_with("pip", tmp_path), PYTHON=sys.executable
    )
    assert (result.stdout, result.returncode) == ("ran with --list\n", 0)


@pytest.mark.servers
def test_a_package_that_is_not_the_locked_one_is_refused(checkout: Path, tmp_path: Path) -> None:
    lock = checkout / "requirements" / "dev.txt"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", lock.read_text()))
    path = path_with("pip", tmp_path)
    result = call(checkout / "inv", "--list", PATH=path, PYTHON=sys.executable)
    assert (result.returncode, result.stdout) == (5, "")
    assert "could not be made" in result.stderr
    assert not (checkout / ".venv" / "made-from.txt").exists()


def start(checkout: Path, tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [checkout / "inv", "--list"],
        env=os.environ | {"PATH": path_with("pip", tmp_path), "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def path_with(installer: str, tmp_path: Path) -> str:
    """PATH with uv, or with every folder left out that holds one."""
    if installer == "uv":
        if shutil.which("uv") is None:
            subprocess.run([sys.executable, "-m", "venv", tmp_path / "uv"], check=True)
            pip = (tmp_path / "uv" / "bin" / "python", "-m", "pip", "install", "-q", "uv")
            subprocess.run(pip, check=True)
            return f"{tmp_path}/uv/bin{os.pathsep}{os.environ['PATH']}"
        return os.environ["PATH"]
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not (Path(folder) / "uv").exists())
