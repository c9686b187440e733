"""Training of the four energies of the study: a flow and a critic, for photographs and for CT.

A critic is trained to tell true pictures from blurred ones that were inverted naively, or slices
from filtered back-projections, with as large a difference as its constant allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from operators import Convolution, attenuation, kernels, parallel_beam
from pnp_recon.models.export import export
from pnp_recon.networks.configs import CriticConfig, PatchFlowConfig
from pnp_recon.networks.energies.critic import CriticNet
from pnp_recon.networks.energies.patch_flow import PatchFlowNet
from pnp_recon.problems.noise import table_scan_noise
from pnp_recon.problems.running import running_noise
from pnp_recon.problems.simulate import in_window, tomography
from pnp_recon.scans import hounsfield_window
from pnp_recon.training.patch_flow.recipe import PatchFlowRecipe
from pnp_recon.training.patch_flow.trainer import PatchFlowTrainer
from pnp_recon.training.seeding import seeded
from scripts.studies.patch_flow.data import HIGH, LOW

LEVELS = (1 / 255, 50 / 255)
# Steps, pictures a step, their side and the rate of a critic's training.
STEPS, BATCH, SIDE, RATE = 700, 6, 48, 5e-3
# Of blurred pictures: the side, what is cut off, and about the standard deviation of pictures.
WIDE, MARGIN, SPREAD = 96, 16, 0.2
VIEWS, NOISES = 60, (0.003, 0.01, 0.02)
# Good and bad pictures (1, H, W), and how far apart they are at a pixel.
Pair = tuple[Tensor, Tensor, float]
Draw = Callable[[torch.Generator], Pair]


def train_flow(pictures: list[Tensor], name: str, out: Path, run: Path, steps: int = 5000) -> Path:
    """A patch flow of pictures (1, H, W) in [0, 1]; the run goes on where it was stopped."""
    recipe = PatchFlowRecipe(steps=steps, few=0, patch=PatchFlowConfig().size)
    with seeded(recipe.seed):
        network = PatchFlowNet(PatchFlowConfig())
    trainer = PatchFlowTrainer(network, recipe, pictures, [], run)
    trainer.run(lambda line: print(name, line.step, f"{line.loss:.3f}", flush=True), every=500)
    details = {"training": {"pictures": len(pictures), "steps": steps, "loss": recipe.loss}}
    return export(trainer.average, out, name, LEVELS, details)


def inverted(pictures: list[Tensor]) -> Draw:
    """Blurred by a camera shake, with noise, and inverted as Wiener would: what a critic meets."""

    def draw(generator: torch.Generator) -> Pair:
        picture = pictures[int(torch.randint(len(pictures), (), generator=generator))]
        top, left = (
            int(torch.randint(side - WIDE + 1, (), generator=generator))
            for side in picture.shape[1:]
        )
        good = picture[:, top : top + WIDE, left : left + WIDE]
        # Seeds apart from that of the table.
        seed = int(torch.randint(1000, 100_000, (), generator=generator))
        A = Convolution(kernels.trajectory(25, seed), good.shape, boundary="circular")
        noise = 1.5 / 255 * 10 ** float(torch.rand((), generator=generator))
        y = A.A(good[None]) + noise * running_noise(generator)(good)
        bad = A.prox_l2(torch.full_like(y, float(y.mean())), y, (SPREAD / noise) ** 2)[0]
        inside = slice(MARGIN, WIDE - MARGIN)
        good, bad = good[:, inside, inside], bad[:, inside, inside]
        return good, bad, float((bad - good).square().mean().sqrt())

    return draw


def back_projected(slices: list[Tensor]) -> Draw:
    window, pairs = hounsfield_window(), []
    for index, u in enumerate(slices):
        x = attenuation(u * (HIGH - LOW) + LOW)[None]
        for k, noise in enumerate(NOISES):
            seed = 100_000 + 10 * index + k  # apart from those of tables
            scan = tomography(x, parallel_beam(VIEWS, x.shape[-1]), noise, table_scan_noise(seed))
            good = in_window(scan, window).truth
            assert good is not None
            bad = window.to_unit(scan.A.fbp(scan.y, "hann", 0.75))  # type: ignore[attr-defined]
            pairs.append((good[0], bad[0], float((bad - good).square().mean().sqrt())))
    return lambda generator: pairs[int(torch.randint(len(pairs), (), generator=generator))]


def train_critic(draw: Draw, name: str, out: Path, steps: int = STEPS) -> Path:
    """The largest E C(bad) − E C(good) that is found; Lip C ≤ 1 is proven at the end."""
    with seeded(0):
        network = CriticNet(CriticConfig()).train()
    optimiser = torch.optim.Adam(network.parameters(), RATE, betas=(0.9, 0.99))
    generator, running = torch.Generator().manual_seed(1), 0.0
    for step in range(steps):
        fade = 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 50) * fade
        drawn = [cropped(draw(generator), generator) for _ in range(BATCH)]
        both = torch.stack([pair[k] for k in (0, 1) for pair in drawn])
        levels = torch.tensor([pair[2] for pair in drawn] * 2)
        # A difference of 1 is that of σ at every pixel: no critic exceeds it.
        values = network.critic(both, levels) / (levels * SIDE)
        gap = values[BATCH:].mean() - values[:BATCH].mean()
        optimiser.zero_grad()
        (-gap).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        running += (float(gap.detach()) - running) * max(0.02, 1 / (step + 1))
        if step % 100 == 99:
            print(name, step + 1, f"difference {running:.3f}", flush=True)
    details = {"training": {"steps": steps, "difference": round(running, 4)}}
    return export(network.eval(), out, name, LEVELS, details)


def cropped(pair: Pair, generator: torch.Generator) -> Pair:
    good, bad, level = pair
    top, left = (
        int(torch.randint(side - SIDE + 1, (), generator=generator)) for side in good.shape[1:]
    )
    rows, columns = slice(top, top + SIDE), slice(left, left + SIDE)
    return good[:, rows, columns], bad[:, rows, columns], level


def train_all(photographs: Path | None, archive: Path | None, models: Path, runs: Path) -> None:
    """All that is missing in the folder of models."""
    from scripts.studies.patch_flow.data import photographs as chosen_photographs
    from scripts.studies.patch_flow.data import slices as chosen_slices

    groups = []
    if photographs is not None:
        groups.append(("grey", chosen_photographs(photographs), inverted))
    if archive is not None:
        groups.append(("ct", chosen_slices(archive), back_projected))
    for kind, pictures, degraded in groups:
        if not (models / f"patch_flow_{kind}.json").exists():
            train_flow(pictures, f"patch_flow_{kind}", models, runs / f"patch_flow_{kind}")
        if not (models / f"critic_{kind}.json").exists():
            train_critic(degraded(pictures), f"critic_{kind}", models)
