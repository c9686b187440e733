"""JPEG artefacts on BSDS500 test: the plain decoder and `pnp-jpeg`, by the command itself.

Ten pictures, their middle 192 × 192 pixels, encoded by Pillow's libjpeg with qualities 10, 20, 30
and 40: grey (the picture's luma), and three of them in colour with chroma at half the size. PSNR
against the picture before encoding, of the pixels before rounding. A run that was stopped goes on.

    python -m scripts.tables.jpeg --data BSDS500
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pnp_recon.cli.jpeg import main as pnp_jpeg
from scripts.protocol import read_rows

QUALITIES = (10, 20, 30, 40)
SIDE, GREY, COLOUR = 192, 10, 3
HEAD = """JPEG artefacts on BSDS500 test, central 192² crops, ten grey and three in colour; mean
PSNR in dB against the picture before encoding, before rounding to 8 bits, and SSIM. The decoder is
libjpeg's. Certified: the iteration converged under its theorem, and every coefficient lies in its
cell, checked in float64. The last column is the share of coefficients that rounding to 8 bits (and
clipping) moves out of their cells. Settings were found on val without BSD68; rows are in
jpeg.csv."""
FIELDS = (
    "picture", "colours", "quality", "psnr_decoder", "psnr", "ssim_decoder", "ssim", "certified",
    "outside", "outside_rounded", "coefficients", "sigma255", "iterations", "seconds",
)  # fmt: skip


def measured(path: Path, colours: str, quality: int) -> dict[str, Any]:
    """One row: the command on one encoded picture."""
    with tempfile.TemporaryDirectory() as name, Image.open(path) as opened:
        folder, picture = Path(name), opened.convert(colours)
        left, top = ((side - SIDE) // 2 for side in picture.size)
        picture = picture.crop((left, top, left + SIDE, top + SIDE))
        picture.save(folder / "clean.png")
        picture.save(folder / "in.jpg", quality=quality)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            pnp_jpeg([
                str(folder / "in.jpg"), "--reference", str(folder / "clean.png"), "--json",
                "--device", "cpu",
            ])  # fmt: skip
    found = json.loads(said.getvalue())
    before, after = found["metrics"]["before"], found["metrics"]["after"]
    counts = found["physics"]["parameters"]
    return {
        "picture": path.name,
        "colours": colours,
        "quality": quality,
        "psnr_decoder": round(before["psnr"], 3),
        "psnr": round(after["psnr"], 3),
        "ssim_decoder": round(before["ssim"], 4),
        "ssim": round(after["ssim"], 4),
        "certified": found["certificate"]["holds"] and found["status"] == "converged",
        "outside": counts["outside"],
        "outside_rounded": counts["outside_rounded"],
        "coefficients": counts["coefficients"],
        "sigma255": round(255 * found["noise_level"], 2),
        "iterations": found["iterations"],
        "seconds": round(found["seconds"], 1),
    }


def table(rows: list[dict[str, str]]) -> str:
    """The means as Markdown."""
    lines = [
        "| Picture | Quality | Decoder | `pnp-jpeg` | Gain | SSIM | Certified | Moved by rounding |",  # noqa: E501
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for colours, words in (("L", "grey"), ("RGB", "colour, 4:2:0")):
        for quality in QUALITIES:
            some = [r for r in rows if (r["colours"], r["quality"]) == (colours, str(quality))]
            if not some:
                continue

            def mean(name: str, some: list[dict[str, str]] = some) -> float:
                return float(np.mean([float(row[name]) for row in some]))

            moved = mean("outside_rounded") / mean("coefficients")
            held = sum(row["certified"] == "True" and row["outside"] == "0" for row in some)
            lines.append(
                f"| {words} | {quality} | {mean('psnr_decoder'):.2f} | {mean('psnr'):.2f} "
                f"| {mean('psnr') - mean('psnr_decoder'):+.2f} "
                f"| {mean('ssim_decoder'):.3f} → {mean('ssim'):.3f} "
                f"| {held} of {len(some)} | {moved:.2%} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    target = options.results / "jpeg.csv"
    known = read_rows(target)
    done = {(row["picture"], row["colours"], row["quality"]) for row in known}
    paths = sorted((options.data / "test").glob("*.jpg"))[::20][:GREY]
    plan = [(path, "L", q) for path in paths for q in QUALITIES]
    plan += [(path, "RGB", q) for path in paths[:COLOUR] for q in QUALITIES]
    with target.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        if not known:
            writer.writeheader()
        for path, colours, quality in plan:
            if (path.name, colours, str(quality)) in done:
                continue
            row = measured(path, colours, quality)
            writer.writerow(row)
            stream.flush()
            print(row, flush=True)
    text = table(read_rows(target))
    (options.results / "jpeg.md").write_text(f"{HEAD}\n\n{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
