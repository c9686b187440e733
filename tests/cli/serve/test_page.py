"""The page in Chromium: what a user sees and does, from the first drop to the end of the server.

Pictures are tiny and their blur is given, so that a run takes seconds; nothing waits for a time.
"""

from __future__ import annotations

import io
import json
import math
import re
import signal
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

from support.in_chromium import IN_CHROMIUM, begin, drop, finish, picture, restore, watched
from support.served import Served, blurred, encoded, served

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("page")) as running:
        yield running


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


def test_the_watch_sees_a_foreign_request_and_a_broken_script(browser: Any, server: Served) -> None:
    context = browser.new_context()
    page = watched(context.new_page())
    page.route("http://foreign.invalid/*", lambda route: route.fulfill(body=""))
    page.set_content("<img src='http://foreign.invalid/x.png'><script>throw Error('no')</script>")
    page.locator("img").wait_for(state="attached")
    assert any("foreign.invalid" in one for one in page.wrong)
    assert any("no" in one for one in page.wrong)
    context.close()
