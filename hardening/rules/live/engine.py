"""Asks a Docker engine. Nothing is started, stopped or run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hardening.model import Scan
from hardening.rules.live.archive import judge_archive
from hardening.rules.live.inspected import Inspected, judge_image, running
from hardening.rules.options import Options
from hardening.rules.running import judge
from hardening.rules.sheet import Sheet
from restoreproof.errors import Inconclusive, MissingExtra, Unreachable
from restoreproof.quantities import readable_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

_TIMEOUT = 60


@contextmanager
def _client(address: str | None) -> Iterator[DockerClient]:
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise MissingExtra("asking a Docker engine", "hardening") from error
    try:
        client = (
            docker.DockerClient(base_url=address, timeout=_TIMEOUT)
            if address
            else docker.from_env(timeout=_TIMEOUT)
        )
        client.ping()
    except (DockerException, OSError) as error:
        raise Unreachable(
            "the Docker engine does not answer",
            hint="is it running, and may this user open its socket? DOCKER_HOST names another",
        ) from error
    try:
        yield client
    finally:
        client.close()


def scan_live(containers: Iterable[str] = (), *, address: str | None = None) -> Scan:
    """How running containers run.

    Args:
        containers: names or ids; all that run by default.
        address: of the engine; by default what ``DOCKER_HOST`` says.

    Raises:
        MissingExtra: the Docker SDK is not installed.
        Unreachable: no engine answers.
    """
    sheet = Sheet()
    with _client(address) as client:
        from docker.errors import DockerException

        names = list(containers) or [found.name or "" for found in client.containers.list()]
        for name in names:
            try:
                container = running(client.api.inspect_container(name))
            except (DockerException, OSError) as error:
                sheet.missed(name, Inconclusive(f"it cannot be inspected: {error}"))
                continue
            sheet.scanned.append(container.name)
            sheet.found(container.name, judge(container, "L"))
    return sheet.scan()


def scan_image(image: str, options: Options | None = None, *, address: str | None = None) -> Scan:
    """A built image: its configuration, and the files of all its layers.

    Args:
        image: reference or id, known to the engine; nothing is pulled.
        options: settings of the rules.
        address: of the engine; by default what ``DOCKER_HOST`` says.

    Raises:
        MissingExtra: the Docker SDK is not installed.
        Unreachable: no engine answers.
    """
    options = options or Options()
    sheet = Sheet()
    with _client(address) as client:
        _scan_image(sheet, client, image, options)
    return sheet.scan()


def _scan_image(sheet: Sheet, client: DockerClient, image: str, options: Options) -> None:
    from docker.errors import DockerException

    try:
        inspected: Inspected = client.api.inspect_image(image)  # type: ignore[no-untyped-call]
        sheet.found(image, judge_image(inspected))
        with tempfile.NamedTemporaryFile(prefix="restoreproof-image-") as file:
            size = 0
            for chunk in client.api.get_image(image):
                size += len(chunk)
                if size > options.limits.image_bytes:
                    most = readable_size(options.limits.image_bytes)
                    raise Inconclusive(f"the image is larger than {most}")
                file.write(chunk)
            file.flush()
            sheet.found(image, judge_archive(Path(file.name), options))
    except Inconclusive as error:
        sheet.missed(image, error)
    except (DockerException, OSError) as error:
        sheet.missed(image, Inconclusive(f"it cannot be read: {error}"))
    else:
        sheet.scanned.append(image)
