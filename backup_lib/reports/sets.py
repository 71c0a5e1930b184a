"""Backup sets drawn for the terminal: a run, a list, one set in full."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from backup_lib.model import Manifest, StoreRecord
from backup_lib.reports.marks import mark
from backup_lib.services.archive import Listing, PublishedSet
from backup_lib.services.reading import stored_size
from backup_lib.services.run import BackupRun
from restoreproof.quantities import readable_size
from restoreproof.reporters.text import plain
from restoreproof.verdict import Verdict


def render_run(run: BackupRun) -> RenderableType:
    """What a run published."""
    heading = Text.assemble(
        mark(Verdict.PASSED),
        " ",
        (plain(run.ref.set_name), "bold"),
        "  ",
        (run.ref.set_id, "cyan"),
        f"  sequence {run.manifest.sequence}, {readable_size(run.stored_bytes)} stored, "
        f"{run.seconds:.1f} s",
    )
    return Group(
        heading, *_skew(run.manifest), *(_store_lines(record) for record in run.manifest.stores)
    )


def _skew(manifest: Manifest) -> tuple[Text, ...]:
    """How far apart the moments of the stores are, where there are several."""
    if len(manifest.stores) < 2:
        return ()
    return (Text(f"  its stores are {manifest.skew_seconds:.1f} s apart"),)


def render_runs(runs: Sequence[BackupRun]) -> RenderableType:
    """Several runs, one below the other."""
    return Group(*(render_run(run) for run in runs))


def render_listings(listings: Sequence[tuple[str, Listing]]) -> RenderableType:
    """All sets of every name, newest first."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("set", "backup", "sequence", "started (UTC)", "stores", "stored", "state"):
        table.add_column(column, justify="right" if column in ("sequence", "stored") else "left")
    for name, listing in listings:
        for published in listing.published:
            manifest = published.manifest
            table.add_row(
                plain(name),
                published.ref.set_id,
                str(manifest.sequence),
                f"{manifest.started:%Y-%m-%d %H:%M:%S}",
                ", ".join(plain(record.name) for record in manifest.stores),
                readable_size(sum(stored_size(record) for record in manifest.stores)),
                Text("signed", "green"),
            )
        for unreadable in listing.unreadable:
            table.add_row(
                plain(name), plain(unreadable.ref.set_id), "", "", "", "",
                Text(plain(unreadable.reason), "red"),
            )  # fmt: skip
    if not table.rows:
        return Text("no backups yet: inv backup.run")
    return table


def render_set(published: PublishedSet) -> RenderableType:
    """One set in full."""
    manifest = published.manifest
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("set", manifest.set_name),
        ("backup", manifest.set_id),
        ("sequence", str(manifest.sequence)),
        ("started", f"{manifest.started:%Y-%m-%d %H:%M:%S} UTC"),
        ("finished", f"{manifest.finished:%Y-%m-%d %H:%M:%S} UTC"),
        ("signed by", published.key_id[:16]),
        ("written by", manifest.tool),
    ):
        facts.add_row(Text(name, "dim"), plain(value))
    return Group(facts, *(_store_lines(record, full=True) for record in manifest.stores))


def render_sets(sets: Sequence[PublishedSet]) -> RenderableType:
    """Several sets in full, one below the other."""
    return Group(*(render_set(published) for published in sets))


def _store_lines(record: StoreRecord, *, full: bool = False) -> RenderableType:
    backup = record.backup
    lines = [
        Text.assemble(
            "  ",
            (plain(record.name), "bold"),
            f" ({plain(record.kind)}) {plain(backup.server.product)} "
            f"{plain(backup.server.version)}, content of {backup.moment:%Y-%m-%d %H:%M:%S} UTC",
        )
    ]
    for artifact in record.artifacts:
        ratio = f", {artifact.plain_size / artifact.size:.1f} : 1" if artifact.size else ""
        lines.append(Text(f"      {plain(artifact.name)}  {readable_size(artifact.size)}{ratio}"))
    if backup.fingerprint:
        items = backup.fingerprint.items
        rows = sum(item.count or 0 for item in items)
        lines.append(
            Text(
                f"      fingerprint {plain(backup.fingerprint.method)} "
                f"({backup.fingerprint.consistency}): {len(items)} items, {rows} {_counted(record)}"
            )
        )
        if full:
            lines += [
                Text(
                    f"        {plain(item.kind)} {plain(item.name)}"
                    + (f"  {item.count} {_counted(record)}" if item.count is not None else ""),
                    "dim",
                )
                for item in items
            ]
    else:
        lines.append(
            Text("      no fingerprint: the content of this backup cannot be proven", "yellow")
        )
    for note in backup.notes:
        lines.append(Text(f"      note: {plain(note)}", "dim"))
    fingerprinted = backup.fingerprint.not_covered if backup.fingerprint else ()
    for item in dict.fromkeys((*backup.not_covered, *fingerprinted)):
        lines.append(
            Text(
                f"      not covered: {plain(item.kind)} {plain(item.name)}: {plain(item.reason)}",
                "dim",
            )
        )
    return Group(*lines)


def _counted(record: StoreRecord) -> str:
    return "rows" if record.kind == "postgres" else "entries"
