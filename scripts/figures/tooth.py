"""docs/images/tooth.png: a measured scan by filtered back-projection, TV and plug-and-play.

    python -m scripts.figures.tooth tooth.h5 [--size 340]

The scan is TomoPy's tooth (UChicago Argonne, 3-clause BSD): 181 projections over 0° to 179°, two
slices, flat and dark fields; the rotation axis is found, and `--rings` fits the stripes of the
detector. It runs `pnp-ct` three times.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from pnp_recon.cli.ct import main as pnp_ct
from scripts.protocol import save_figure

METHODS = {
    "fbp": "filtered back-projection",
    "tv": "total variation",
    "pnp": "plug-and-play, certified",
}
# Of the default, an energy, faint rings of a measured scan become strands.
MORE = {"pnp": ["--denoiser", "euler_ct"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("--size", type=int, default=340)
    parser.add_argument("--tol", default="1e-4")
    parser.add_argument("--output", type=Path, default=Path("docs/images/tooth.png"))
    options = parser.parse_args()
    slices = {}
    with tempfile.TemporaryDirectory() as folder:
        for method in METHODS:
            target = Path(folder) / f"{method}.npy"
            code = pnp_ct([str(options.scan), "-o", str(target), "--method", method, "--slice", "0",
                           "--rings", "--size", str(options.size), "--tol", options.tol,
                           "--no-picture", *MORE.get(method, [])])  # fmt: skip
            if code:
                raise SystemExit(code)
            slices[method] = np.squeeze(np.load(target))
    low, high = np.percentile(slices["fbp"], (1, 99.8))
    side = options.size
    detail = (slice(int(0.3 * side), int(0.55 * side)), slice(int(0.35 * side), int(0.6 * side)))
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.6), dpi=100)
    for (method, words), column in zip(METHODS.items(), axes.T, strict=True):
        for panel, picture in zip(column, (slices[method], slices[method][detail]), strict=True):
            panel.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            panel.set_axis_off()
        column[0].set_title(words)
    save_figure(figure, options.output)


if __name__ == "__main__":
    main()
