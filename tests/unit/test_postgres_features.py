"""The vocabulary of what servers offer and backups need."""

from __future__ import annotations

import pytest

from backup_lib.stores.postgres import features


@pytest.mark.parametrize(
    ("spelled", "listed"),
    [
        ("de_DE.UTF-8", "de_DE.utf8"),
        ("de_DE.utf8", "de_DE.utf8"),
        ("C", "C"),
        ("C.UTF-8", "C.utf8"),
        ("de_DE@euro", "de_DE@euro"),
        ("de_DE.ISO-8859-15@euro", "de_DE.iso885915@euro"),
    ],
)
def test_a_libc_locale_is_named_as_the_system_lists_it(spelled: str, listed: str) -> None:
    assert features.libc_locale(spelled) == listed
    assert features.locale(spelled) == f"locale:{listed}"


@pytest.mark.parametrize(
    ("version", "major"),
    [("18.6", 18), ("15.18 (Debian 15.18-0+deb12u1)", 15), ("pg_dump (PostgreSQL) 17beta1", 17)],
)
def test_the_major_version_is_the_first_number(version: str, major: int) -> None:
    assert features.major(version) == major


def test_a_version_without_a_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="no version"):
        features.major("devel")
