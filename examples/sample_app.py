"""A small web application to deploy: answers, tells its health, counts, logs, stops in order.

    python3 sample_app.py --port 8080 --colour blue
    python3 sample_app.py --port 8080 --check        # the health check: exit 0 when ready

Standard library only. Paths: ``/``, ``/healthz`` (it lives), ``/readyz`` (send it requests),
``/metrics`` (Prometheus).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import ssl
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class State:
    """What all requests share."""

    def __init__(self, colour: str, release: str) -> None:
        self.colour = colour
        self.release = release
        self.is_ready = True
        self.lock = threading.Lock()
        self.answers: Counter[int] = Counter()

    def answer(self, path: str) -> tuple[int, str, str]:
        """Status, content type and text for a path."""
        if path == "/":
            text = json.dumps({"colour": self.colour, "release": self.release})
            return 200, "application/json", text
        if path == "/healthz":
            return 200, "text/plain", "alive\n"
        if path == "/readyz":
            return (
                (200, "text/plain", "ready\n")
                if self.is_ready
                else (503, "text/plain", "draining\n")
            )
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4", self.metrics()
        return 404, "text/plain", "there is nothing here\n"

    def metrics(self) -> str:
        """The counters in Prometheus' text format."""
        lines = ["# TYPE sample_requests_total counter"]
        with self.lock:
            for status, count in sorted(self.answers.items()):
                labels = f'colour="{self.colour}",release="{self.release}",status="{status}"'
                lines.append(f"sample_requests_total{{{labels}}} {count}")
        return "\n".join(lines) + "\n"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    state: ClassVar[State]

    def do_GET(self) -> None:
        """Answer, count, log."""
        started = time.monotonic()
        path = self.path.partition("?")[0]
        status, kind, text = self.state.answer(path)
        with self.state.lock:
            self.state.answers[status] += 1
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if path not in ("/healthz", "/readyz"):
            log("request", path=path, status=status, seconds=round(time.monotonic() - started, 4))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Nothing: every answer is logged once, by ``do_GET``."""


class Server(ThreadingHTTPServer):
    """Says in one line of the log that a connection broke off."""

    def handle_error(self, *_: object) -> None:
        """A client without TLS, or one that does not trust us, is no reason for a traceback."""
        log("broken off", error=type(sys.exception()).__name__)


def log(event: str, **facts: object) -> None:
    """One line of JSON to standard output; a read-only root has no place for log files."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def check(port: int, authority: str | None) -> int:
    """Ask the running application whether it is ready; 0 or 1. Needs no curl in the image."""
    connection: http.client.HTTPConnection
    try:
        if authority:
            context = ssl.create_default_context(cafile=authority)
            connection = http.client.HTTPSConnection("localhost", port, timeout=2, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/readyz")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM; then say so by ``/readyz``, wait for the router to notice, and stop."""
    Handler.state = State(options.colour, options.release)
    server = Server((options.host, options.port), Handler)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        # the handshake is left to each connection's thread, so that none holds up the others
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log("started", colour=options.colour, release=options.release, uid=os.getuid())
    stopping.wait()
    Handler.state.is_ready = False
    log("draining", seconds=options.drain)
    time.sleep(options.drain)
    server.shutdown()
    log("stopped")
    return 0


def main() -> int:
    """Read the command line, and serve or check."""
    parser = argparse.ArgumentParser(description="a small web application to deploy")
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8080")))
    parser.add_argument("--colour", default=os.environ.get("COLOUR", "blue"))
    parser.add_argument("--release", default=os.environ.get("RELEASE", "unknown"))
    parser.add_argument("--drain", type=float, default=float(os.environ.get("DRAIN", "2")))
    parser.add_argument("--cert", default=os.environ.get("TLS_CERT_FILE"))
    parser.add_argument("--key", default=os.environ.get("TLS_KEY_FILE"))
    parser.add_argument("--ca", default=os.environ.get("TLS_CA_FILE"), help="for --check")
    parser.add_argument("--check", action="store_true", help="exit 0 when it is ready")
    options = parser.parse_args()
    return check(options.port, options.ca) if options.check else serve(options)


if __name__ == "__main__":
    sys.exit(main())
