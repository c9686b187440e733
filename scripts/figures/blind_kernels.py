"""docs/images/blind_kernels.png: estimated kernels beside true ones, with the pictures they gave.

    python -m scripts.figures.blind_kernels --data BSDS500

Cases of docs/results/blind.csv from the best ratio to the worst, at equal distances in the ranking;
above each the part of the blurred picture, below it the same part restored with the estimate.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.estimation.kernel import estimate_kernel
from pnp_recon.estimation.kernel.judge import deconvolved
from pnp_recon.estimation.kernel.tidy import framed
from scripts.protocol import IMAGES, read_rows, save_figure
from scripts.tables.blind_kernels import NOISE, TABLE, blurred_picture

SIDE, FRAME, ROWS = 150, 43, ("blurred", "true kernel", "estimate", "with the estimate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of BSDS500")
    parser.add_argument("--count", type=int, default=8)
    args = parser.parse_args()
    paths = validation_pictures(args.data)
    ranked = sorted(read_rows(TABLE), key=lambda row: float(row["ratio"]))
    step = (len(ranked) - 1) / (args.count - 1)
    figure, axes = plt.subplots(
        len(ROWS), args.count, figsize=(1.7 * args.count, 1.75 * len(ROWS)), dpi=90, squeeze=False
    )
    for column, row in zip(
        axes.T, (ranked[round(step * i)] for i in range(args.count)), strict=True
    ):
        index = next(i for i, path in enumerate(paths) if path.stem == row["picture"])
        y, _, kernel, side, _ = blurred_picture(paths[index], index)
        estimate = estimate_kernel(y[None, None])
        restored = deconvolved(y, estimate.kernel.float(), NOISE)
        top, left = ((extent - SIDE) // 2 for extent in y.shape)
        part = (slice(top, top + SIDE), slice(left, left + SIDE))
        for axis, picture in ((column[0], y[part]), (column[3], restored[part])):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        for axis, weights in ((column[1], kernel), (column[2], estimate.kernel.float())):
            axis.imshow(framed(weights, max(FRAME, weights.shape[0])), cmap="magma", vmin=0)
        column[0].set_title(f"{row['picture']}, {side} px", fontsize=9)
        column[2].set_title(f"confidence {estimate.confidence:.2f}", fontsize=9)
        column[3].set_title(f"ratio {float(row['ratio']):.2f}", fontsize=9)
        for axis in column:
            axis.set_xticks([])
            axis.set_yticks([])
    for axis, words in zip(axes[:, 0], ROWS, strict=True):
        axis.set_ylabel(words, fontsize=9)
    save_figure(figure, IMAGES / "blind_kernels.png")


if __name__ == "__main__":
    main()
