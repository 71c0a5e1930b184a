"""A small OSV service: it answers the query API over advisories that a test gives it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONTROL = {"package": "jinja2", "version": "2.10", "id": "PYSEC-2019-217", "fixed": "2.10.1"}


@contextmanager
def osv_server(*advisories: Mapping[str, str], with_control: bool = True) -> Iterator[str]:
    """The address of a service that knows these: package, version, id, fixed, alias."""
    known = [*advisories, *([CONTROL] if with_control else [])]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = asked["package"]["name"], asked["version"]
            found = [
                _entry(one) for one in known if one["package"] == name and one["version"] == version
            ]
            body = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _entry(one: Mapping[str, str]) -> dict[str, Any]:
    events: list[dict[str, str]] = [{"introduced": "0"}]
    if one.get("fixed"):
        events.append({"fixed": one["fixed"]})
    return {
        "schema_version": "1.6.0",
        "id": one["id"],
        "aliases": [one["alias"]] if one.get("alias") else [],
        "summary": f"{one['package']} is vulnerable",
        "affected": [
            {
                "package": {"name": one["package"], "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
    }
