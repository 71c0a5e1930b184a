"""A secret: a value that shows itself only where it is asked for by name.

In the configuration it is never a value but a reference, ``{ env = "NAME" }`` or
``{ file = "path" }``, which is resolved at the last moment.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restoreproof.errors import ConfigError
from restoreproof.events import Listener, Warned, silent
from restoreproof.redaction import redact

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
    from pydantic_core import CoreSchema

_LARGEST_FILE = 64 * 1024

_ENV_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
"""Anything else is more likely the secret itself, and its value would show as "not set"."""


class Secret:
    """Holds a value that appears in no repr, str, format, pickle or comparison output.

    Making one also makes its value known to :data:`restoreproof.redaction.redact`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        redact.know(value)

    def reveal(self) -> str:
        """The value itself. Call it at the last moment, and hand it on, never keep it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is to be found; exactly one of ``env`` and ``file`` is set.

    Attributes:
        env: name of an environment variable.
        file: path of a file, as written; relative to ``base``. One line end at its end is dropped.
        base: the folder of the configuration file; set when the configuration is read.
    """

    env: str | None = None
    file: str | None = None
    base: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.env) == bool(self.file):
            raise ValueError("a secret reference has either env or file")

    def as_json(self) -> dict[str, str]:
        """The reference (not the value) as it is written in the configuration."""
        return {"env": self.env} if self.env else {"file": self.file or ""}

    def resolve(self, base: Path | None = None, emit: Listener = silent) -> Secret:
        """Fetch the value now.

        Args:
            base: the folder that a relative ``file`` starts from; the reference's own by default.
            emit: told when everybody on this machine can read the file.

        Raises:
            ConfigError: the variable or file is missing, empty, or others could change the file.
        """
        if self.env:
            return _from_environment(self.env)
        folder = base or self.base or Path()
        return _from_file(folder / Path(self.file or "").expanduser(), emit)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(cls.as_json),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        def one(key: str, what: str) -> dict[str, Any]:
            return {
                "type": "object",
                "properties": {key: {"type": "string", "minLength": 1, "description": what}},
                "required": [key],
                "additionalProperties": False,
            }

        return {
            "description": "A reference to a secret, never the secret itself.",
            "oneOf": [one("env", "environment variable"), one("file", "path of a file")],
        }

    @classmethod
    def _validate(cls, value: object, info: ValidationInfo) -> SecretRef:
        """Accept a reference; the error never repeats what was given instead of one."""
        from pydantic_core import PydanticCustomError

        if isinstance(value, SecretRef):
            return value
        if isinstance(value, str):
            raise PydanticCustomError(
                "secret_in_clear",
                "must be a reference to the secret, not the secret itself",
                {"hint": 'write { env = "NAME" } or { file = "path" }, and change the secret'},
            )
        if isinstance(value, Mapping) and len(value) == 1:
            ((key, where),) = value.items()
            named = isinstance(where, str) and (
                key == "file" or (key == "env" and _ENV_NAME.fullmatch(where))
            )
            if named and where.strip() and "\0" not in where:
                base = (info.context or {}).get("base")
                return cls(**{key: where}, base=base)
        raise PydanticCustomError(
            "secret_reference",
            "is not a reference to a secret",
            {"hint": 'write { env = "NAME" } or { file = "path" }'},
        )


def _from_environment(name: str) -> Secret:
    value = os.environ.get(name)
    if not value:
        state = "is not set" if value is None else "is empty"
        raise ConfigError(
            f"the environment variable {name} {state}",
            hint=f'the configuration refers to it as {{ env = "{name}" }}: set it for this run',
        )
    return Secret(value)


def _from_file(path: Path, emit: Listener) -> Secret:
    try:
        with open(path, "rb", opener=_without_waiting) as stream:
            facts = os.fstat(stream.fileno())
            _check_permissions(path, facts, emit)
            raw = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(
            f"the secret file {path} cannot be read: {error.strerror}",
            hint='the configuration refers to it as { file = "…" }: make it, readable by this user',
        ) from error
    if len(raw) > _LARGEST_FILE:
        raise ConfigError(
            f"the secret file {path} is larger than {_LARGEST_FILE // 1024} KiB",
            hint="name the file that holds nothing but the secret",
        )
    try:
        value = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        value = "\0"
    if "\0" in value:
        # `from None`: the decoding error holds the bytes
        raise ConfigError(
            f"the secret file {path} is not UTF-8 text", hint="store the secret as text"
        ) from None
    if not value:
        raise ConfigError(f"the secret file {path} is empty", hint="write the secret into it")
    return Secret(value)


def _without_waiting(path: str, flags: int) -> int:
    """Open even a FIFO at once, so that it is refused and not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_permissions(path: Path, facts: os.stat_result, emit: Listener) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise ConfigError(f"the secret file {path} is not a regular file", hint="name a file")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"the secret file {path} can be changed by others", hint=f"chmod 600 {path}"
        )
    if facts.st_mode & stat.S_IROTH:
        emit(
            Warned(f"the secret file {path} can be read by everybody", hint=f"chmod 600 {path}"),
        )
