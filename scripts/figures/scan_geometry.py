"""docs/images/scan_geometry.png: which way a scan turns, and which way its detector counts.

    python -m scripts.figures.scan_geometry

The views are the package's own: a slice with an off-centre dot is projected at 0°, 40° and 90°.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from operators import RayTransform, ScanGeometry
from scripts.protocol import save_figure

SIZE, ANGLES = 64, (0, 40, 90)
INK, BLUE, ORANGE = "#22303c", "#2166ac", "#d9822b"


def phantom() -> np.ndarray:
    """A disc with a dot to the right and above."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return ((x**2 + y**2 < 22**2) + 2.0 * ((x - 12) ** 2 + (y + 9) ** 2 < 16)).astype(np.float32)


def draw(axes: Any, slice_: np.ndarray, degrees: float) -> None:
    half = SIZE / 2
    axes.imshow(slice_, cmap="gray_r", extent=(-half, half, -half, half), vmax=6)
    angle = math.radians(degrees)
    along = np.array([math.cos(angle), math.sin(angle)])
    ray = np.array([-math.sin(angle), math.cos(angle)])
    place = 1.25 * half * ray
    ends = np.stack([place - half * along, place + half * along])
    axes.plot(*ends.T, color=INK, lw=5, solid_capstyle="butt")
    for end, text, side in zip(ends, ("pixel 0", f"pixel {SIZE - 1}"), (-13, 13), strict=True):
        axes.annotate(text, end + side * along, ha="center", va="center", color=INK, fontsize=8)
    for shift in np.linspace(-0.8, 0.8, 5) * half:
        start = -1.25 * half * ray + shift * along
        arrow = {"arrowstyle": "->", "color": BLUE}
        axes.annotate("", 1.2 * half * ray + shift * along, start, arrowprops=arrow)
    scan = ScanGeometry("parallel", (angle,), SIZE)
    view = RayTransform(scan, (1, SIZE, SIZE)).A(torch.from_numpy(slice_)[None, None])[0, 0, 0]
    height = 0.45 * half * view.numpy() / 80
    s = np.arange(SIZE) - (SIZE - 1) / 2
    curve = place[None] + 6 * ray + s[:, None] * along + height[:, None] * ray
    axes.plot(*curve.T, color=ORANGE, lw=1.6)
    axes.set_title(f"θ = {degrees}°", color=INK, fontsize=10, y=0.95)
    axes.set_xlim(-2.2 * half, 2.2 * half)
    axes.set_ylim(-2.2 * half, 2.2 * half)
    axes.set_axis_off()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs/images/scan_geometry.png"))
    options = parser.parse_args()
    figure, panels = plt.subplots(1, len(ANGLES), figsize=(9.6, 3.6), dpi=100)
    for axes, degrees in zip(panels, ANGLES, strict=True):
        draw(axes, phantom(), degrees)
    save_figure(figure, options.output)


if __name__ == "__main__":
    main()
