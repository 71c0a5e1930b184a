"""How long Valkey keeps others waiting while it is backed up, beside its own BGSAVE."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Sample, Variant, command, in_turns, ratios
from benchmarks.outcome import Outcome, Target, Way
from benchmarks.pinging import longest_while
from benchmarks.scenario import Bench
from restoreproof.process import clean_env
from tests.harness.valkey import ValkeyServer

MEGABYTES = {"quick": 50, "full": 500}
"""MiB of values, by profile."""
LIMIT = 1.1
"""What still counts as no longer: both scatter from run to run."""
PING, FORK = "longest PING, ms", "fork, ms"
IDLE, BGSAVE, WITHOUT, WITH = "idle", "BGSAVE", "without fingerprint", "with fingerprint"
COMMANDS = {
    IDLE: "`sleep 2`: what the machine itself makes others wait",
    BGSAVE: "`BGSAVE`, until it is done",
    WITHOUT: "`inv backup.run`, `fingerprint = false`",
    WITH: "`inv backup.run`",
}

_SETS = {WITHOUT: "plain", WITH: "proven"}
_VALUE = 1 << 10
_BATCH = 1000
_CONFIGURATION = """\
[set.plain]
stores = ["without"]
destination = "disk"
rpo = "24h"

[set.proven]
stores = ["with"]
destination = "disk"
rpo = "24h"

[store.without]
kind = "valkey"
url = "unix://{socket}"
fingerprint = false

[store.with]
kind = "valkey"
url = "unix://{socket}"

[destination.disk]
kind = "local"
path = "backups"
"""
_BGSAVE = """\
import sys, time, valkey
with valkey.Valkey(unix_socket_path=sys.argv[1]) as client:
    client.bgsave()
    while (said := client.info("persistence"))["rdb_bgsave_in_progress"]:
        time.sleep(0.2)
sys.exit(said["rdb_last_bgsave_status"] != "ok")
"""


def measure(bench: Bench) -> Outcome:
    size = MEGABYTES[bench.profile.name] << 20
    with TemporaryDirectory(prefix="bench-", dir=bench.folder) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the sandbox's own user has to pass through
        server = ValkeyServer(folder)
        try:
            keys = _fill(server, size)
            text = _CONFIGURATION.format(socket=server.socket)
            (folder / "restoreproof.toml").write_text(text, encoding="utf-8")
            taken = in_turns(_variants(server, folder), bench.profile.rounds)
        finally:
            server.stop()
    own = taken[BGSAVE]
    return Outcome(
        name="valkey-blocked",
        title="Valkey: others wait",
        data=f"{size / 2**20:,.0f} MiB in {keys:,} keys",
        ways=tuple(Way(way, COMMANDS[way], tuple(runs)) for way, runs in taken.items()),
        targets=tuple(
            Target(f"{way} to BGSAVE, {what}", LIMIT, ratios(taken[way], own, _note(what)))
            for way in (WITHOUT, WITH)
            for what in (PING, FORK)
        ),
    )


def _variants(server: ValkeyServer, folder: Path) -> list[Variant]:
    def inv(*arguments: str) -> Sample:
        config = str(folder / "restoreproof.toml")
        return command(
            [sys.executable, "-m", "restoreproof_cli.main", *arguments, "--config", config],
            servers=[server.pid],
            env={**clean_env(), "TMPDIR": str(folder)},
        )

    def backup(way: str) -> Sample:
        kept = folder / "backups" / _SETS[way]
        if kept.exists():
            shutil.rmtree(kept)
        return inv("backup.run", "--set", _SETS[way], "--quiet")

    (folder / "backups").mkdir(mode=0o700)
    inv("backup.keys", "--make")

    works: dict[str, Callable[[], Sample]] = {
        IDLE: lambda: command(["sleep", "2"], servers=[server.pid]),
        BGSAVE: lambda: command(
            [sys.executable, "-c", _BGSAVE, server.socket], servers=[server.pid]
        ),
        WITHOUT: lambda: backup(WITHOUT),
        WITH: lambda: backup(WITH),
    }
    return [Variant(way, _watched(server, work)) for way, work in works.items()]


def _watched(server: ValkeyServer, work: Callable[[], Sample]) -> Callable[[], Sample]:
    """The same, with what other clients saw of it; forks are counted, so that none is stale."""

    def run() -> Sample:
        forks = _forks(server)[0]
        samples: list[Sample] = []
        longest = longest_while(server.socket, lambda: samples.append(work()))
        now, microseconds = _forks(server)
        notes = {PING: longest * 1000}
        if now > forks:
            notes[FORK] = microseconds / 1000
        return replace(samples[0], notes=notes)

    return run


def _forks(server: ValkeyServer) -> tuple[int, int]:
    """How often it forked, and how many microseconds the last time took."""
    with server.client() as client:
        said = client.info("stats")
    return int(said["total_forks"]), int(said["latest_fork_usec"])


def _note(what: str) -> Callable[[Sample], float]:
    return lambda sample: sample.notes[what]


def _fill(server: ValkeyServer, size: int) -> int:
    """Random values of 1 KiB, every second one with a time of expiry; returns their number."""
    rng = random.Random(1)
    keys = size // _VALUE
    with server.client() as client:
        for first in range(0, keys, _BATCH):
            with client.pipeline(transaction=False) as pipe:
                for n in range(first, min(first + _BATCH, keys)):
                    pipe.set(f"key:{n}", rng.randbytes(_VALUE), ex=86_400 if n % 2 else None)
                pipe.execute()
    return keys
