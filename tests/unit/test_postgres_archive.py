"""Scripts of PostgreSQL's tools, taken apart without being misled by what is quoted in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backup_lib.stores.postgres.archive import about_database, statements
from backup_lib.stores.postgres.properties import Properties

SCRIPT = rb"""--
-- d'or
--

\restrict token
SET x = 'on';

CREATE ROLE "a;
b";
COMMENT ON ROLE "a;
b" IS E'one\\
CREATE ROLE two;
-- it''s';
GRANT x TO y;
"""


def test_a_statement_ends_where_nothing_is_quoted() -> None:
    found = [text for text in statements(SCRIPT) if text.strip() and not text.startswith(b"--")]
    assert [text.split()[0] for text in found] == [
        b"\\restrict", b"SET", b"CREATE", b"COMMENT", b"GRANT",
    ]  # fmt: skip


def test_what_a_script_sets_of_a_database_is_named() -> None:
    script = rb"""--
-- Name: shop; Type: DATABASE PROPERTIES
--

ALTER DATABASE "a;b" SET work_mem TO '5MB';
ALTER DATABASE "a;b" SET "app.tenant" TO 'GRANT x';
ALTER ROLE clerk IN DATABASE "a;b" SET lc_time TO 'C';
ALTER DATABASE "a;b" CONNECTION LIMIT 7;
COMMENT ON DATABASE "a;b" IS 'ALTER DATABASE x SET y';
REVOKE CONNECT,TEMPORARY ON DATABASE "a;b" FROM PUBLIC;
GRANT CONNECT ON DATABASE "a;b" TO clerk;
"""
    assert Properties(script).named() == (
        "work_mem", "app.tenant", "lc_time of single roles", "other options", "its comment",
        "its grants",
    )  # fmt: skip
    assert Properties(b"").named() == ()


@given(st.text("-'\"\\;E\nab ").map(str.encode))
def test_put_together_again_it_is_the_script(script: bytes) -> None:
    assert b"".join(statements(script)) == script


def test_a_database_is_renamed_where_it_is_named_and_nowhere_else() -> None:
    script = (
        b"ALTER DATABASE shop SET a TO 'DATABASE shop ';\n"
        b"ALTER ROLE \"in DATABASE shop \" IN DATABASE shop SET b TO E'\\'DATABASE shop ';\n"
        b'COMMENT ON DATABASE "odd "" shop" IS \'x\';\n'
        b"GRANT CONNECT ON DATABASE shop TO y;\n"
    )
    assert about_database(script, 'n"ew').decode() == (
        'ALTER DATABASE "n""ew" SET a TO \'DATABASE shop \';\n'
        'ALTER ROLE "in DATABASE shop " IN DATABASE "n""ew" SET b TO E\'\\\'DATABASE shop \';\n'
        'COMMENT ON DATABASE "n""ew" IS \'x\';\n'
        'GRANT CONNECT ON DATABASE "n""ew" TO y;\n'
    )
