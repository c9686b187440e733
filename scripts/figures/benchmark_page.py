"""Photographs a part of the page that `pnp-bench report` writes: docs/images/benchmark_page.png.

    python -m scripts.figures.benchmark_page [--chromium PATH] [--out FOLDER]

The reference runs of denoising grey pictures. Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from pnp_recon.cli.bench import main as pnp_bench
from scripts.protocol import IMAGES, ROOT

RUNS = ("denoise-bsd68", "denoise-bsd68-bm3d")
SIZE = {"width": 1340, "height": 535}


def photograph(page: Path, chromium: str, out: Path) -> None:
    """The first table of results."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport=SIZE, color_scheme="light")
        view.goto(page.as_uri())
        table = view.locator("h2", has_text="denoise, bsd68, grey").first
        table.evaluate("heading => heading.scrollIntoView(true)")
        view.wait_for_timeout(500)
        view.screenshot(path=out / "benchmark_page.png")
        browser.close()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    parser.add_argument("--out", type=Path, default=IMAGES)
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        runs = [str(ROOT / "benchmarks" / "results" / name) for name in RUNS]
        if pnp_bench(["report", *runs, "-o", folder, "--quiet"]) != 0:
            raise SystemExit("pnp-bench report failed")
        photograph(Path(folder) / "report.html", given.chromium, given.out)


if __name__ == "__main__":
    main()
