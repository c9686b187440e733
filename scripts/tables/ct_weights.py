"""Writes rows for docs/results/ct_weights.md: least squares with and without weights of photons.

    python -m scripts.tables.ct_weights --data ct_slices_256.npz [-o ROWS.md]

Slices of the first three patients of `train`, binned to 64², 30 views of a parallel beam, by
`pnp-ct --simulate --photons N` with all else by default; PSNR in the window from −1024 to 1500 HU.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np

from pnp_recon.cli.ct import main
from scripts.protocol import RESULTS

PHOTONS = ("1e3", "1e4", "1e5", "1e6")
LOW, HIGH = -1024.0, 1500.0
BINNED, VIEWS, PATIENTS = 4, "30", 3


def slices(data: Path) -> list[tuple[np.ndarray, float]]:
    """Slices in HU and their pixels in mm."""
    with np.load(data) as held:
        train = np.flatnonzero(held["split"] == "train")
        first = {held["patient"][i]: i for i in reversed(train)}
        places = sorted(first.values())[:PATIENTS]
        pictures, sizes = held["img"][places].astype(np.float32), held["px_mm"][places]
    side = pictures.shape[-1] // BINNED
    binned = pictures.reshape(-1, side, BINNED, side, BINNED).mean((2, 4)) - 1024
    return [(one, BINNED * float(mm)) for one, mm in zip(binned, sizes, strict=True)]


def psnr(found: np.ndarray, truth: np.ndarray) -> float:
    """In the window."""
    error = np.clip(found, LOW, HIGH).astype(np.float64) - np.clip(truth, LOW, HIGH)
    return 20 * math.log10((HIGH - LOW) / math.sqrt(np.square(error).mean()))


def measured(hu: np.ndarray, pixel_mm: float, photons: str, switch: str) -> float:
    """PSNR of a run of the command."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "slice.npy", Path(folder) / "out.npy"
        np.save(source, hu)
        words = ["--simulate", "--views", VIEWS, "--photons", photons, switch, "-q"]
        words += ["--unit", "hu", "--pixel-mm", f"{pixel_mm:g}", "-o", str(out)]
        main([str(source), *words])
        return psnr(np.load(out), hu)


def run(data: Path, target: Path) -> None:
    """All rows, each written when it is known."""
    with target.open("w", encoding="utf-8") as file:
        for number, (hu, pixel_mm) in enumerate(slices(data)):
            for photons in PHOTONS:
                found = [
                    measured(hu, pixel_mm, photons, switch)
                    for switch in ("--weighted", "--unweighted")
                ]
                cells = " | ".join(f"{value:.2f}" for value in found)
                print(f"| {number} | {photons} | {cells} |", file=file, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", type=Path, default=RESULTS / "ct_weights.rows.md")
    given = parser.parse_args()
    run(given.data, given.o)
