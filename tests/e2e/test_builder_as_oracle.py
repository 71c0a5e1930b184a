"""What we say of Dockerfiles and ignore files against what the builder does with them."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hardening.rules.context.judge import judge
from hardening.rules.dockerfile.build import read
from hardening.rules.options import Options
from restoreproof.errors import Inconclusive
from tests.harness.engine import Engine
from tests.harness.profiles import profile

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

COUNT = {"quick": (60, 60), "full": (200, 1000)}
WORKERS = 2

VALUES = ("0", "1000", "root", "app", "0:0", "app:app", "${A}", "$B", "${A:-x}", "${C:+y}", "'$A'")
# not ${B-1}: engines before 23 refuse it
MORE = ('"a$B"', "\\$A", "a${C}", "${A}:${B}", "${D:-${A:-7}}", "00", '""')


def dockerfile(dice: random.Random) -> str:
    """Stages on ``scratch`` and on each other, with every way to come by a user."""
    lines = [f"ARG {name}=g{name.lower()}" for name in "ABC" if dice.random() < 0.5]
    lines.append("ARG LOWER=s0")
    names: list[str] = []
    for number in range(dice.randint(1, 4)):
        base = dice.choice([*names, "scratch", "scratch", *(["${LOWER}"] if names else [])])
        lines.append(f"{dice.choice(['FROM', 'from'])} {base} AS s{number}")
        names.append(f"s{number}")
        lines.append("LABEL a=b")  # a stage of nothing at all is refused
        for _ in range(dice.randint(0, 6)):
            name, value = dice.choice("ABCD"), dice.choice(VALUES + MORE)
            lines += dice.choice(
                [
                    [f"USER {value if value != chr(34) * 2 else 'app'}"],
                    [f"USER {dice.choice(VALUES)}"],
                    [f"ENV {name}={value}"],
                    [f"ENV {name} {value}"],
                    [f"ENV {name}={value} D=$A"],
                    [f"ARG {name}"],
                    [f"ARG {name}={value}"],
                    ["ONBUILD USER t$A"],
                    ["ONBUILD ENV A=triggered"],
                    ["# comment", "USER \\", "# between", f"  u{number}"],
                ]
            )
    return "\n".join([*lines, "LABEL end=here", ""])


def test_the_user_in_force_is_the_one_in_the_built_image(engine: Engine) -> None:
    dice = random.Random(20_10)
    files = [dockerfile(dice) for _ in range(COUNT[profile()][0])]

    def compare(numbered: tuple[int, str]) -> str | None:
        number, text = numbered
        built = engine.docker("build", "-t", f"user-{number}", "-", stdin=text.encode())
        user = read(text.encode(), Options()).user()
        assert user is not None
        if built.returncode != 0:
            return f"{text}\nthe builder refused: {built.stderr.decode()[-300:]}"
        name = f"user-{number}"
        shown = engine.docker("image", "inspect", "-f", "{{.Config.User}}", name).stdout.decode()
        if shown.removesuffix("\n") == user.text:
            return None
        return f"{text}\nbuilt with {shown!r}, and we say {user.text!r}"

    with ThreadPoolExecutor(WORKERS) as workers:
        wrong = [said for said in workers.map(compare, enumerate(files)) if said]
    assert not wrong, f"{len(wrong)} of {len(files)}: {min(wrong, key=len)}"


PARTS = ("a", "b", "ab", "a.b", ".a", "*", "a*", "*b", "?", "[ab]", "[^a]", "**", "\\.a", "c d")
LEAVES = (".env", "x.key", "id_rsa", "*.key", ".e*", "*", "**", "id_*")


def pattern(dice: random.Random) -> str:
    """One line of an ignore file; at most four wildcards, as our bound has it."""
    while True:
        parts = [dice.choice(PARTS) for _ in range(dice.randint(0, 2))]
        parts += [dice.choice(LEAVES)] if dice.random() < 0.6 or not parts else []
        text = "/".join(parts)
        if dice.random() < 0.1:
            text = text.replace("/", dice.choice(["//", "/./", "/x/../"]), 1)
        text = dice.choice(["", "", "", "/", "./"]) + text + dice.choice(["", "", "", "/", "/**"])
        text = dice.choice(["", "", "!", "!", "! "]) + text
        text = dice.choice(["", "", "", " ", "#"]) + text + dice.choice(["", "", " ", "\r"])
        if text.count("*") <= 4:
            return text


def context(folder: Path, dice: random.Random) -> None:
    """A tree in which every file is sensitive, so that the rule names all that is taken in."""
    for _ in range(40):
        parts = [
            dice.choice(("a", "b", "ab", "a.b", ".a", "c d")) for _ in range(dice.randint(0, 3))
        ]
        path = folder.joinpath(*parts, dice.choice((".env", "x.key", "id_rsa")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")


def test_the_builder_takes_in_what_we_say_it_takes_in(engine: Engine, tmp_path: Path) -> None:
    dice = random.Random(1_000)
    text = "FROM scratch\nCOPY . /\n"
    build = read(text.encode(), Options())
    cases = []
    for number in range(COUNT[profile()][1]):
        folder = tmp_path / str(number)
        folder.mkdir()
        context(folder, dice)
        lines = [pattern(dice) for _ in range(dice.randint(1, 6))]
        ignore = dice.choice(["", "\ufeff"]) + "\n".join(lines)
        (folder / ".dockerignore").write_text(ignore)
        cases.append((folder, ignore))

    def compare(case: tuple[Path, str]) -> str | None:
        folder, ignore = case
        try:
            taken = engine.files(text, folder)
        except AssertionError as refused:
            sent = None if "error" in str(refused).lower() else {str(refused)}
        else:
            sent = {name for name, member in taken.items() if member.isfile()} - {".dockerignore"}
        try:
            found = judge(build, folder / "Dockerfile", folder, folder)
            said = {one.evidence for one in found if one.rule == "RP-X001"}
        except Inconclusive:
            said = None
        if said is None or sent is None:
            return None if said is None else f"{ignore!r}\nonly the builder refuses it"
        # never less than the builder; an engine before 23 does not look into some excluded folders
        # for what a pattern with wildcards takes back, which later ones do
        unseen, more = sent - said, said - sent
        if unseen or (more and "!" not in ignore):
            return f"{ignore!r}\nonly the builder: {unseen}\nonly we: {more}"
        return None

    with ThreadPoolExecutor(WORKERS) as workers:
        wrong = [said for said in workers.map(compare, cases) if said]
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong[:3]}"
