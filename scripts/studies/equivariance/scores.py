"""What is measured of a trained denoiser of rectangles."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.problems.noise import seeded
from scripts.studies.equivariance.denoiser import psnrs
from scripts.studies.equivariance.scenes import draw, noisy, random_scenes

TEST_SEED, TEST_PICTURES = 901, 100
# Larger pictures for turns by 45°, and the disc in them that neither the border of the picture nor
# that of the turned one reaches through 22 convolutions of 3×3.
WIDE, DISC = 120, 28


def evaluation_pictures(
    sigma: float, count: int = TEST_PICTURES
) -> dict[str, tuple[Tensor, Tensor]]:
    """(truth, noisy) of upright scenes ("grid"), and of the same ones at random angles."""
    generator = seeded(TEST_SEED)
    scenes = random_scenes(count, generator)
    angles = 360 * torch.rand(count, generator=generator)
    pictures = {"grid": draw(scenes), "turned": draw(scenes, angles)}
    return {name: (x, noisy(x, sigma, generator)) for name, x in pictures.items()}


@torch.no_grad()
def restored(network: nn.Module, y: Tensor, batch: int = 10) -> Tensor:
    return torch.cat([network(part) for part in y.split(batch)])


def evaluation_psnr(
    network: nn.Module, sigma: float, count: int = TEST_PICTURES
) -> dict[str, float]:
    """Mean PSNR in dB over the test pictures, in float32."""
    return {
        f"psnr_{name}": float(psnrs(restored(network, y), truth).mean())
        for name, (truth, y) in evaluation_pictures(sigma, count).items()
    }


def turned(x: Tensor, degrees: float) -> Tensor:
    """x turned counter-clockwise about its centre: exact for quarter turns, else bicubic."""
    quarter = degrees / 90
    if quarter == int(quarter):
        return torch.rot90(x, int(quarter), (-2, -1))
    phase = math.radians(degrees)
    c, s = math.cos(phase), math.sin(phase)
    # Rows run downwards: where the picture turns counter-clockwise, (x, y) of the grid comes from
    # (c x − s y, s x + c y).
    matrix = torch.tensor([[c, -s, 0.0], [s, c, 0.0]], dtype=x.dtype).expand(len(x), 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", align_corners=False)


@torch.no_grad()
def equivariance_error(network: nn.Module, sigma: float, degrees: float, count: int = 2) -> float:
    """‖N(turned y) − turned N(y)‖ / ‖turned N(y)‖ for the correction N(y) = network(y) − y.

    Over the central disc of wide noisy pictures. Turns other than quarter turns interpolate y and
    N(y), which the error includes.
    """
    dtype = next(network.parameters()).dtype
    generator = seeded(TEST_SEED + 1)
    y = noisy(draw(random_scenes(count, generator, WIDE), size=WIDE), sigma, generator).to(dtype)
    steps = torch.arange(WIDE) + 0.5 - WIDE / 2
    disc = (steps[:, None].square() + steps.square()).sqrt() < DISC
    after = turned(network(y) - y, degrees) * disc
    around = turned(y, degrees)
    before = (network(around) - around) * disc
    return float((before - after).norm() / after.norm())
