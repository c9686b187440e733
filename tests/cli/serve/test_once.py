"""The address with which the browser is started: it works once, and is not the token."""

from __future__ import annotations

import asyncio
import http.client
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")

from pnp_recon.cli.serve.guard import Guard
from pnp_recon.cli.serve.once import Once
from support.served import served, soon


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Status, where it leads, and the words."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, parts.path, headers=headers)
        answer = connection.getresponse()
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, answer.headers.get("Location", ""), answer.read().decode()
    finally:
        connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script")
def test_the_browser_is_started_with_an_address_that_works_once(tmp_path: Path) -> None:
    browser, started = tmp_path / "browser", tmp_path / "started"
    script = f'#!/bin/sh\necho "$*" > {started}.new; mv {started}.new {started}\n'
    browser.write_text(script, encoding="utf-8")
    browser.chmod(0o700)
    with served(tmp_path, browser=str(browser)) as server:
        assert soon(started.exists)
        url = started.read_text(encoding="utf-8").strip()
        assert urlsplit(url).netloc == server.address
        assert server.token not in url  # as the list of processes would have it
        assert get(url, "HEAD")[0] == 403  # which spends nothing
        status, place, words = get(url, Host="evil.example")  # nor does this, which leads nowhere
        assert (status, place) == (403, "")
        assert server.token not in words
        assert get(url)[:2] == (303, f"/{server.token}/")
        status, place, words = get(url)
        assert (status, place) == (403, "")
        assert "used already" in words
        assert server.token not in words
        assert server.ask("GET", "choices")[0] == 200  # the page itself is as before


class Unguarded(Guard):
    """The twin: answers under every name."""

    def misnamed(self, scope: Any) -> bool:
        return False


async def _nothing(*_: Any) -> None:
    raise AssertionError("the guard let it pass")


@pytest.mark.parametrize(("guard", "status"), [(Guard, 403), (Unguarded, 303)])
def test_under_another_name_the_address_leads_nowhere(guard: type[Guard], status: int) -> None:
    once = Once(guard(_nothing, "t0ken"), "/t0ken/")

    def answer(host: str) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": once.path, "query_string": b""}
        asyncio.run(once({**scope, "headers": [(b"host", host.encode())]}, _nothing, send))
        return int(sent[0]["status"])

    assert answer("evil.example") == status
    assert answer("127.0.0.1:80") == (303 if status == 403 else 403)  # spent by what was answered
