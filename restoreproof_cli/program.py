"""Our Invoke program: its own exit codes, one sentence for every error, no traceback.

Invoke ends with 1 on a usage error and on Ctrl-C, and shows a traceback for everything it does not
know; here these are 3, 130 and 7 (see :mod:`restoreproof.exit_codes`).
"""

from __future__ import annotations

import ast
import io
import os
import re
import signal
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from typing import NoReturn

from invoke.collection import Collection
from invoke.completion.complete import print_completion_script
from invoke.exceptions import Exit, ParseError, UnexpectedExit
from invoke.parser.argument import Argument
from invoke.program import Program

from restoreproof.errors import RestoreproofError, UsageError
from restoreproof.exit_codes import ExitCode
from restoreproof.kinds import did_you_mean
from restoreproof.tasking import as_ours, hush, print_text

_CONFIG = "RESTOREPROOF_CONFIG"
_DEBUG = "RESTOREPROOF_DEBUG"

_KEPT = frozenset(
    {
        "complete",
        "help",
        "list",
        "list-depth",
        "list-format",
        "print-completion-script",
        "version",
    }
)
"""Invoke's own options that mean something here. The others steer ``Context.run``, which no task
uses: a ``--dry`` that does nothing would be a trap."""

_UNKNOWN = re.compile(r"No idea what (?P<token>'.*'|\".*\") is!", re.DOTALL)
_MISSING = re.compile(
    r"'(?P<task>[^']*)' did not receive required positional arguments: (?P<names>.*)"
)
_NO_VALUE = re.compile(r"Flag <Argument: (?P<name>[^ >]+).*> needed value and was not given one!")


