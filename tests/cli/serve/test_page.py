"""The page in Chromium: what a user sees and does, from the first drop to the end of the server.

Pictures are tiny and their blur is given, so that a run takes seconds; nothing waits for a time.
"""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import signal
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from playwright import sync_api

from support.served import Served, blurred, encoded, served

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
    pytest.mark.skipif(sys.platform != "linux", reason="Chromium is looked for as on Linux"),
]
FOCUSED = "(e => e.id || e.className || e.tagName)(document.activeElement)"
PATIENCE = 240_000  # milliseconds, on a machine that does other things


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
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


def octaves(state: dict[str, Any]) -> float:
    """Of the strength that was asked for, above the one that was found."""
    return math.log2(state["asked_strength"] / state["found_strength"])


def downloaded(page: Any, link: str) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.click(link)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_from_a_drop_to_the_downloads(page: Any, server: Served) -> None:
    begin(page, server)
    page.locator("#caption", has_text="quick preview").wait_for()
    finish(page)
    assert page.text_content("#verdict").startswith("Certified:")
    assert "length 5" in page.text_content("#blur")
    assert "σ·255" in page.text_content("#noise")
    page.click("summary")
    assert "critical point" in page.text_content("#theorem")
    assert page.locator("#lines li").count() > 2
    name, data = downloaded(page, "#result")
    assert name == "photo_deblurred.png"
    assert Image.open(io.BytesIO(data)).size == (48, 48)
    name, data = downloaded(page, "#report")
    assert name == "photo_report.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as report:
        assert json.loads(report.read("report.json"))["program"] == "pnp-deblur"

    # Another strength, by keys alone, is solved from here.
    before = data
    page.focus("#strength")
    page.keyboard.press("ArrowRight")
    page.locator("#factor", has_text="1.4 times").wait_for()
    page.locator("#warnings", has_text="an earlier result").wait_for()
    assert page.get_attribute("#strength", "aria-valuetext") == "1.4 times what was found"
    assert downloaded(page, "#report")[1] != before

    assert page.get_attribute(".top", "src").endswith("after?run=2")

    # Moved faster than it is solved, the last one is, and no move is refused.
    refused: list[str] = []
    page.on("response", lambda one: refused.append(one.url) if one.status >= 400 else None)
    page.focus("#strength")
    for key in ("ArrowRight",) * 4 + ("ArrowLeft",) * 2:
        page.keyboard.press(key)
    page.locator("#factor", has_text="2.8 times").wait_for()
    job = page.url.partition("#")[2]
    server.when(job, lambda now: now["phase"] == "done" and octaves(now) == pytest.approx(1.5))
    finish(page)
    assert page.locator("#error").is_hidden()
    assert refused == []
    assert page.input_value("#strength") == "1.5"

    # A reload finds the job by the number in the address.
    page.reload()
    finish(page)
    page.wait_for_function("document.querySelector('#strength').value === '1.5'")


