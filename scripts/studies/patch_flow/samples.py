"""Samples about a reconstruction by unadjusted Langevin steps: a demonstration, without a theorem.

x ← x − (δ/2) ∇U(x) + √δ n with U = ‖Ax − y‖²/2σ² + Σ −log p; Laumont et al. (2022) do it with
denoisers. The sum over overlapping patches, divided by the patch's size, is no density of pictures
that anything is proven of, the step is not small against ∇U's changes everywhere, and the chain is
short: what comes out shows where the energy leaves pictures open, and is no posterior.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from operators import Inpainting
from pnp_recon import reconstruct
from pnp_recon.datasets.splits import bsd68
from pnp_recon.models.load import load_energy
from pnp_recon.solvers import Stopping
from scripts.protocol import crop, save_figure

SIDE, NOISE, LEVEL, MISSING = 64, 7.65 / 255, 7.65 / 255, 0.5
BURN, KEPT = 100, 300


def langevin(
    energy: object, mask: Tensor, y: Tensor, start: Tensor, burn: int, kept: int, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and the last one of `kept` samples after `burn` steps."""
    generator = torch.Generator().manual_seed(seed)
    # Of the data ∇U bends by 1/σ², of the flow by about 1/level².
    delta = 0.5 / (1 / NOISE**2 + 1 / LEVEL**2)
    x, total, square = start, torch.zeros_like(start), torch.zeros_like(start)
    for step in range(burn + kept):
        pull = mask * (x - y) / NOISE**2 + energy.gradient(x, LEVEL) / LEVEL**2  # type: ignore[attr-defined]
        noise = torch.randn(x.shape, generator=generator)
        x = x - delta / 2 * pull + delta**0.5 * noise
        if step >= burn:
            total, square = total + x, square + x * x
    mean = total / kept
    return mean, (square / kept - mean**2).clamp_min(0).sqrt(), x


def draw_samples(
    folder: Path, models: Path, path: Path, burn: int = BURN, kept: int = KEPT
) -> dict[str, float]:
    """A crop of which half is missing: data, critical point, mean, a sample, spread, error."""
    from matplotlib.figure import Figure

    energy = load_energy(str(models / "patch_flow_grey.json"))
    picture = bsd68(folder)[34]
    truth = crop(picture, SIDE, grey=True).float()
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(truth.shape, generator=generator) > MISSING).float()
    y = mask * (truth + NOISE * torch.randn(truth.shape, generator=generator))
    with torch.no_grad():
        A = Inpainting(mask[0, 0], truth.shape[1:])
        stopping = Stopping(tol=1e-3, max_iter=20)
        solution = reconstruct(y, A, energy, noise_level=NOISE, strength=1.0, stopping=stopping)
        start = solution.image
        mean, spread, sample = langevin(energy, mask, y, start, burn, kept)
    error = (mean - truth).abs()
    hidden = mask == 0
    together = torch.stack((error[hidden], spread[hidden]))
    found = {
        "descent": float(-10 * torch.log10((start - truth).square().mean())),
        "mean": float(-10 * torch.log10((mean - truth).square().mean())),
        "sample": float(-10 * torch.log10((sample - truth).square().mean())),
        "correlation": float(torch.corrcoef(together)[0, 1]),
        "within two": float((error <= 2 * spread).float().mean()),
    }
    figure = Figure(figsize=(14, 2.4))
    axes = figure.subplots(1, 7)
    top = float(max(error.max(), 3 * spread.max()))
    shown = {
        "truth": (truth, 1.0), "half of it, with noise": (y, 1.0),
        f"critical point, {found['descent']:.1f} dB": (start, 1.0),
        f"mean, {found['mean']:.1f} dB": (mean, 1.0),
        f"a sample, {found['sample']:.1f} dB": (sample, 1.0),
        "standard deviation × 3": (3 * spread, top), "error of the mean": (error, top),
    }  # fmt: skip
    for axis, (title, (image, high)) in zip(axes, shown.items(), strict=True):
        axis.imshow(image[0, 0].numpy(), cmap="gray" if high == 1.0 else "magma", vmin=0, vmax=high)
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    save_figure(figure, path)
    print(found)
    return found
