"""How many random single-bit flips in plain files without a manifest are noticed at ``integrity``.

    python -m benchmarks.plain_file_detection --write docs/PROOF.md

takes good files of every kind, flips one random bit at a time (seeded), and writes the table.
``--add "Neo4j dump, real=neo4j.dump"`` measures a file of your own as well.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backup_lib.format.plain import neo4j
from backup_lib.format.plain.plain_stream import PlainStream
from backup_lib.services.plain_files import PlainKind, check_integrity, detect
from backup_lib.work import Work
from restoreproof.verdict import Verdict
from tests.harness.plain_specimens import SPECIMENS, sources

BEGIN, END = "<!-- plain files: begin -->", "<!-- plain files: end -->"
HARMLESS = "harmless"


@dataclass(frozen=True)
class Row:
    """What was measured of one kind."""

    name: str
    maker: str
    size: int
    flips: int
    outcomes: Counter[str]

    @property
    def noticed(self) -> float:
        """Share of the flips that changed content and did not pass."""
        harmful = self.flips - self.outcomes[HARMLESS]
        return 1 - self.outcomes[Verdict.PASSED.value] / harmful


def main() -> None:
    """Measure, print, and write the table where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--flips", type=int, default=400)
    parser.add_argument("--seed", type=int, default=20260301)
    parser.add_argument("--add", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, maker, path in specimens(Path(folder), options.add):
            rows.append(measured(name, maker, path, options.flips, options.seed))
            print(f"{name}: {rows[-1].noticed:.1%} {dict(rows[-1].outcomes)}", flush=True)
    text = table(rows, options.flips, options.seed)
    print(text)
    if options.write:
        before, _, rest = options.write.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        options.write.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def specimens(folder: Path, added: list[str]) -> Iterator[tuple[str, str, Path]]:
    """Name, maker and path of each, in a folder of its own."""
    with sources() as running:
        for number, (name, specimen) in enumerate(SPECIMENS.items()):
            own = folder / str(number)
            own.mkdir()
            yield name, specimen.maker, specimen.make(own, running)
    for number, given in enumerate(added):
        name, _, path = given.rpartition("=")
        own = folder / f"added{number}"
        own.mkdir()
        source = Path(path)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        yield name, "a real server", Path(copy(source, own / source.name))


def measured(name: str, maker: str, path: Path, flips: int, seed: int) -> Row:
    """Flip, judge, and put the bit back, so many times."""
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    sizes = [file.stat().st_size for file in files]
    kind = detect(path)
    good = check_integrity(path, kind, Work())
    if good.verdict is not Verdict.PASSED:
        raise SystemExit(f"{name} is no good file: {good.reason}")
    whole = content(path, kind)
    source = random.Random(f"{seed} {name}")
    outcomes: Counter[str] = Counter()
    for _ in range(flips):
        (file,) = source.choices(files, sizes)
        bit = source.randrange(file.stat().st_size * 8)
        flip(file, bit)
        # the kind is given: whoever checks a backup knows what it has to be
        verdict = check_integrity(path, kind, Work()).verdict
        same = verdict is Verdict.PASSED and whole is not None and content(path, kind) == whole
        outcomes[HARMLESS if same else verdict.value] += 1
        flip(file, bit)
    return Row(name, maker, sum(sizes), flips, outcomes)


def flip(file: Path, bit: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(bit // 8)
        octet = stream.read(1)[0]
        stream.seek(bit // 8)
        stream.write(bytes([octet ^ 1 << bit % 8]))


def content(path: Path, kind: PlainKind) -> bytes | None:
    """The plain bytes of a compressed file; None where that is not what it is."""
    if path.is_dir():
        return None
    data = path.read_bytes()
    stream = PlainStream([data[4:] if data[:4] in neo4j.MAGICS else data])
    if not stream.compression or kind is PlainKind.POSTGRES_CUSTOM:
        return None
    return b"".join(stream)


def table(rows: list[Row], flips: int, seed: int) -> str:
    """The table in Markdown."""
    command = "`python -m benchmarks.plain_file_detection`"
    lines = [
        f"{flips} random single-bit flips a kind, seed {seed}, by {command}:",
        "",
        "| kind | made by | bytes | failed | inconclusive | harmless | missed | noticed |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        failed, inconclusive, missed = (
            row.outcomes[verdict.value]
            for verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED)
        )
        lines.append(
            f"| {row.name} | {row.maker} | {row.size:,} | {failed} | {inconclusive} | "
            f"{row.outcomes[HARMLESS]} | {missed} | {row.noticed:.1%} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
