from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from hardening.model import Scan
from hardening.rules import Limits, Options, scan_compose, scan_files
from restoreproof.errors import UsageError

SECONDS = 15.0  # of the processor, many times what each takes; without bounds it is for ever
STAGE = "FROM a\n"


def scan_bytes(folder: Path, name: str, raw: bytes) -> Scan:
    folder.joinpath(name).write_bytes(raw)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    scan = scan_files(folder)
    assert time.process_time() - start < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 512 << 10  # KiB
    assert len(scan.scanned) + len(scan.not_scanned) >= 1
    return scan


BOMB = "\n".join(
    [
        "x0: &a0 [lol, lol]",
        *(f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)),
        "services: {a: {image: x, tmpfs: *a29}}",
    ]
)
MERGE_BOMB = "\n".join(
    [
        "x0: &a0 {k: v}",
        *(
            f"x{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 200)}], k{n}: v}}"
            for n in range(1, 150)
        ),
        "services: {a: {image: x, environment: *a149}}",
    ]
)
MALFORMED = {
    "nul": b"FROM a\0\nRUN \0\n",
    "latin": b"FROM \xff\xfe\nRUN \xe9\n",
    "ends in a continuation": b"FROM a\nRUN x \\",
    "comment only": b"# nothing",
    "empty": b"",
    "quote": b"FROM a\nENV a='b\nRUN \"\n",
    "braces": STAGE.encode() + b"ENV a=" + b"${a:-" * 5000 + b"\n",
    "open heredoc": b"FROM a\nRUN <<EOF\nx\n",
    "words": b"FROM a\nRUN " + b"'" * 30_000 + b"\n",
    "escapes": STAGE.encode() + b"RUN " + b"\\ " * 30_000 + b"x\n",
    "directive": b"# escape=" + b" " * 60_000 + b"x\n" + b"FROM a\n",
    "address": STAGE.encode() + b"ENV A=" + b"a" * 60_000 + b"://\n",
    "addresses": STAGE.encode() + b"ENV A=" + b"a://b:" * 10_000 + b"\n",
    "doubling": STAGE.encode()
    + b"ENV a0=xxxxxxxx\n"
    + b"".join(f"ENV a{n + 1}=$a{n}$a{n}\n".encode() for n in range(200)),
    "stars": STAGE.encode() + b"ENV a=" + b"a" * 1000 + b" b=${a/*a*a*a*a*a*a*b/x}\n",
    "stages": b"FROM a AS b\n" * 100_000,
    "triggers": b"FROM a AS b\n" + b"ONBUILD ENV a=b\n" * 900 + b"FROM b\n" * 190,
    "variables": STAGE.encode() + b"ENV a=b\n" * 50_000,
    "long line": STAGE.encode() + b"RUN " + b"x" * 900_000,
    "many lines": STAGE.encode() + b"RUN x \\\n" * 100_000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_dockerfile_is_judged_or_refused_in_bounds(name: str, tmp_path: Path) -> None:
    scan_bytes(tmp_path, "Dockerfile", MALFORMED[name])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MERGE_BOMB, "grows too large"),
        ("a: &a [*a]\nservices: {a: {image: x}}", "contains itself"),
        ("[" * 100_000, "nested too deeply"),
        ("services: {a: {image: '${" + "A:-${" * 50 + "}'}}", "not closed"),
        ("services: {a: {image: '" + "${A:-" * 50 + "}" * 50 + "'}}", "nested too deeply"),
        ("services: {a: {extends: a}}", "in a circle"),
        ("include: [compose.yaml]\nservices: {a: {image: x}}", "in a circle"),
        ("services: {a: {extends: {file: ../x.yaml, service: a}}}", "leads out"),
        ("services: [a]", "not a mapping"),
        ("services: {a: b}", "not a mapping"),
        ("services: {a: {image: '${A:?}'}}", "is demanded"),
        ("services: {? [a] : b}", "not a name"),
        ("a: 1\n--- \nb: 2", "not YAML"),
        ("a: b: c", "not YAML: line 1"),
        ("services: {}", "no services"),
        ("\xff\xfe", "UTF-8"),
        ("x" * (300 << 10), "larger than\nmore than"),
    ],
)
def test_a_malformed_compose_file_is_refused_with_a_reason(
    text: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path.parent / "x.yaml").write_text("services: {a: {image: x}}")
    (missed,) = scan_bytes(tmp_path, "compose.yaml", text.encode("latin-1")).not_scanned
    assert any(part in missed.reason for part in reason.split("\n"))


