"""The page is for everyone: by the keyboard alone, on a phone, light or dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from support.in_chromium import IN_CHROMIUM, begin, drop, finish, picture, watched
from support.served import Served, served

pytestmark = IN_CHROMIUM
FOCUSED = "(e => e.id || e.className || e.tagName)(document.activeElement)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("page")) as running:
        yield running


def test_everything_is_reached_by_the_keyboard_and_has_a_name(page: Any, server: Served) -> None:
    begin(page, server)
    finish(page)
    page.locator("#another").focus()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    order = ["SUMMARY", "strength", "result", "report", "wrong-moved", "field-length", "go", "pan"]
    places = [reached.index(one) for one in order]
    assert places == sorted(places)
    for control in page.locator("input:visible, button:visible, a:visible").all():
        name = control.evaluate(
            "e => e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent"
        )
        assert name.strip()
    for image in page.locator("img:visible").all():
        assert image.get_attribute("alt")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(browser: Any, server: Served, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True
    )
    page = watched(context.new_page())
    drop(page, server, picture("a_rather_long_name_of_a_picture_from_a_camera_0001.png"))
    page.locator("#form").wait_for()
    page.check("#wrong-moved")
    assert page.locator("html").evaluate("e => e.scrollWidth") <= 360
    colours = page.locator("body").evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    )
    assert contrast(*colours) > 7
    context.close()
    assert page.wrong == []


def contrast(one: str, other: str) -> float:
    """Of two colours "rgb(r, g, b)" (WCAG 2.1)."""

    def luminance(colour: str) -> float:
        values = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
