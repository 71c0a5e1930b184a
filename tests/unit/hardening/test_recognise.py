from __future__ import annotations

import os
from pathlib import Path

import pytest

from hardening.recognise import is_compose, is_dockerfile, overridden


@pytest.mark.parametrize(
    "name",
    [
        *("Dockerfile", "dockerfile", "Containerfile", "Dockerfile.dev", "web.Dockerfile"),
        *("Dockerfile_prod", "Dockerfile-prod", "Dockerfile2", "prod-dockerfile", "a_Dockerfile"),
        *("Dockerfile.a.b", "Dockerfile-3.12-slim", "a.b.containerfile", "a/b/Dockerfile"),
    ],
)
def test_names_of_dockerfiles(name: str) -> None:
    assert is_dockerfile(Path("nowhere", name))


@pytest.mark.parametrize(
    "name",
    [
        *("Dockerfile.dockerignore", "Dockerfile.j2", "Dockerfile.bak", "Dockerfile~", "README"),
        *("dockerfiles.md", "dockerfile.py", "dockerfiles", "Dockerfile.txt", "mydockerfile"),
    ],
)
def test_names_of_other_files(name: str) -> None:
    assert not is_dockerfile(Path("nowhere", name))


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("Dockerfile.go", "# syntax=docker/dockerfile:1\n\nFROM golang:1 AS build\nRUN x\n", True),
        ("Dockerfile.py", "\ufeffARG V=1\r\nFROM python:$V\r\n", True),
        ("dockerfile.txt", "from --platform=$BUILDPLATFORM debian:12", True),
        ("dockerfile.py", "#!/usr/bin/env python3\nfrom os import path\n", False),
        ("dockerfile.py", "import os\n", False),
        ("dockerfile.md", "# A title\n\nFROM is an instruction.\n", False),
        ("dockerfile.go", "package main\n\nFROM x\n", False),
    ],
)
def test_dockerfiles_that_are_named_like_sources_are_told_by_how_they_begin(
    name: str, text: str, is_one: bool, tmp_path: Path
) -> None:
    tmp_path.joinpath(name).write_text(text, newline="")
    assert is_dockerfile(tmp_path / name) is is_one


@pytest.mark.parametrize(
    "name",
    [
        *("compose.yaml", "docker-compose.yml", "docker-compose.YML", "compose.prod.yml"),
        *("prod.compose.yml", "docker-compose_prod.yml", "docker-compose-prod.yml"),
        *("my-compose.yaml", "Docker-Compose.yml", "compose.override.yml"),
    ],
)
def test_names_of_compose_files(name: str) -> None:
    assert is_compose(Path("nowhere", name))


@pytest.mark.parametrize("name", ["composer.yml", "compose.json", "stack.yml", "compose", "a.yaml"])
def test_names_that_say_nothing(name: str) -> None:
    assert not is_compose(Path("nowhere", name))


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  web:\n    image: x\n",
        "version: '3'\nx-a: &a {build: .}\nservices:\n  web:\n    <<: *a\n",
        "x-a: &a {build: .}\nservices:\n  web:\n    <<: [*a]\n",
        '{"services": {"web": {"privileged": true}}}',
        "'services' :\n  web: {cap_add: [ALL]}\n",
        "# comment\nname: x\nservices: {web: {extends: {file: a, service: b}}}\n",
        "services:\n  web:\n    image: x\n" + f"# {'x' * 70}\n" * 5000,
    ],
)
def test_yaml_that_describes_services_is_for_compose(text: str, tmp_path: Path) -> None:
    tmp_path.joinpath("stack.YML").write_text(text)
    assert is_compose(tmp_path / "stack.YML")


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  App\\Foo:\n    class: Foo\n    arguments: [1]\n",  # Symfony
        "services:\n  _defaults: {autowire: true}\nparameters: {image: x}\n",
        "services: [docker]\nlanguage: python\n",  # Travis
        "services:\n  db: {image: postgres}\nsteps: [{image: x}]\n",  # Woodpecker
        "jobs:\n  a:\n    services:\n      db: {image: x}\n",  # GitHub
        "services:\n  a: {image: x}\n---\nservices: {}\n",
        "services: {a: [image]}\n",
        "services: &a {a: *a}\n",
        "[" * 50_000 + "\nservices: {}",
        "services:\n\t- \0",
        "",
    ],
)
def test_other_yaml_is_not(text: str, tmp_path: Path) -> None:
    tmp_path.joinpath("a.yml").write_text(text)
    assert not is_compose(tmp_path / "a.yml")


@pytest.mark.parametrize("name", ["test-docker-compose.yml", "compose.test.yaml"])
def test_a_workflow_that_is_named_after_compose_is_none(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("name: test\n'on': push\njobs:\n  a:\n    steps: []\n")
    assert not is_compose(path)
    for text in ("services: {a: {}}\nother: 1\n", "x-a: 1\n", "include: [a.yml]\n", "a: [\n", ""):
        path.write_text(text)
        assert is_compose(path), text


def test_neither_links_nor_pipes_are_looked_into(tmp_path: Path) -> None:
    tmp_path.joinpath("stack.yml").write_text("services: {a: {image: x}}\n")
    tmp_path.joinpath("link.yml").symlink_to("stack.yml")
    os.mkfifo(tmp_path / "pipe.yml")
    assert [is_compose(tmp_path / f"{name}.yml") for name in ("stack", "link", "pipe")] == [
        True,
        False,
        False,
    ]


def test_what_compose_by_itself_puts_over_what() -> None:
    assert [str(one) for one in overridden(Path("a/compose.override.yml"))] == [
        "a/compose.yaml",
        "a/compose.yml",
    ]
    assert overridden(Path("compose.prod.override.yml")) == ()
