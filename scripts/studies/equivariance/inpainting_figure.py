"""docs/images/inpainting_equivariance.png."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import torch
from torch import Tensor

from operators import Inpainting
from scripts.protocol import save_figure
from scripts.studies.equivariance.inpainting_methods import Method, relative

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(methods: list[Method], mask: Tensor, x: Tensor, path: Path) -> None:
    """A row for each method: what is measured, reconstructed and turned, and the difference."""
    A = Inpainting(mask, tuple(x.shape[1:]))
    gx = torch.rot90(x, 1, (2, 3))
    heads = (
        "measured, A x",
        "reconstructed, then turned\ng·Φ(A x)",
        "turned, then measured\nA g·x",
        "reconstructed\nΦ(A g·x)",
        "difference",
    )
    figure, axes = plt.subplots(len(methods), 5, figsize=(10, 2.15 * len(methods) + 0.5), dpi=110)
    for row, method in zip(axes, methods, strict=True):
        after = torch.rot90(method.reconstruct(A.A(x), A), 1, (2, 3))
        before = method.reconstruct(A.A(gx), A)
        for image, panel in zip((A.A(x), after, A.A(gx), before), row, strict=False):
            panel.imshow(image[0, 0], cmap="gray", vmin=0, vmax=1)
        row[4].imshow((before - after)[0, 0], cmap="RdBu_r", vmin=-0.5, vmax=0.5)
        row[4].set_xlabel(f"{100 * relative(before, after):.0f} % of ‖Φ‖", fontsize=9)
        row[0].set_ylabel(method.name, fontsize=8)
        for panel in row:
            panel.set_xticks([])
            panel.set_yticks([])
    for panel, head in zip(axes[0], heads, strict=True):
        panel.set_title(head, fontsize=9)
    save_figure(figure, path)
