"""Locales of the tests' own, whatever the machine has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

MONETARY = "xx_XX"
"""Amounts of money as nobody has them."""

OTHER = "yy_YY.UTF-8"
_EVERYWHERE = Path("/usr/lib/locale/C.utf8")

_SOURCE = """
comment_char %
escape_char /
LC_MONETARY
int_curr_symbol "EUR "
currency_symbol "E"
mon_decimal_point ","
mon_thousands_sep "."
mon_grouping 3;3
positive_sign ""
negative_sign "-"
int_frac_digits 3
frac_digits 3
p_cs_precedes 0
p_sep_by_space 1
n_cs_precedes 0
n_sep_by_space 1
p_sign_posn 1
n_sign_posn 1
END LC_MONETARY
"""


def make_monetary_locale(folder: Path) -> None:
    """Make :data:`MONETARY` in a folder for ``LOCPATH``: 1.234,567 E, with three decimals."""
    source = folder / "source"
    source.write_text(_SOURCE)
    # ends with 1, since the other categories are missing
    done = subprocess.run(
        ["localedef", "--force", "-i", str(source), str(folder / MONETARY)],
        capture_output=True,
        check=False,
    )
    if not (folder / MONETARY / "LC_MONETARY").exists():
        pytest.fail(f"localedef: {done.stderr.decode(errors='replace')}")


def make_other_locale(folder: Path) -> None:
    """Make :data:`OTHER` in a folder for ``LOCPATH``: one that no other machine has."""
    assert _EVERYWHERE.is_dir()
    (folder / OTHER).symlink_to(_EVERYWHERE)
