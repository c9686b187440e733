"""An address that leads to the page once, with which the browser is started.

The list of processes shows all users of a machine how a program was started; the token is none of
their business. What they read there is spent as soon as the browser is up.
"""

from __future__ import annotations

import secrets

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pnp_recon.cli.serve.guard import HEADERS

USED = (
    "This address works once, and it was used already: open the one that pnp-recon serve printed. "
    "If it was not you who used it, end the server and start it again."
)


class Once:
    """An ASGI application around another: one path more, which leads to `page` the first time.

    Args:
        app: what answers all other paths.
        page: the path of the page, token and all.

    Attributes:
        path: the one that works once.
    """

    def __init__(self, app: ASGIApp, page: str) -> None:
        self.app, self.page, self.path = app, page, f"/{secrets.token_urlsafe(24)}"
        self._spent = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not self._is_meant(scope["path"]):
            await self.app(scope, receive, send)
            return
        answer: Response = RedirectResponse(self.page, 303, HEADERS)
        if self._spent:
            answer = PlainTextResponse(USED, 403, HEADERS)
        self._spent = True
        await answer(scope, receive, send)

    def _is_meant(self, path: str) -> bool:
        return secrets.compare_digest(path.encode(), self.path.encode())
