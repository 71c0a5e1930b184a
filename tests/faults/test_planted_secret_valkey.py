"""A planted password of a Valkey server is nowhere, whatever of the server is backed up."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from restoreproof.exit_codes import ExitCode
from tests.harness.fault_site import FaultSite, make_fault_site
from tests.harness.fault_valkey import valkey_rig
from tests.harness.planted import SECRET
from tests.harness.planted_site import check_files, run_watched
from tests.harness.valkey import MakeValkeyServer, ValkeyServer
from tests.harness.valkey_content import command

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

USER = "planted"


@pytest.fixture
def server(make_valkey_server: MakeValkeyServer) -> ValkeyServer:
    return make_valkey_server("--appendonly", "yes")


@pytest.fixture
def site(server: ValkeyServer, short_folder: Path) -> FaultSite:
    site = make_fault_site(valkey_rig(server), short_folder)
    with server.client() as client:
        command(client, "ACL", "SETUSER", USER, "on", f">{SECRET}", "~*", "&*", "+@all")
    return site


def references(site: FaultSite, server: ValkeyServer, how: str, options: str) -> dict[str, str]:
    """Configure the store so that it refers to the secret; the environment for that."""
    (site.folder / "orders.url").unlink()
    secret = site.folder / "secret"
    secret.touch(0o600)
    options = f'username = "{USER}"\n{options}'
    match how:
        case "url in a file":
            secret.write_text(f"valkey://{USER}:{quote(SECRET, safe='')}@127.0.0.1:{server.port}")
            site.configure(section='url = { file = "secret" }', store_options=options)
        case "password in a file":
            secret.write_text(SECRET + "\n")
            options += '\npassword = { file = "secret" }'
            site.configure(section=f'url = "{server.unix_url}"', store_options=options)
        case _:
            options += '\npassword = { env = "PLANTED" }'
            site.configure(section=f'url = "{server.url}"', store_options=options)
            return {"PLANTED": SECRET}
    return {}


@pytest.mark.parametrize("options", ["", 'format = "aof"'], ids=["rdb", "aof"])
@pytest.mark.parametrize(
    "how", ["url in a file", "password in a file", "password in the environment"]
)
def test_a_planted_secret_appears_nowhere(
    site: FaultSite, server: ValkeyServer, how: str, options: str
) -> None:
    environment = references(site, server, how, options)
    place = f"127.0.0.1:{server.port}" if how != "password in a file" else str(server.socket)
    nightly = ("--set", "nightly")
    for words in (
        ("backup.run", *nightly, "--json"),
        ("backup.verify", *nightly, "--json"),
        ("backup.restore", *nightly, "--overwrite", "--confirm", place),
        ("backup.show", *nightly, "--json"),
    ):
        done = run_watched(site, environment, *words)
        assert done.code == ExitCode.OK, f"{words}: {done.out}\n{done.err}"
    done = run_watched(site, environment, "backup.doctor")
    # what the doctor finds is of no interest here, as long as it looks
    assert done.code in {ExitCode.OK, ExitCode.BAD, ExitCode.INCONCLUSIVE}, done
    check_files(site)


@pytest.mark.parametrize("options", ["", 'format = "aof"'], ids=["rdb", "aof"])
@pytest.mark.parametrize("trouble", ["no server", "no such user", "no right"])
def test_nor_when_things_go_wrong(
    site: FaultSite, server: ValkeyServer, trouble: str, options: str
) -> None:
    site.back_up()
    environment = references(site, server, "password in the environment", options)
    if trouble == "no server":
        server.stop()
    else:
        with server.client() as client:
            rules = ["reset"] if trouble == "no such user" else ["-psync", "-config"]
            command(client, "ACL", "SETUSER", USER, *rules)
    done = run_watched(site, environment, "backup.run", "--set", "nightly", "--json")
    assert done.code in {ExitCode.USAGE, ExitCode.UNREACHABLE}, done
    assert not [path for path in site.tmp.rglob("*") if path.is_file()]
    check_files(site)
