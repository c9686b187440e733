"""A slice of the CT study, upright and turned, restored by the twins that saw five scans."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pnp_recon.pictures.metrics import psnr
from pnp_recon.training.trainer import read_checkpoint
from scripts.studies.equivariance.ct_data import TESTING, read, scans, turned
from scripts.studies.equivariance.ct_runs import SIDE, network

SLICE, COUNT, SEED = 0, 5, 0
NAMES = {"C1": f"ordinary, {COUNT} scans", "C4": f"equivariant, {COUNT} scans"}


@torch.no_grad()
def draw(data: Path, runs: Path, images: Path) -> None:
    import matplotlib.pyplot as plt

    val = read(data, "val")
    figure, axes = plt.subplots(4, 4, figsize=(11, 11.4), constrained_layout=True)
    for row, archive in enumerate((val, turned(val))):
        A, pairs = scans(archive, [SLICE], SIDE, TESTING)
        y, truth = pairs.measurements, pairs.pictures
        found: dict[str, Tensor] = {"filtered back-projection": A.fbp(y)}
        for group, name in NAMES.items():
            model = network(group, SEED).eval()
            folder = runs / "equivariance_ct" / f"{group}_{COUNT:03d}_{SEED}"
            model.load_state_dict(read_checkpoint(folder / "checkpoint.pt")["average"])
            found[name] = model(y, A)
        panels = axes[2 * row : 2 * row + 2]
        for column, (name, image) in enumerate(found.items()):
            clipped = image.clamp(0, 1)
            panels[0][column].imshow(clipped[0, 0], cmap="gray", vmin=0.25, vmax=0.55)
            panels[0][column].set_title(f"{name}: {float(psnr(clipped, truth)):.2f} dB", fontsize=9)
            error = clipped[0, 0] - truth[0, 0]
            panels[1][column].imshow(error, cmap="gray", vmin=-0.1, vmax=0.1)
        panels[0][3].imshow(truth[0, 0], cmap="gray", vmin=0.25, vmax=0.55)
        panels[0][3].set_title("upright" if row == 0 else "turned, never seen so", fontsize=9)
        panels[1][1].set_title("errors, ±0.1 of the window", fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    figure.savefig(images / "equivariance_ct_pictures.png", dpi=80)
    plt.close(figure)
