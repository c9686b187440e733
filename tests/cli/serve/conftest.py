"""Chromium and a tab of it, for the tests that look at the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.in_chromium import CHROMIUM, watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright import sync_api

    with sync_api.sync_playwright() as driver:
        # No sandbox: containers, in which tests run, do not let Chromium make one.
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab that fails the test on an error of a script or a request to another machine."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    tab = watched(context.new_page())
    yield tab
    context.close()
    assert tab.wrong == []
