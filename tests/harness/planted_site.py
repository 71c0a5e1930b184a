"""A site that knows the secret: its commands, and everything that they write."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import zstandard

from tests.harness.fault_site import Done, FaultSite, finish
from tests.harness.planted import look, watching


def run_watched(site: FaultSite, environment: dict[str, str], *command: str) -> Done:
    """Run a command with everything that talks switched on, and look at all it shows."""
    running = site.start(
        *command, "--events", str(site.folder / "events"), RESTOREPROOF_DEBUG="1", **environment
    )
    with watching(running.pid):
        done = finish(running)
    found = [*look(done.out.encode(), "stdout"), *look(done.err.encode(), "stderr")]
    assert not found, (found, done)
    return done


def written(site: FaultSite) -> Iterator[tuple[str, bytes]]:
    """Every file of the site, as it lies there and with what is packed inside."""
    for path in site.folder.rglob("*"):
        if not path.is_file() or path.is_symlink() or path.name == "secret":
            continue
        data = path.read_bytes()
        yield str(path), data
        if path.name.endswith(".dsse.json"):
            yield f"{path}, its payload", base64.b64decode(json.loads(data)["payload"])
        if path.suffix == ".zst":
            plain = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
            yield f"{path}, unpacked", plain.read()


def check_files(site: FaultSite) -> None:
    """The secret is in no file of the site, its payloads and packed files included."""
    files = list(written(site))
    assert any(".dsse.json" in name for name, _ in files)
    assert any(name.endswith("/events") for name, _ in files)
    found = [hit for name, data in files for hit in look(data, name)]
    assert not found
