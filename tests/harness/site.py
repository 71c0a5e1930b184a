"""A configured site over a real PostgreSQL database, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backup_lib.services.keys import make_key
from backup_lib.services.site import Site
from restoreproof.clock import SYSTEM_CLOCK, Clock
from tests.harness.postgres import PostgresServer

MakeSite = Callable[..., Site]

CONFIGURATION = """\
[set.nightly]
stores = ["orders"]
destination = "disk"
rpo = "24h"
{set_options}

[store.orders]
kind = "postgres"
dsn = {{ file = "orders.dsn" }}
{store_options}

[destination.disk]
kind = "local"
path = "backups"
{tables}
"""


@pytest.fixture
def make_site(postgres: PostgresServer, tmp_path: Path) -> MakeSite:
    """Make a site whose store ``orders`` is a new database with a table ``orders``."""

    def make(
        *,
        rows: int = 1000,
        set_options: str = "",
        store_options: str = "",
        tables: str = "",
        clock: Clock = SYSTEM_CLOCK,
        folder: Path | None = None,
    ) -> Site:
        folder = folder or tmp_path
        dsn = postgres.create_database()
        with postgres.connect(_database(dsn)) as connection:
            connection.execute("create table orders (id bigint primary key, item text not null)")
            connection.execute(
                "insert into orders select n, 'item ' || n from generate_series(1, %s) n", (rows,)
            )
        (folder / "orders.dsn").write_text(dsn)
        (folder / "orders.dsn").chmod(0o600)
        (folder / "backups").mkdir(mode=0o700)
        path = folder / "restoreproof.toml"
        path.write_text(
            CONFIGURATION.format(
                set_options=set_options, store_options=store_options, tables=tables
            )
        )
        make_key(Site.open(path, clock=clock))
        return Site.open(path, clock=clock)

    return make


def database_of(site: Site) -> str:
    """The name of the database behind the store ``orders``."""
    return _database((site.config.base / "orders.dsn").read_text())


def _database(dsn: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(dsn)["dbname"])