class RestoreproofProgram(Program):
    """Runs the tasks of one namespace."""

    def __init__(self, namespace: Collection) -> None:
        super().__init__(
            namespace=namespace,
            name="restoreproof",
            binary="restoreproof",
            binary_names=["restoreproof", "inv"],
        )

    def core_args(self) -> list[Argument]:
        kept = [argument for argument in super().core_args() if argument.name in _KEPT]
        return [
            *kept,
            Argument(names=("config", "c"), help=f"The configuration file; sets {_CONFIG}."),
            Argument(
                names=("debug", "d"),
                kind=bool,
                default=False,
                help="Show a crash's traceback.",
            ),
            # Invoke leaves byte code unwritten by default, which makes every start a slow one
            Argument(names=("write-pyc",), kind=bool, default=True, help="Keep byte code."),
        ]

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002 - Invoke's
        """Run ``argv`` (``sys.argv`` by default) and exit.

        With ``exit=False`` an exit code other than 0 is raised as Invoke's ``Exit`` instead.
        """
        code = self._run(argv)
        if exit:
            # decided: while the interpreter winds up, Ctrl-C would replace the exit code
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = self._flush(code)
        if exit:
            sys.exit(int(code))
        if code:
            raise Exit(code=int(code))

    def _run(self, argv: list[str] | None) -> int:
        try:
            try:
                self._parse(argv)
            except ParseError as error:
                raise self._explained(error) from None
            except ValueError as error:  # an argument that is no number
                raise UsageError(str(error), hint=self._help_hint()) from None
            except Exit as ended:
                if ended.message:  # such as --list of an unknown collection
                    raise UsageError(ended.message, hint="restoreproof --list") from None
                return int(ended.code)
            try:
                self.execute()
            except Exit as ended:
                if ended.message:
                    print_text(ended.message, sys.stderr)
                return int(ended.code)
            except UnexpectedExit as failed:  # of a task that is not ours
                return int(failed.result.exited)
        except BrokenPipeError:
            hush(sys.stdout)
            return ExitCode.OK
        except BaseException as error:  # noqa: BLE001 - the outermost: everything ends with a code
            return self._fail(as_ours(error))
        return ExitCode.OK

    def _parse(self, argv: list[str] | None) -> None:
        self.create_config()
        self.parse_core(argv)
        self.parse_collection()
        self.parse_tasks()
        self.parse_cleanup()
        self.update_config()

    def parse_core_args(self) -> None:
        super().parse_core_args()
        # not Invoke's --debug, which logs its parser
        debug = self.args["debug"]
        if debug.value:
            os.environ[_DEBUG] = "1"
            debug.value = False
        shell = self.args["print-completion-script"].value
        if shell:
            print_text(self._completion(shell))
            raise Exit

    def update_config(self, merge: bool = True) -> None:
        """Take over our own core options; nothing of Invoke's run configuration is offered."""
        if self.args["debug"].value:
            os.environ[_DEBUG] = "1"
        if self.args["config"].value:
            os.environ[_CONFIG] = self.args["config"].value
        if merge:
            self.config.merge()

    def _completion(self, shell: str) -> str:
        """Invoke's script; for bash it asks the program that is completed.

        Invoke's own asks ``restoreproof``, which only an installation has on its PATH. ``./inv`` of
        a checkout is completed too.
        """
        with redirect_stdout(io.StringIO()) as printed:
            print_completion_script(shell, self.binary_names)
        script = printed.getvalue()
        if shell == "bash":
            words = "${COMP_WORDS[*]"
            script = script.replace(
                f"restoreproof --complete -- {words}}}",
                f'"${{COMP_WORDS[0]}}" --complete -- restoreproof {words}:1}}',
            )
        return script

    def print_version(self) -> None:
        from restoreproof.version import tool  # reads the installed metadata

        print_text(tool())

    def no_tasks_given(self) -> NoReturn:
        self.print_help()
        raise Exit

    def _explained(self, error: ParseError) -> UsageError:
        """Invoke's parse error as one sentence with a suggestion."""
        text = str(error)
        unknown = _UNKNOWN.fullmatch(text)
        if unknown:
            return self._unknown(str(ast.literal_eval(unknown["token"])), error)
        missing = _MISSING.fullmatch(text)
        if missing:
            names = missing["names"].replace("'", "")
            task = missing["task"]
            return UsageError(f"{task} needs: {names}", hint=f"restoreproof --help {task}")
        no_value = _NO_VALUE.fullmatch(text)
        if no_value:
            return UsageError(f"--{no_value['name']} needs a value", hint=self._help_hint(error))
        return UsageError(text, hint=self._help_hint(error))

    def _unknown(self, token: str, error: ParseError) -> UsageError:
        context = error.context
        if token.startswith("-"):
            of = context.name if context is not None and context.name else "restoreproof"
            own = list(context.flags) if context is not None else []
            known = own or list(self.initial_context.flags)
            suggestion = did_you_mean(token, [flag for flag in known if flag.startswith("--")])
            return UsageError(
                f"{of} has no option {token}", hint=suggestion or self._help_hint(error)
            )
        if context is not None and context.name:
            return UsageError(
                f'{context.name} does not know what to do with "{token}"',
                hint=self._suggested_task(token) or self._help_hint(error),
            )
        return UsageError(
            f'there is no task "{token}"', hint=self._suggested_task(token) or "restoreproof --list"
        )

    def _suggested_task(self, token: str) -> str:
        names: Iterable[str] = self.collection.task_names if hasattr(self, "collection") else ()
        return did_you_mean(token, names)

    def _help_hint(self, error: ParseError | None = None) -> str:
        context = error.context if error is not None else None
        of = f" {context.name}" if context is not None and context.name else ""
        return f"restoreproof --help{of}"

    def _fail(self, error: RestoreproofError) -> int:
        from restoreproof.reporters.errors import print_error

        if "--json" in self.argv:
            from restoreproof.reporters.document import error_text

            print_text(error_text("", error))
        print_error(error)
        return error.exit_code

    @staticmethod
    def _flush(code: int) -> int:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            hush(sys.stdout)
        return code
