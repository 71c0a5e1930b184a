"""Every row of the truth table, executed through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from restoreproof.exit_codes import ExitCode
from tests.harness.fault_site import Done, FaultSite
from tests.harness.fault_stores import RIGS
from tests.harness.leaks import no_leftovers
from tests.harness.truth import ANY, Row, Scene, rows

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

ROWS = rows()


def identify(row: Row) -> str:
    return f"{row.task.removeprefix('backup.')}: {row.what}"


def check_rungs(row: Row, done: Done) -> None:
    """The verdict, and the first rung that did not pass by itself."""
    document = done.document
    assert document["verdict"] == row.verdict, done
    (result,) = document["result"]
    (store,) = result["stores"]
    rungs: list[dict[str, Any]] = [rung for rung in store["rungs"] if rung["reached"]]
    bad = [(rung["rung"], rung["verdict"]) for rung in rungs if rung["verdict"] != "passed"]
    expected = [] if row.rung is None else [(row.rung, row.verdict)]
    assert bad[:1] == expected, rungs
    assert all(rung["hint"] for rung in rungs if rung["verdict"] != "passed"), rungs


def cases() -> Iterator[object]:
    """Every row with every kind of store that it is about."""
    for row in ROWS:
        for kind in sorted(RIGS) if row.store == ANY else [row.store]:
            yield pytest.param(row, kind, id=f"{kind}: {identify(row)}")


@pytest.mark.parametrize(("row", "fault_site"), [*cases()], indirect=["fault_site"])
def test_row(row: Row, fault_site: FaultSite) -> None:
    with ExitStack() as stack:
        scene = Scene(fault_site, fault_site.back_up(), stack)
        row.injure(scene)
        content = fault_site.rig.content()
        with no_leftovers(patience=10):
            done = fault_site.run(
                row.task, "--set", "nightly", "--json", *row.options, *scene.command
            )
        assert done.code == row.code, done
        assert "Traceback" not in done.out + done.err
        if row.verdict is not None:
            check_rungs(row, done)
        elif row.code is not ExitCode.OK:
            error = done.document["error"]
            assert error["message"]
            assert error["hint"]
            assert row.code is not ExitCode.INTERNAL
        assert fault_site.rig.content() == content


def test_no_row_twice_and_enough_of_them() -> None:
    names = [(row.store, identify(row)) for row in ROWS]
    assert len(names) == len(set(names))
    assert sum(row.store == "postgres" for row in ROWS) >= 20
    assert sum(row.store == "valkey" for row in ROWS) >= 20
    assert sum(row.store == ANY for row in ROWS) >= 30
