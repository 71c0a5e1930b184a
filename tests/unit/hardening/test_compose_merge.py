from __future__ import annotations

from pathlib import Path

import pytest

from hardening.model import Finding
from hardening.rules import Options, scan_compose, scan_files


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def rules(root: Path, options: Options | None = None) -> set[str]:
    scan = scan_files(root, options)
    assert scan.not_scanned == ()
    return {found.rule for found in scan.findings}


@pytest.mark.parametrize(
    "text",
    [
        "x-a: &a {user: app}\nservices: {a: {image: x, <<: *a}}",
        "x-a: &a {user: root}\nservices: {a: {<<: *a, image: x, user: app}}",
        "x-a: &a {user: app}\nx-b: &b {user: root}\nservices: {a: {image: x, <<: [*a, *b]}}",
        "services: {b: {image: x, user: app}, a: {extends: b, image: y}}",
        "services: {b: {image: x, user: 0}, a: {extends: {service: b}, user: app}}\n".replace(
            "b: {image: x, user: 0}", "b: {image: x, user: app}"
        ),
        "services: {a: {image: x, user: '${U:-app}', profiles: [never]}}",
        "services: {a: {image: x, user: '${FROM_FILE}'}}",
        "services: {a: {image: x, user: '${GIVEN}:${GIVEN}'}}",
    ],
)
def test_the_user_is_the_one_in_force(text: str, tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": text, ".env": "export FROM_FILE='app' # no\nFROM_FILE=app\n"})
    assert not rules(tmp_path, Options(environment={"GIVEN": "app"})) & {"RP-C001", "RP-C002"}


def test_an_override_goes_over_what_it_overrides(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "compose.yaml": "services: {a: {image: x, user: app, cap_drop: [ALL]}}",
            "compose.override.yaml": "services:\n  a:\n    user: root\n    privileged: true\n",
        },
    )
    found = {
        (one.rule, one.place.path, one.place.line)
        for one in scan_files(tmp_path).findings
        if one.rule in ("RP-C001", "RP-C003", "RP-C004")
    }
    name = "compose.override.yaml"
    assert found == {("RP-C001", name, 3), ("RP-C003", name, 4)}


def test_files_can_be_given_together_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.yaml": "services: {a: {image: x, cap_add: [CHOWN], environment: [A=1]}}",
            "b.yaml": "services: {a: {cap_add: !reset [], environment: {TOKEN: abcdef}}}",
        },
    )
    scan = scan_compose([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert scan.scanned == ("a.yaml", "b.yaml")
    assert "RP-C020" not in {one.rule for one in scan.findings}
    assert "RP-C016" in {one.rule for one in scan.findings}


def test_a_fragment_is_judged_over_the_main_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "compose.yaml": "services: {a: {image: x, user: app}}",
            "compose.prod.yaml": "services: {a: {mem_limit: 1g}}",
        },
    )
    assert "RP-C002" not in rules(tmp_path)


def test_a_service_that_is_built_here_has_its_dockerfiles_user(tmp_path: Path) -> None:
    build = "{context: app, target: '${T:-run}', args: {U: app}}"
    dockerfile = "FROM x AS run\nARG U=root\nUSER $U\nHEALTHCHECK CMD x\nFROM x AS other\n"
    write(
        tmp_path,
        {"compose.yaml": f"services: {{a: {{build: {build}}}}}", "app/Dockerfile": dockerfile},
    )
    assert not rules(tmp_path) & {"RP-C001", "RP-C002", "RP-C018", "RP-C017"}
    other = rules(tmp_path, Options(environment={"T": "other"}))
    assert {"RP-C002", "RP-C018"} <= other


def test_included_and_extended_files_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "compose.yaml": "include: [parts/one.yaml]\nservices:\n  b:\n    extends:\n"
            "      file: parts/two.yaml\n      service: c\n",
            "parts/one.yaml": "services: {a: {image: x, privileged: true}}",
            "parts/two.yaml": "services:\n  c:\n    image: x\n    pid: host\n",
        },
    )
    places = {
        (one.place.subject, one.place.path, one.place.line)
        for one in scan_files(tmp_path).findings
        if one.rule in ("RP-C003", "RP-C013")
    }
    by_itself = {("c", "parts/two.yaml", 4)}  # somebody may start that one too
    assert places == {("a", "parts/one.yaml", 1), ("b", "parts/two.yaml", 4)} | by_itself


def test_secrets_are_named_and_never_shown(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "compose.yaml": "services: {a: {image: x, environment: {DB_PASSWORD: '${P}'}}}",
            ".env": "P=hunter2hunter2\n",
            "Dockerfile": "FROM a\nENV DSN=postgres://u:hunter2hunter2@h/d\n",
        },
    )
    found: list[Finding] = [
        one for one in scan_files(tmp_path).findings if one.rule in ("RP-C016", "RP-D013")
    ]
    assert len(found) == 2
    assert "hunter2" not in repr(found)


