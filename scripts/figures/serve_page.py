"""Photographs the page of `pnp-recon serve` at work: docs/images/serve.png and serve_phone.png.

    python -m scripts.figures.serve_page [--chromium PATH] [--out FOLDER]

A photograph of the samples is moved by 15 pixels and restored; the script also prints how long the
preview and the result took. Needs the extra web, playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import torch
from playwright.sync_api import Page, sync_playwright

from operators import kernels
from pnp_recon.files import shipped
from pnp_recon.pictures import read_picture, write_picture
from pnp_recon.problems.noise import command_noise
from pnp_recon.problems.simulate import deblurring
from scripts.protocol import IMAGES
from scripts.serving import serving

LONGEST = 1_800_000  # milliseconds
PHONE = {"width": 390, "height": 780}


def moved(path: Path) -> None:
    """A sample picture as a camera that moved saw it."""
    picture = read_picture(shipped("samples") / "chelsea.png")
    kernel = kernels.linear_motion(15, 30, dtype=torch.float64).float()
    problem = deblurring(picture.pixels, kernel, 2 / 255, command_noise(0), "valid")
    write_picture(path, problem.y.clamp(0, 1))


def restore(page: Page, photo: Path) -> None:
    """Uploads the photograph, says that the camera moved, and waits for the result."""
    page.set_input_files("#file", photo)
    page.check("#wrong-moved")
    page.click("#go")
    begun = time.perf_counter()
    page.locator("#caption", has_text="quick preview").wait_for()
    print(f"preview after {time.perf_counter() - begun:.1f} s")
    page.locator("#verdict", has_text="ertified").wait_for()
    print(f"result after {time.perf_counter() - begun:.1f} s")


def photograph(url: str, photo: Path, chromium: str, out: Path) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 820}, color_scheme="light")
        page.set_default_timeout(LONGEST)
        page.goto(url)
        page.locator("#limits", has_text="MB").wait_for()
        restore(page, photo)
        page.wait_for_timeout(500)
        page.screenshot(path=out / "serve.png")
        address = page.url
        phone = browser.new_page(viewport=PHONE, color_scheme="dark", device_scale_factor=1.5)
        phone.set_default_timeout(LONGEST)
        phone.goto(address)
        phone.locator("#verdict", has_text="ertified").wait_for()
        phone.wait_for_timeout(500)
        phone.screenshot(path=out / "serve_phone.png")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    parser.add_argument("--out", type=Path, default=IMAGES)
    given = parser.parse_args()
    with serving("--no-open") as (_, url), tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "cat.png"
        moved(photo)
        photograph(url, photo, given.chromium, given.out)


if __name__ == "__main__":
    main()
