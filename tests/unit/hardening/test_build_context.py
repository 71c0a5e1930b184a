from __future__ import annotations

import os
from pathlib import Path

import pytest

from hardening.model import Scan
from hardening.rules import Options, scan_files

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def taken(scan: Scan) -> dict[str, int]:
    assert scan.not_scanned == ()
    return {f.place.subject: f.place.line for f in scan.findings if f.rule == "RP-X001"}


ALL = "FROM a\nCOPY . /app\n"
SECRETS = {".env": "A=1", "keys/id_rsa": KEY, "a/b/.aws/credentials": "x", ".git/HEAD": "ref"}


def test_a_whole_context_takes_in_every_secret_beside_the_dockerfile(tmp_path: Path) -> None:
    scan = scan_files(tree(tmp_path, {"Dockerfile": ALL, **SECRETS}))
    assert taken(scan) == {".env": 2, "keys/id_rsa": 2, "a/b/.aws/credentials": 2, ".git": 2}
    assert "RP-X002" in {found.rule for found in scan.findings}


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("*\n", set()),
        ("**/.env\n**/id_*\n.git/\n", {"a/b/.aws/credentials"}),
        ("/.env\n/keys\na/**/credentials\n.git", set()),
        ("*\n!keys\n", {"keys/id_rsa"}),
        ("!keys\n*\n", set()),
        ("keys\n!keys/id_rsa\n.env\n.git\na\n", {"keys/id_rsa"}),
        ("# .env\n  .git  \nkeys/*\n*/b\n", {".env"}),
        ("\ufeff.env\r\n.git\r\nkeys\r\na\r\n", set()),
        ("\\.env\n.gi?\nkey[r-t]\na/./b/../b\n", set()),
        (".env*\n.git\n**/*_rsa\n**/.aws/*\n!**/config\n", set()),
    ],
)
def test_ignore_files_keep_out_what_they_keep_out_for_the_builder(
    ignore: str, left: set[str], tmp_path: Path
) -> None:
    files = {"Dockerfile": ALL, ".dockerignore": ignore, **SECRETS}
    assert set(taken(scan_files(tree(tmp_path, files)))) == left


def test_the_dockerfiles_own_ignore_file_goes_before_that_of_the_context(tmp_path: Path) -> None:
    files = {
        "Dockerfile": ALL,
        "other.Dockerfile": ALL,
        "other.Dockerfile.dockerignore": "*",
        ".dockerignore": "keys",
        **SECRETS,
    }
    scan = scan_files(tree(tmp_path, files))
    assert {f.place.path for f in scan.findings if f.rule == "RP-X001"} == {"Dockerfile"}


@pytest.mark.parametrize(
    ("copy", "left"),
    [
        ("COPY src /app", set()),
        ("COPY keys /app", {"keys/id_rsa"}),
        ("COPY ../../keys/ /app", {"keys/id_rsa"}),
        ('COPY ["src", "k*s", "/app/"]', {"keys/id_rsa"}),
        ("COPY src/../.env /", {".env"}),
        ("COPY --from=b . /", set()),
        ("ADD https://example.org/.env /", set()),
        ("COPY <<.env /x\nA=1\n.env", set()),
        ("ARG D=keys\nCOPY ${D}/id_* /", {"keys/id_rsa"}),
        ("COPY */b /", {"a/b/.aws/credentials"}),
    ],
)
def test_only_what_is_copied_counts(copy: str, left: set[str], tmp_path: Path) -> None:
    files = {"Dockerfile": f"FROM a AS b\nFROM a\n{copy}\n", "src/main": "x", **SECRETS}
    assert set(taken(scan_files(tree(tmp_path, files)))) == left


@pytest.mark.parametrize(
    ("name", "text", "reported"),
    [
        ("ca.pem", "-----BEGIN CERTIFICATE-----\n", False),
        ("both.pem", "-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n", True),
        ("unreadable.key", "?", True),
        (".env.example", "A=", False),
        (".env.production", "A=", True),
        (".npmrc", "registry=x\n", False),
        (".npmrc", "//x/:_authToken=y\n", True),
        ("vault.kdbx", "x", True),
        (".ssh/known_hosts", "x", False),
        ("id_rsa.pub", "ssh-rsa", False),
        ("environment.py", "x", False),
    ],
)
def test_names_are_judged_by_content_where_they_may_be_harmless(
    name: str, text: str, reported: bool, tmp_path: Path
) -> None:
    scan = scan_files(tree(tmp_path, {"Dockerfile": ALL, name: text}))
    assert (name in taken(scan)) == reported


def test_the_context_is_the_nearest_folder_that_has_what_is_copied(tmp_path: Path) -> None:
    files = {"docker/Dockerfile": "FROM a\nCOPY src keys /app/\n", "src/x": "", **SECRETS}
    assert set(taken(scan_files(tree(tmp_path, files)))) == {"keys/id_rsa"}


def test_compose_and_options_name_the_context(tmp_path: Path) -> None:
    files = {
        "docker/Dockerfile": ALL,
        "compose.yaml": "services: {a: {build: {context: ., dockerfile: docker/Dockerfile}}}",
        **SECRETS,
    }
    assert ".env" in taken(scan_files(tree(tmp_path, files)))
    tmp_path.joinpath("compose.yaml").unlink()
    assert not taken(scan_files(tmp_path))
    options = Options(contexts={"docker/Dockerfile": "keys"})
    assert set(taken(scan_files(tmp_path, options))) == {"id_rsa"}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"Dockerfile": "FROM a\nCOPY nowhere /\n"}, "build context was not found"),
        ({"Dockerfile": ALL, ".dockerignore": "a[", ".env": ""}, "refuses it"),
        ({"Dockerfile": ALL, ".dockerignore": "*a*a*a*a*a*", ".env": ""}, "too many wildcards"),
        ({"Dockerfile": ALL, ".dockerignore": "\\a", ".env": ""}, "escapes a letter"),
        ({"Dockerfile": ALL, ".dockerignore": "a\n" * 2000, ".env": ""}, "more than 1000 lines"),
    ],
)
def test_what_cannot_be_judged_is_said(files: dict[str, str], reason: str, tmp_path: Path) -> None:
    (missed,) = scan_files(tree(tmp_path, files)).not_scanned
    assert missed.name == "build context of Dockerfile"
    assert reason in missed.reason


def test_links_are_not_followed_out_of_the_context(tmp_path: Path) -> None:
    tree(tmp_path / "outside", SECRETS)
    inside = tree(tmp_path / "inside", {"Dockerfile": ALL, "src/x": ""})
    inside.joinpath("link").symlink_to(tmp_path / "outside")
    inside.joinpath("loop").symlink_to(".")
    assert taken(scan_files(inside)) == {}
    ignore = inside / ".dockerignore"
    ignore.symlink_to(tmp_path / "outside" / ".env")
    (missed,) = scan_files(inside).not_scanned
    assert "leads out" in missed.reason


def test_names_of_any_bytes_are_looked_at(tmp_path: Path) -> None:
    tree(tmp_path, {"Dockerfile": ALL})
    for name in (b"\x1b[2J\n.env", b"\xff\n/.env"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = {os.fsencode(name) for name in taken(scan_files(tmp_path))}
    assert found == {b"\x1b[2J\n.env", b"\xff\n/.env"}
