"""An address that leads to the page once, with which the browser is started.

The list of processes shows all users of a machine how a program was started; the token is none of
their business. What they read there is spent as soon as the browser is up.
"""

from __future__ import annotations

import secrets

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from pnp_recon.cli.serve.guard import HEADERS, Guard

USED = (
    "This address works once, and it was used already: open the one that pnp-recon serve printed. "
    "If it was not you who used it, end the server and start it again."
)


class Once:
    """An ASGI application around the guard: one path more, which leads to `page` the first time.

    Args:
        guard: answers all other paths, and refuses what comes under another name.
        page: the path of the page, token and all.

    Attributes:
        path: the one that works once.
    """

    def __init__(self, guard: Guard, page: str) -> None:
        self.guard, self.page, self.path = guard, page, f"/{secrets.token_urlsafe(24)}"
        self._spent = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_meant(scope) or self.guard.misnamed(scope):
            await self.guard(scope, receive, send)
            return
        answer: Response = RedirectResponse(self.page, 303, HEADERS)
        if self._spent:
            answer = PlainTextResponse(USED, 403, HEADERS)
        self._spent = True
        await answer(scope, receive, send)

    def _is_meant(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET":
            return False
        return secrets.compare_digest(scope["path"].encode(), self.path.encode())
