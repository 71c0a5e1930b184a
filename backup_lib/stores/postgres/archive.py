"""The table of contents of a dump, and what of it belongs to some tables."""

from __future__ import annotations

import difflib
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from restoreproof.errors import UsageError

_LINE = re.compile(r"^(\d+); \d+ (\d+) (.*)$")
_DEPENDS = re.compile(r"^;\s+depends on: ([\d ]+)$")

_RELATIONS = ("MATERIALIZED VIEW", "FOREIGN TABLE", "TABLE", "VIEW", "SEQUENCE")

# what belongs to a relation and comes with it; foreign keys do not: they need the other table
_ATTACHED = (
    "MATERIALIZED VIEW DATA",
    "TABLE DATA",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SEQUENCE",
    "DEFAULT",
    "CHECK CONSTRAINT",
    "CONSTRAINT",
    "INDEX ATTACH",
    "INDEX",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "COMMENT",
    "ACL",
    "SECURITY LABEL",
    "STATISTICS",
)
_DATA = ("TABLE DATA", "MATERIALIZED VIEW DATA", "SEQUENCE SET", "BLOBS", "BLOB DATA")
_ALWAYS = ("ENCODING", "STDSTRINGS", "SEARCHPATH")
_SECTION = re.compile(rb"-- Name: .*; Type: ([^;]*);")
_TOKEN = re.compile(
    rb"E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|^(?:--|\\).*\n?|.|\n", re.MULTILINE
)
"""A quoted text or name as a whole, a line that is a comment or a command of psql, or one byte.

What is quoted comes from the database, and may look like anything: a comment on it can hold lines
that begin as a section does, or as a command.
"""

_LONG_TOKEN = re.compile(rb"[^'\"\n;E\\-]+|" + _TOKEN.pattern, re.MULTILINE)
"""The same, with bytes that begin nothing taken together."""

_NAMED_DATABASE = re.compile(
    rb"\bDATABASE (?:\"(?:[^\"]|\"\")*\"|[a-z0-9_]+)(?=[ ;])|" + _TOKEN.pattern, re.MULTILINE
)

