"""A secret: a value that shows itself only where it is asked for by name."""

from __future__ import annotations


class Secret:
    """Holds a value that appears in no repr, str, format, pickle or comparison output."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

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