def test_anchors_are_shared_and_not_copied(tmp_path: Path) -> None:
    scan = scan_bytes(tmp_path, "compose.yaml", BOMB.encode())
    assert scan.scanned == ("compose.yaml",)


def test_a_large_dockerfile_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    (missed,) = scan_bytes(tmp_path, "x", b"").not_scanned
    assert missed.name == "Dockerfile"
    assert "100.0 MiB" in missed.reason


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Dockerfile")
    (tmp_path / "Dockerfile.link").symlink_to("/etc/hostname")
    (tmp_path / "Dockerfile.loop").symlink_to("Dockerfile.loop")
    missed = {one.name: one.reason for one in scan_files(tmp_path).not_scanned}
    assert set(missed) == {"Dockerfile", "Dockerfile.link", "Dockerfile.loop"}
    assert "not a regular file" in missed["Dockerfile"]
    assert "leads out" in missed["Dockerfile.link"]


def test_names_of_any_bytes_have_an_identity(tmp_path: Path) -> None:
    name = "Dockerfile.\x1b[31m\n\udcff"
    (tmp_path / name).write_text("FROM a\n")
    scan = scan_files(tmp_path)
    assert scan.scanned == (name,)
    assert len({found.identity for found in scan.findings}) == len(scan.findings) > 0


def test_a_scan_of_too_many_files_says_so(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"Dockerfile.{number}").write_text("FROM a\n")
    scan = scan_files(tmp_path, Options(limits=Limits(files=3)))
    assert len(scan.scanned) == 3
    assert [one.reason for one in scan.not_scanned] == ["more than 3 files"]


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        scan_files(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        scan_compose([tmp_path / "nowhere"])


def test_nothing_there_scans_nothing(tmp_path: Path) -> None:
    scan = scan_files(tmp_path)
    assert (scan.scanned, scan.not_scanned, scan.findings) == ((), (), ())


def test_a_thousand_dockerfiles_take_less_than_three_seconds(tmp_path: Path) -> None:
    text = (
        "FROM python:3.12-slim AS build\nARG UID=1000\nENV A=1 B=${UID}\n"
        "RUN apt-get update \\\n && apt-get install -y --no-install-recommends gcc \\\n"
        " && rm -rf /var/lib/apt/lists/*\nCOPY . /src\nRUN pip wheel /src\n"
        'FROM python:3.12-slim\nCOPY --from=build /w /w\nUSER ${UID:-1000}\nCMD ["x"]\n'
    )
    for number in range(1000):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "Dockerfile").write_text(text)
    start = time.process_time()
    scan = scan_files(tmp_path)
    assert len(scan.scanned) == 1000
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "service",
    [
        "build: loop",
        "build: {context: ., dockerfile: loop}",
        'build: "a\\0b"',
        'build: {dockerfile: "a\\0b"}',
        'build: {context: loop, dockerfile_inline: "FROM a"}',
        f"build: {'a' * 5000}",
        'extends: {file: "a\\0", service: a}',
    ],
)
def test_a_path_that_leads_nowhere_is_a_gap(service: str, tmp_path: Path) -> None:
    tmp_path.joinpath("loop").symlink_to("loop")
    text = f"services: {{a: {{{service}}}}}\n"
    scan = scan_bytes(tmp_path, "compose.yaml", text.encode())
    assert len(scan.not_scanned) == 1