def test_the_line_between_before_and_after_moves_by_keys_and_by_hand(
    page: Any, server: Served
) -> None:
    begin(page, server)
    finish(page)
    page.locator("#caption", has_text="Before and after.").wait_for()
    assert page.evaluate("document.querySelector('.top').naturalWidth") == 48
    assert page.locator(".top").bounding_box()["width"] == 48  # a pixel of it is one of the page
    slider = page.locator("#compare input")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "60"
    assert slider.get_attribute("aria-valuetext") == "60 % before, 40 % after"
    assert page.locator(".top").evaluate("e => e.style.clipPath").startswith("inset(0")
    box = page.locator(".frame").bounding_box()
    line = page.locator(".divider").bounding_box()
    page.mouse.move(line["x"] + 1, line["y"] + line["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, line["y"] + 5)
    page.mouse.up()
    assert abs(float(slider.input_value()) - 25) <= 4


def test_a_run_is_cancelled_and_another_follows(page: Any, server: Served) -> None:
    begin(page, server, picture("large.png", blurred(500)))
    page.locator("#detail", has_text=re.compile("iteration|looking")).wait_for()
    page.click("#cancel")
    page.locator("#error", has_text="Cancelled").wait_for()
    assert page.locator("#form").is_visible()
    page.click("#another")
    begin(page, server)
    finish(page)


def test_two_tabs_share_one_queue(browser: Any, page: Any, server: Served) -> None:
    begin(page, server, picture("first.png", blurred(500)))
    page.locator("#detail", has_text=re.compile("iteration|looking")).wait_for()
    second = watched(page.context.new_page())
    drop(second, server, picture("second.png"))
    second.locator("#stage", has_text="Waiting for 1 other picture").wait_for()
    page.click("#cancel")
    restore(second)
    finish(second)
    assert second.text_content("#name") == "second.png"
    assert page.text_content("#name") == "first.png"
    assert page.text_content("#error") == "Cancelled."
    assert second.wrong == []


def test_a_broken_file_is_refused_in_one_line(page: Any, server: Served) -> None:
    drop(page, server, {**picture(), "buffer": encoded(blurred())[:200], "name": "broken.png"})
    page.locator("#error", has_text="broken.png").wait_for()
    assert page.locator("#form").is_hidden()
    assert page.get_attribute("#error", "role") == "alert"
    page.click("#another")
    begin(page, server)
    finish(page)


def test_what_the_command_refuses_is_said_and_can_be_mended(page: Any, server: Served) -> None:
    drop(page, server, picture())
    page.check("#wrong-jpeg")
    page.click("#go")
    page.locator("#error", has_text="is no JPEG file").wait_for()
    restore(page)
    finish(page)
    assert page.locator("#error").is_hidden()


def test_a_mask_is_given_beside_the_picture(page: Any, server: Served) -> None:
    mask = np.full((48, 48), 255, np.uint8)
    mask[10:14, 10:30] = 0
    drop(page, server, picture())
    page.check("#wrong-holes")
    page.set_input_files("#file-mask", picture("mask.png", mask))
    page.click("#go")
    finish(page)
    assert downloaded(page, "#result")[0] == "photo_inpainted.png"


def test_thirty_megapixels_are_looked_at_and_can_be_cancelled(page: Any, server: Served) -> None:
    tile = np.kron(blurred(100), np.ones((2, 2), np.uint8))
    large = np.tile(tile, (25, 30))
    assert large.size == 30_000_000
    drop(page, server, picture("large.jpg", large, kind="JPEG", quality=90))
    page.locator("#about", has_text="6000 × 5000").wait_for()
    restore(page)
    page.locator("#caption", has_text="quick preview").wait_for()
    page.click("#cancel")
    page.locator("#error", has_text="Cancelled").wait_for()


def test_a_server_that_was_killed_and_started_again_is_noticed(page: Any, tmp_path: Path) -> None:
    with served(tmp_path) as server:
        port = server.address.rpartition(":")[2]
        drop(page, server, picture())
        page.locator("#form").wait_for()
        server.end(signal.SIGKILL)
        page.locator("#banner", has_text="does not answer").wait_for()
    with served(tmp_path, "--port", port) as server:
        page.locator("#banner", has_text="belongs to a server that has ended").wait_for()
        begin(page, server)
        finish(page)
        server.end()
        page.locator("#banner", has_text="does not answer").wait_for()


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


def test_the_watch_sees_a_foreign_request_and_a_broken_script(browser: Any, server: Served) -> None:
    context = browser.new_context()
    page = watched(context.new_page())
    page.route("http://foreign.invalid/*", lambda route: route.fulfill(body=""))
    page.set_content("<img src='http://foreign.invalid/x.png'><script>throw Error('no')</script>")
    page.locator("img").wait_for(state="attached")
    assert any("foreign.invalid" in one for one in page.wrong)
    assert any("no" in one for one in page.wrong)
    context.close()