def test_a_dockerfile_that_compose_names_is_judged_whatever_its_name(tmp_path: Path) -> None:
    compose = "services: {a: {build: {context: ., dockerfile: image.df}}}\n"
    write(tmp_path, {"compose.yaml": compose, "image.df": "FROM debian\nUSER root\n"})
    scan = scan_files(tmp_path)
    assert scan.scanned == ("compose.yaml", "image.df")
    assert ("image.df", 2) in {(one.place.path, one.place.line) for one in scan.findings}


@pytest.mark.parametrize("name", ["../out.df", "nowhere.df", "folder"])
def test_a_dockerfile_that_compose_names_and_that_cannot_be_read_is_a_gap(
    name: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    compose = f"services: {{a: {{build: {{context: ., dockerfile: {name}}}}}}}\n"
    write(root, {"compose.yaml": compose, "../out.df": "FROM a\n", "folder/x": ""})
    scan = scan_files(root)
    assert scan.scanned == ("compose.yaml",)
    assert [Path(one.name).name for one in scan.not_scanned] == [Path(name).name]


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("/etc/../etc", "RP-C014"),
        ("/./", "RP-C014"),
        ("/srv/../var/run/docker.sock", "RP-C012"),
        ("/var/../run", "RP-C012"),
        ("../" * 40, "RP-C014"),
    ],
)
def test_a_mount_is_what_its_path_leads_to(source: str, rule: str, tmp_path: Path) -> None:
    text = f"services: {{a: {{image: x, volumes: ['{source}:/x']}}}}\n"
    assert rule in rules(write(tmp_path, {"compose.yaml": text}))


def bound(device: str, options: str = "o: bind, type: none") -> str:
    return f"volumes: {{v: {{driver_opts: {{{options}, device: {device}}}}}}}\n"


MOUNTS = (
    "services: {a: {image: x, volumes: ['v:/x']}}\n",
    "services: {a: {image: x, volumes: [{type: volume, source: v, target: /x}]}}\n",
)


@pytest.mark.parametrize("service", MOUNTS)
@pytest.mark.parametrize(
    ("volumes", "rule"),
    [
        (bound("/var/run/docker.sock"), "RP-C012"),
        (bound("/etc/../etc", "o: 'ro,rbind'"), "RP-C014"),
        (bound("/etc", "o: [bind]"), "RP-C014"),
        (bound("../" * 40, "o: bind"), "RP-C014"),
        (bound("'${UNSET:-/root}'"), "RP-C014"),
    ],
)
def test_a_named_volume_that_is_a_bind_is_judged_as_one(
    service: str, volumes: str, rule: str, tmp_path: Path
) -> None:
    assert rule in rules(write(tmp_path, {"compose.yaml": service + volumes}))
    apart = {"a/one.yaml": service, "a/two.yaml": volumes}
    write(tmp_path, apart)
    together = scan_compose([tmp_path / name for name in apart])
    assert rule in {one.rule for one in together.findings}


@pytest.mark.parametrize("name", ["compose.override.yaml", "compose.prod.yaml"])
def test_a_volume_is_what_the_file_beside_makes_of_it(name: str, tmp_path: Path) -> None:
    plain = MOUNTS[0] + "volumes: {v: {driver: local}}\n"
    write(tmp_path, {"compose.yaml": plain, name: bound("/etc")})
    assert "RP-C014" in rules(tmp_path)


def test_a_volume_of_an_included_file_counts(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": f"include: [b.yml]\n{MOUNTS[0]}", "b.yml": bound("/etc")})
    assert "RP-C014" in rules(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        MOUNTS[0] + bound("/srv/data"),
        MOUNTS[0] + bound("/etc", "type: nfs, o: 'addr=10.0.0.1,rw'"),
        MOUNTS[0] + "volumes: {w: {driver_opts: {type: none, o: bind, device: /etc}}}\n",
        MOUNTS[0],
    ],
)
def test_other_named_volumes_are_no_binds(text: str, tmp_path: Path) -> None:
    assert not rules(write(tmp_path, {"compose.yaml": text})) & {"RP-C012", "RP-C014"}


@pytest.mark.parametrize("kind", ["secrets", "configs"])
def test_a_secret_is_a_mount_of_its_file(kind: str, tmp_path: Path) -> None:
    for use in ("s", "{source: s, target: /x}"):
        text = f"services: {{a: {{image: x, {kind}: [{use}]}}}}\n{kind}: {{s: {{file: %s}}}}\n"
        write(tmp_path, {"compose.yaml": text % "/var/run/docker.sock"})
        assert "RP-C012" in rules(tmp_path)
        write(tmp_path, {"compose.yaml": text % "secrets/s.txt"})
        assert "RP-C012" not in rules(tmp_path)
