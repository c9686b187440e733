"""What every request must pass before anything is done: host, token, origin; and safe headers.

Other pages in the same browser can send requests to this machine too. Those know no token; a name
that an attacker points at 127.0.0.1 (DNS rebinding) shows in the Host header; and what a foreign
page sends says so in Origin or Sec-Fetch-Site.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
SAFE_METHODS = ("GET", "HEAD")
POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STRANGER = (
    "This address is not valid, or no longer: open the one that pnp-recon serve printed when it "
    "was started."
)


class Guard:
    """An ASGI application around another, which sees paths without the token.

    Args:
        app: what is guarded.
        token: the first part of every path.
        hosts: names that the Host header may have, besides those of this machine.
        every: so may all addresses in numbers, which nobody can point elsewhere, and the name
            that this machine has in its net.
    """

    def __init__(
        self, app: ASGIApp, token: str, hosts: Iterable[str] = (), *, every: bool = False
    ) -> None:
        self.app, self.token, self.every = app, token, every
        self.hosts = {*LOCAL, *(host.lower() for host in hosts)}
        if every:
            self.hosts.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets here: closed without an answer

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = self.refusal(scope)
        if refused:
            await PlainTextResponse(refused, 403)(scope, receive, with_headers)
            return
        rest = scope["path"].split("/", 2)[2]
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}
        await self.app(inner, receive, with_headers)

    def misnamed(self, scope: Scope) -> bool:
        """Whether the request is for another machine by its Host header."""
        name = _name_of(Headers(scope=scope).get("host", ""))
        return name not in self.hosts and not (self.every and _is_address(name))

    def refusal(self, scope: Scope) -> str:
        """Why a request is refused; nothing where it is not."""
        if self.misnamed(scope):
            return "This server answers only under the name of this machine."
        path = scope["path"].split("/", 2)
        if len(path) < 3 or not secrets.compare_digest(path[1].encode(), self.token.encode()):
            return STRANGER
        if scope["method"] in SAFE_METHODS:
            return ""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if (origin is not None and origin != f"http://{host}") or site != "same-origin":
            return "This request came from another page."
        return ""


def _name_of(host: str) -> str:
    """The name in "name:port"; nothing where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        return "" if parts.username is not None or parts.path else (parts.hostname or "")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
