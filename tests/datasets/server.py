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


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Serve on a free port of the loopback; yields the address of the file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(body=True)

        def do_HEAD(self) -> None:
            self._respond(body=False)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def _respond(self, body: bool) -> None:
            asked = self.headers.get("Range", "")
            behaviour.requests.append((self.command, asked))
            if behaviour.script:
                status, headers, content = behaviour.script.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):
                    self.wfile.write(content)
                self.close_connection = True
                return
            if behaviour.redirect:
                self.send_response(302)
                self.send_header("Location", behaviour.redirect)
                self.end_headers()
                return
            if behaviour.status is not None:
                self.send_error(behaviour.status)
                return
            content, start = behaviour.content, 0
            if behaviour.html:
                content = b"<!DOCTYPE html><html><body>We have moved.</body></html>"
            condition = self.headers.get("If-Range", behaviour.etag)
            if asked and behaviour.ranges and condition == behaviour.etag:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", "text/html" if behaviour.html else "application/x-tar")
            length = behaviour.length if behaviour.length is not None else str(len(content) - start)
            if length:
                self.send_header("Content-Length", length)
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            if behaviour.encoding:
                self.send_header("Content-Encoding", behaviour.encoding)
            self.end_headers()
            if body:
                self._send(content[start:])

        def _send(self, content: bytes) -> None:
            behaviour.before_body()
            if behaviour.cut_after is not None and behaviour.cuts > 0:
                behaviour.cuts -= 1
                content = content[: behaviour.cut_after]
            with suppress(ConnectionError):  # the client may have gone
                self.wfile.write(content)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/archive.tar"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
