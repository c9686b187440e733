"""A server on this machine that breaks off, cannot continue, or has something else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 1200  # several blocks


@dataclass
class Server:
    """What is served, how it misbehaves, and what it was asked.

    Attributes:
        content: the file.
        cuts: after so many bytes of each coming reply the connection ends; then none does.
        codes: the coming replies are these errors; then none is.
        ranges: whether it can continue; "wrong" answers with another range than asked for.
        asked: the Range header of each request.
    """

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    ranges: bool | str = True
    tag: str = '"one"'
    sizes: bool = True
    asked: list[str | None] = field(default_factory=list)
    address: str = ""

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.codes:
            handler.send_error(self.codes.pop(0))
            return
        start = 0
        if wanted and self.ranges and handler.headers.get("If-Range", self.tag) == self.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        size = len(self.content)
        if start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.end_headers()
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            first = start + (self.ranges == "wrong")
            handler.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        if self.sizes:
            handler.send_header("Content-Length", str(len(body)))
        if self.tag:
            handler.send_header("ETag", self.tag)
        handler.end_headers()
        handler.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@contextmanager
def serving() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.reply(self)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        state.address = f"http://127.0.0.1:{listening.server_port}/BSR_bsds500.tgz"
        yield state
        listening.shutdown()
        thread.join()
