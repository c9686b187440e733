"""The address with which the browser is started: it works once, and is not the token."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")

from support.served import served, soon


def get(url: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, where it leads, and the words."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request(method, parts.path)
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
        assert get(url)[:2] == (303, f"/{server.token}/")
        status, place, words = get(url)
        assert (status, place) == (403, "")
        assert "used already" in words
        assert server.token not in words
        assert server.ask("GET", "choices")[0] == 200  # the page itself is as before
