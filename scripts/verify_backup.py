#!/usr/bin/env python3
"""Is this backup good? For a cron line: one line a rung, and an exit code.

    .venv/bin/python scripts/verify_backup.py /backups/orders.dump --max-age-hours 26
    .venv/bin/python scripts/verify_backup.py --config restoreproof.toml

PATH is a file, a folder or a pattern; of several backups the newest complete one is judged. It is
read wholly and restored into a disposable server. Alert channels are those of the configuration
(--config, else RESTOREPROOF_CONFIG, else restoreproof.toml upwards).

exit codes: 0 good, 1 bad, 2 could not judge, 3 wrong call or configuration, 5 something cannot be
reached, 6 no space, 7 a bug, 130 interrupted
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / "backup_lib").is_dir() and str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # a checkout runs its own packages

if TYPE_CHECKING:
    from backup_lib.model import SetVerification
    from restoreproof.tasking import Run

_NAME = "verify_backup"


class _Wrong(Exception):
    """What is wrong with the arguments; told as every other error is."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Wrong(message)


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").partition("exit codes:")
    parser = _Parser(
        prog=f"{_NAME}.py",
        description=description,
        epilog=f"exit codes:{epilog}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("path", nargs="?", help="the backup")
    parser.add_argument("--type", help="what it has to be, such as postgres or valkey-rdb")
    parser.add_argument("--max-age-hours", type=float, metavar="H", help="how old it may be")
    parser.add_argument("--min-bytes", type=int, metavar="N", help="how small it may be")
    parser.add_argument("--depth", help="integrity, or restore (the default)")
    parser.add_argument("--config", metavar="FILE", help="without PATH: verify all its sets")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    return parser


def _verify(arguments: argparse.Namespace, run: Run) -> tuple[SetVerification, ...]:
    from backup_lib import BackupVerifier
    from restoreproof.errors import UsageError

    verifier = BackupVerifier(arguments.config, emit=run.emit, cancel=run.cancel)
    demanded = {
        key: value
        for key in ("type", "max_age_hours", "min_bytes")
        if (value := getattr(arguments, key)) is not None
    }
    if arguments.path is not None:
        verifier.verify_all({"path": arguments.path, **demanded}, depth=arguments.depth)
    elif arguments.config is None:
        raise UsageError("which backup?", hint=f"{_NAME}.py PATH, or --config FILE; see --help")
    elif demanded:
        option = next(iter(demanded)).replace("_", "-")
        raise UsageError(
            f"--{option} is about a PATH, and there is none",
            hint="what is demanded of sets stands in the configuration",
        )
    else:
        verifier.verify_all(depth=arguments.depth)
    return verifier.results


def main(argv: list[str] | None = None) -> int:
    """Judge what the arguments name.

    Returns:
        the exit code; everything has been printed.
    """
    try:
        from invoke.exceptions import Exit

        from backup_lib.reports.verification import render_verifications
        from restoreproof.errors import UsageError
        from restoreproof.tasking import execute
    except ImportError as error:
        sys.stderr.write(
            f"error: the library {error.name} is not installed for {sys.executable}\n"
            f"hint: run it with {ROOT}/.venv/bin/python, which ./inv --list makes\n"
        )
        return 3
    words = sys.argv[1:] if argv is None else argv

    def call(run: Run) -> tuple[SetVerification, ...]:
        if isinstance(parsed, _Wrong):
            raise UsageError(str(parsed), hint=f"{_NAME}.py --help")
        return _verify(parsed, run)

    parsed: argparse.Namespace | _Wrong
    try:
        parsed = _parser().parse_args(words)
    except _Wrong as wrong:
        parsed = wrong
    try:
        execute(_NAME, call, render=render_verifications, json="--json" in words, quiet=True)
    except Exit as ended:
        return int(ended.code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
