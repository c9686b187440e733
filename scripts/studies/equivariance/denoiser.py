"""The residual networks of the rectangles, their loss and their training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.equivariant import Group, GroupConv, regulars, scalars
from pnp_recon.problems.noise import seeded
from pnp_recon.training.recipe import Recipe
from pnp_recon.training.trainer import Trainer
from scripts.studies.equivariance.scenes import draw, noisy, random_scenes

WIDTH, BLOCKS = 64, 10
# Group and filters of each network; C1 makes ordinary convolutions of the same layers. The one in
# the middle has the equivariant one's space of filters without its ties: it tells the two apart.
NETWORKS: dict[str, tuple[str, str | None]] = {
    "ordinary": ("C1", None),
    "harmonic": ("C1", "harmonic"),
    "equivariant": ("C8", None),
}
# Of the validation pictures; test pictures and training runs have other seeds.
VALIDATION_SEED, VALIDATION_PICTURES = 900, 8
SMOOTHING = 1e-3  # of the absolute value in the total variation


class Block(nn.Module):
    """z ↦ z + K₂ relu(K₁ z + b₁) + b₂; it starts close to the identity."""

    def __init__(self, group: Group, width: int, filters: str | None = None) -> None:
        super().__init__()
        hidden = regulars(group, width // group.order)
        self.first = GroupConv(hidden, hidden, 3, filters=filters)
        self.second = GroupConv(hidden, hidden, 3, filters=filters)
        with torch.no_grad():
            for weights in self.second.parameters():
                weights.mul_(0.1)

    def forward(self, z: Tensor) -> Tensor:
        return z + self.second(F.relu(self.first(z)))


class RectangleDenoiser(nn.Module):
    """Picture + network(picture): 3 → width, `blocks` residual blocks, width → 3 channels."""

    def __init__(
        self,
        group: Group,
        width: int = WIDTH,
        blocks: int = BLOCKS,
        filters: str | None = None,
    ) -> None:
        super().__init__()
        colours, hidden = scalars(group, 3), regulars(group, width // group.order)
        self.lift = GroupConv(colours, hidden, 3, filters=filters)
        self.blocks = nn.Sequential(*(Block(group, width, filters) for _ in range(blocks)))
        self.project = GroupConv(hidden, colours, 3, filters=filters)
        with torch.no_grad():
            for weights in self.project.parameters():
                weights.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.lift(x.contiguous(memory_format=torch.channels_last))
        return x + self.project(self.blocks(F.relu(z))).to(x.dtype)


def build(name: str, seed: int, blocks: int = BLOCKS) -> RectangleDenoiser:
    torch.manual_seed(seed)
    group, filters = NETWORKS[name]
    return RectangleDenoiser(Group.named(group), blocks=blocks, filters=filters)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def smoothed_tv(error: Tensor) -> Tensor:
    """Σ √(|∇e|² + ε²) − ε over pixels and channels, forward differences, a number a pixel."""
    across = F.pad(error.diff(dim=-1), (0, 1))
    down = F.pad(error.diff(dim=-2), (0, 0, 0, 1))
    size = (across.square() + down.square() + SMOOTHING**2).sqrt() - SMOOTHING
    return size.sum() / (error.shape[0] * error.shape[-2] * error.shape[-1])


def loss(error: Tensor, tv_weight: float) -> Tensor:
    """½ ‖e‖² + λ TV_ε(e), both a pixel."""
    pixels = error.shape[0] * error.shape[-2] * error.shape[-1]
    return 0.5 * error.square().sum() / pixels + tv_weight * smoothed_tv(error)


@dataclass(frozen=True, kw_only=True)
class RectanglesRecipe(Recipe):
    """`Recipe`, the noise level and λ of the loss."""

    warmup: int = 20
    ema: float = 0.98
    sigma: float = 0.1
    tv_weight: float = 0.005


class RectanglesTrainer(Trainer):
    """Trains on pictures that are drawn on the fly, upright ones only."""

    recipe: RectanglesRecipe

    def __init__(self, network: nn.Module, recipe: RectanglesRecipe, folder: Path) -> None:
        generator = seeded(VALIDATION_SEED)
        scenes = random_scenes(VALIDATION_PICTURES, generator)
        angles = 360 * torch.rand(len(scenes), generator=generator)
        self.validation = {
            name: (clean, noisy(clean, recipe.sigma, generator))
            for name, clean in (("grid", draw(scenes)), ("turned", draw(scenes, angles)))
        }
        super().__init__(network, recipe, folder)

    def objective(self) -> Tensor:
        truth = draw(random_scenes(self.recipe.batch, self.generator))
        y = noisy(truth, self.recipe.sigma, self.generator)
        with self.autocast():
            restored = self.network(y)
        # About 1 for the noise itself, apart from the total variation.
        return loss(restored.float() - truth, self.recipe.tv_weight) / (1.5 * self.recipe.sigma**2)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean PSNR in dB of upright and of turned pictures."""
        found = {}
        for name, (truth, y) in self.validation.items():
            with self.autocast():
                restored = self.average(y)
            found[f"psnr_{name}"] = float(psnrs(restored.float(), truth).mean())
        return found


def psnrs(restored: Tensor, truth: Tensor) -> Tensor:
    """PSNR of each picture, clipped to [0, 1], as in the other tables."""
    error = (restored.clamp(0, 1) - truth).square().mean((1, 2, 3))
    return -10 * error.log10()
