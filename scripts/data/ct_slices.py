"""Writes CT slices as 16 bit pictures in a window, a folder that `pnp-train denoiser` can read.

    python -m scripts.data.ct_slices ct_slices_256.npz --to out/ct_train --split train

The .npz holds `img` (N, H, W), uint16 = HU + 1024, and `split` (N,), "train" or "val". The window
[-1024, 1500] HU becomes [0, 1]; the same window is the peak of every CT figure in the docs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile

WINDOW = (-1024.0, 1500.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("slices", type=Path, help="the .npz file")
    parser.add_argument("--to", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--split", choices=("train", "val"), default="train")
    options = parser.parse_args()
    with np.load(options.slices) as archive:
        chosen = np.flatnonzero(archive["split"] == options.split)
        hounsfield = archive["img"][chosen].astype(np.float64) - 1024
    low, high = WINDOW
    scaled = np.round(np.clip((hounsfield - low) / (high - low), 0, 1) * 65535).astype(np.uint16)
    options.to.mkdir(parents=True, exist_ok=True)
    for index, picture in zip(chosen, scaled, strict=True):
        tifffile.imwrite(options.to / f"slice_{index:03d}.tif", picture)
    print(f"{len(chosen)} slices in {options.to}")


if __name__ == "__main__":
    main()