_PROPERTY_SECTIONS = (b"DATABASE PROPERTIES", b"ACL", b"COMMENT")
_DATABASE = ("DATABASE PROPERTIES", "ACL - DATABASE ", "COMMENT - DATABASE ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table of contents.

    Attributes:
        dump_id: its number in the archive.
        text: kind, schema, name and owner, separated by single spaces and quoted by nothing.
        depends: numbers of the entries it needs.
        oid: what the object had at the source, and rows those of their table; 0 for none.
    """

    dump_id: int
    text: str
    depends: tuple[int, ...]
    oid: int = 0

    def is_a(self, kinds: Sequence[str]) -> bool:
        """Whether it is of one of those kinds. Longer kinds stand before those they begin with."""
        return any(self.text.startswith(f"{kind} ") for kind in kinds)


def is_tar(path: Path) -> bool:
    """Whether a file is an archive in tar format, which is read by one job only."""
    return path.is_file() and tarfile.is_tarfile(path)


def contents(listing: str) -> tuple[Entry, ...]:
    """Read what ``pg_restore --list --verbose`` printed."""
    found: list[Entry] = []
    for line in listing.splitlines():
        if match := _LINE.match(line):
            found.append(Entry(int(match[1]), match[3], (), int(match[2])))
        elif (match := _DEPENDS.match(line)) and found:
            last = found[-1]
            depends = tuple(int(number) for number in match[1].split())
            found[-1] = replace(last, depends=depends)
    return tuple(found)


def database_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Settings, grants and comment of the database itself; shown only with ``--create``."""
    return [entry for entry in entries if entry.text.startswith(_DATABASE)]


def properties_in(script: bytes) -> bytes:
    """The sections of a script made with ``--create`` that neither make nor enter a database."""
    found: list[bytes] = []
    wanted = False
    for token in _TOKEN.finditer(script):
        text = token[0]
        if section := _SECTION.match(text):
            wanted = section[1] in _PROPERTY_SECTIONS
        elif text.startswith(b"\\"):
            wanted = False
        elif wanted:
            found.append(text)
    return b"".join(found)


def about_database(script: bytes, name: str) -> bytes:
    """A script of :func:`properties_in`, made to speak of a database of another name."""
    new = b"DATABASE " + _in_quotes(name).encode()
    return _NAMED_DATABASE.sub(
        lambda found: new if found[0].startswith(b"DATABASE ") else found[0], script
    )


def statements(script: bytes) -> Iterator[bytes]:
    """The statements of a script, each with its line break; what lies between them by itself.

    Put together again they are the script, byte for byte.
    """
    held = bytearray()
    for token in _LONG_TOKEN.finditer(script):
        text = token[0]
        if len(text) > 1 and text.startswith((b"--", b"\\")):
            if held:
                yield bytes(held)
                held.clear()
            yield text
            continue
        held += text
        if text == b"\n" and bytes(held[-2:]) in {b"\n", b";\n"}:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def without_refresh(entries: Iterable[Entry]) -> list[Entry]:
    """All but what computes materialized views."""
    return [entry for entry in entries if not entry.is_a(("MATERIALIZED VIEW DATA",))]


def list_file(entries: Iterable[Entry]) -> str:
    """What ``pg_restore --use-list`` reads."""
    return "".join(f"{entry.dump_id};\n" for entry in entries)


def parts(entries: Sequence[Entry], names: Sequence[str], owners: Sequence[str]) -> list[Entry]:
    """What to restore for some tables: they, what hangs on them, and what they stand on.

    Args:
        entries: the whole table of contents.
        names: each ``table``, ``schema.table``, or the same with SQL's double quotes.
        owners: roles that own something, which tell where a name ends.

    Raises:
        UsageError: no such table, or several.
    """
    relations = dict(_relations(entries, owners))
    chosen = {_find(relations, name) for name in names}
    by_id = {entry.dump_id: entry for entry in entries}
    chosen |= _partitions(entries, relations, chosen)
    _add_attached(entries, chosen)
    wanted = _with_prerequisites(by_id, chosen)
    schemas = {relations[dump_id][0] for dump_id in wanted if dump_id in relations}
    return [
        entry
        for entry in entries
        if entry.dump_id in wanted
        or entry.text.startswith(_ALWAYS)
        or any(entry.text.startswith(f"SCHEMA - {schema} ") for schema in schemas)
    ]


def _relations(
    entries: Iterable[Entry], owners: Sequence[str]
) -> Iterator[tuple[int, tuple[str, str]]]:
    """Number, schema and name of each relation."""
    entries = tuple(entries)
    schemas = [
        _without_owner(entry.text.removeprefix("SCHEMA - "), owners)
        for entry in entries
        if entry.text.startswith("SCHEMA - ")
    ]
    longest_first = sorted({*schemas, "public"}, key=len, reverse=True)
    for entry in entries:
        kind = next((kind for kind in _RELATIONS if entry.text.startswith(f"{kind} ")), None)
        if kind is None or entry.is_a(_DATA) or entry.is_a(("TABLE ATTACH", "SEQUENCE OWNED BY")):
            continue
        rest = _without_owner(entry.text.removeprefix(f"{kind} "), owners)
        schema = next((name for name in longest_first if rest.startswith(f"{name} ")), None)
        if schema is not None:
            yield entry.dump_id, (schema, rest.removeprefix(f"{schema} "))


def _without_owner(text: str, owners: Sequence[str]) -> str:
    for owner in sorted(owners, key=len, reverse=True):
        if text.endswith(f" {owner}"):
            return text.removesuffix(f" {owner}")
    return text.rpartition(" ")[0]


def _find(relations: dict[int, tuple[str, str]], name: str) -> int:
    wanted = _readings(name)
    found = [
        dump_id
        for dump_id, (schema, table) in relations.items()
        if (schema, table) in wanted or (None, table) in wanted
    ]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(sorted(_quoted(*relations[dump_id]) for dump_id in found))
        raise UsageError(
            f"several tables in the backup are called {name}: {several}",
            hint="write it with its schema, and with double quotes where a part holds a dot",
        )
    known = [_quoted(*names) for names in relations.values()]
    near = difflib.get_close_matches(name, [*known, *(n for _, n in relations.values())], n=3)
    raise UsageError(
        f"there is no table {name} in the backup",
        hint=f"did you mean {' or '.join(near)}?" if near else "backup.show lists the tables",
    )


def _readings(name: str) -> set[tuple[str | None, str]]:
    """What a written name may mean."""
    readings: set[tuple[str | None, str]] = {(None, name)}
    part = r'"(?:[^"]|"")+"'
    if match := re.fullmatch(rf"(?:({part}|[^.\"]+)\.)?({part}|[^\"]+)", name):
        schema = _unquoted(match[1]) if match[1] else None
        readings.add((schema, _unquoted(match[2])))
    return readings


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _quoted(*parts: str) -> str:
    return ".".join(
        part if re.fullmatch(r"[a-z_][a-z0-9_]*", part) else _in_quotes(part) for part in parts
    )


def _in_quotes(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _partitions(
    entries: Sequence[Entry], relations: dict[int, tuple[str, str]], chosen: set[int]
) -> set[int]:
    """The partitions of the chosen tables, and theirs; with the entries that attach them."""
    added: set[int] = set()
    grown = True
    while grown:
        grown = False
        for entry in entries:
            if not entry.is_a(("TABLE ATTACH",)) or entry.dump_id in added:
                continue
            related = [number for number in entry.depends if number in relations]
            children = [
                number
                for number in related
                if entry.text.startswith(f"TABLE ATTACH {' '.join(relations[number])} ")
            ]
            if any(n in chosen | added for n in related if n not in children):
                added |= {entry.dump_id, *children}
                grown = True
    return added


def _add_attached(entries: Sequence[Entry], chosen: set[int]) -> None:
    grown = True
    while grown:
        more = {
            entry.dump_id
            for entry in entries
            if entry.dump_id not in chosen
            and entry.is_a(_ATTACHED)
            and any(number in chosen for number in entry.depends)
        }
        grown = bool(more)
        chosen |= more


def _with_prerequisites(by_id: dict[int, Entry], chosen: set[int]) -> set[int]:
    wanted = set(chosen)
    open_ends = list(chosen)
    while open_ends:
        for number in by_id[open_ends.pop()].depends:
            if number in by_id and number not in wanted and not by_id[number].is_a(_DATA):
                wanted.add(number)
                open_ends.append(number)
    return wanted
