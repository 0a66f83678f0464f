"""A loopback HTTP server with the faults of real ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """How the server treats its one file.

    Attributes:
        content: the file.
        etag: its version; empty: none is sent.
        ranges: whether range requests are honoured.
        cut_after: close the connection after so many bytes of a body; None never.
        cuts: how many connections are cut before they are left alone.
        status: respond with this status and nothing else.
        html: respond with a page and status 200.
        redirect: respond with a redirect to this path.
        length: the Content-Length that is claimed; None tells the truth, empty leaves it out.
        encoding: Content-Encoding that is claimed.
        script: responses that are sent first, in order: status, headers and body, unchanged.
        before_body: called before a body is sent.
        requests: (method, Range header) of every request, in order.
    """

    content: bytes = b""
    etag: str = '"v1"'
    ranges: bool = True
    cut_after: int | None = None
    cuts: int = 10**6
    status: int | None = None
    html: bool = False
    redirect: str = ""
    length: str | None = None
    encoding: str = ""
    script: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    before_body: Callable[[], None] = lambda: None
    requests: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    """Serves the one file; a subclass has its behaviour."""

    behaviour: Behaviour

    def do_GET(self) -> None:
        self._respond(body=True)

    def do_HEAD(self) -> None:
        self._respond(body=False)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _respond(self, body: bool) -> None:
        behaviour, requested = self.behaviour, self.headers.get("Range", "")
        behaviour.requests.append((self.command, requested))
        if behaviour.script:
            self._follow(*behaviour.script.pop(0))
        elif behaviour.redirect:
            self.send_response(302)
            self.send_header("Location", behaviour.redirect)
            self.end_headers()
        elif behaviour.status is not None:
            self.send_error(behaviour.status)
        else:
            self._serve_file(requested, body)

    def _follow(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)
        self.close_connection = True

    def _serve_file(self, requested: str, body: bool) -> None:
        behaviour, start = self.behaviour, 0
        content = b"<!DOCTYPE html><html><body>We have moved.</body></html>" if behaviour.html else behaviour.content
        condition = self.headers.get("If-Range", behaviour.etag)
        if requested and behaviour.ranges and condition == behaviour.etag:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        length = behaviour.length if behaviour.length is not None else str(len(content) - start)
        headers = {
            "Content-Type": "text/html" if behaviour.html else "application/x-tar",
            "Content-Length": length,
            "ETag": behaviour.etag,
            "Content-Encoding": behaviour.encoding,
        }
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if body:
            self._send(content[start:])

    def _send(self, content: bytes) -> None:
        behaviour = self.behaviour
        behaviour.before_body()
        if behaviour.cut_after is not None and behaviour.cuts > 0:
            behaviour.cuts -= 1
            content = content[: behaviour.cut_after]
        with suppress(ConnectionError):  # the client may have gone
            self.wfile.write(content)
        self.close_connection = True


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Serve on a free port of the loopback; yields the address of the file."""
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/archive.tar"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
