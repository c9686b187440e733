"""What a user does on the page of `pnp-recon serve`, in a tab of Chromium."""

from __future__ import annotations

import re
import shutil
import sys
from typing import Any

import pytest

from support.served import Served, blurred, encoded

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
IN_CHROMIUM = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
    pytest.mark.skipif(sys.platform != "linux", reason="Chromium is looked for as on Linux"),
]
PATIENCE = 240_000  # milliseconds, on a machine that does other things


def watched(tab: Any) -> Any:
    tab.wrong = []
    tab.set_default_timeout(PATIENCE)
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))

    def asked(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            tab.wrong.append(request.url)

    tab.on("request", asked)
    return tab


def picture(name: str = "photo.png", values: Any = None, **how: Any) -> dict[str, Any]:
    data = encoded(blurred() if values is None else values, **how)
    return {"name": name, "mimeType": "image/png", "buffer": data}


def drop(page: Any, server: Served, file: dict[str, Any]) -> None:
    if not page.url.startswith(server.url):
        page.goto(server.url)
    page.locator("#limits", has_text="MB").wait_for()
    page.set_input_files("#file", file)


def begin(page: Any, server: Served, file: dict[str, Any] | None = None) -> None:
    """A picture that moved by five pixels is dropped, and its run begun."""
    drop(page, server, file or picture())
    restore(page)


def restore(page: Any) -> None:
    """What was dropped moved by five pixels."""
    page.check("#wrong-moved")
    page.fill("#field-length", "5")
    page.fill("#field-angle", "0")
    page.click("#go")


def finish(page: Any) -> None:
    page.locator("#verdict", has_text=re.compile("ertifi")).wait_for()
    page.locator("#running").wait_for(state="hidden")
