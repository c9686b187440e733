"""Evaluation of learned energies: denoising, and deblurring at the critical point of an energy."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pnp_recon.networks.energies.energy import Energy
from pnp_recon.problems.noise import energy_noise, seeded
from scripts.accelerator.data import load, to_float

# Noise levels of the validation, σ·255.
LEVELS = (5, 15, 25)


def psnr(x: Tensor, ref: Tensor) -> Tensor:
    """PSNR per picture with range 1, unclipped, of the whole picture."""
    return -10 * torch.log10((x - ref).square().mean((1, 2, 3)))


def crops(paths: Sequence[Path], channels: int, device: torch.device, size: int) -> list[Tensor]:
    """Central crops (channels, size, size), or whole pictures with size 0."""
    found = [to_float(load(path).to(device), channels) for path in paths]
    if not size:
        return found
    tops = [[(side - size) // 2 for side in p.shape[1:]] for p in found]
    return [
        p[:, max(0, a) : max(0, a) + size, max(0, b) : max(0, b) + size]
        for p, (a, b) in zip(found, tops, strict=True)
    ]


@torch.no_grad()
def denoising(
    energy: Energy, pictures: Sequence[Tensor], levels: Sequence[float] = LEVELS, batch: int = 8
) -> dict[str, float]:
    """Mean PSNR of the pictures, for every noise level σ·255."""
    found: dict[str, float] = {}
    for level in levels:
        values: list[Tensor] = []
        for i in range(0, len(pictures), batch):
            x = torch.stack(list(pictures[i : i + batch]))
            n = torch.stack([energy_noise(level, i + j)(p) for j, p in enumerate(x)])
            values.append(psnr(energy.denoise(x + n * (level / 255), level / 255), x))
        found[f"{level:g}"] = round(float(torch.cat(values).mean()), 3)
    return found


def trajectory_kernel(size: int = 19, seed: int = 7) -> Tensor:
    """A motion kernel: a smooth random walk, drawn bilinearly, not negative, of sum 1."""
    generator = seeded(seed)
    velocity, place, path = torch.randn(2, generator=generator), torch.zeros(2), []
    for _ in range(400):
        velocity = 0.985 * velocity + 0.17 * torch.randn(2, generator=generator)
        place = place + 0.05 * velocity
        path.append(place.clone())
    q = torch.stack(path)
    q = q - q.mean(0)
    q = q / q.abs().max() * (size // 2 - 1) + size // 2
    k = torch.zeros(size, size)
    for y, x in q.tolist():
        i, j = int(y), int(x)
        for a, along in ((i, i + 1 - y), (i + 1, y - i)):
            for b, across in ((j, j + 1 - x), (j + 1, x - j)):
                k[a, b] += along * across
    return k / k.sum()


def transfer(kernel: Tensor, size: int) -> Tensor:
    """rfft2 transfer function of a centred circular convolution of size × size pictures."""
    k = torch.zeros(size, size, dtype=kernel.dtype)
    k[: kernel.shape[0], : kernel.shape[1]] = kernel
    k = torch.roll(k, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    return torch.fft.rfft2(k)


def blur(x: Tensor, h: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(x) * h, s=x.shape[-2:])


@torch.no_grad()
def critical_point(
    energy: Energy,
    y: Tensor,
    h: Tensor,
    sigma: Tensor,
    weight: Tensor,
    iterations: int = 300,
    deadline: float = math.inf,
) -> tuple[Tensor, Tensor]:
    """Accelerated gradient descent on ½‖Ax − y‖² + λR_σ(x), backtracking for each picture.

    Returns:
        The last iterates, and the norm of their gradient relative to the first one.
    """

    def value(x: Tensor) -> Tensor:
        data = 0.5 * (blur(x, h) - y).square().sum((1, 2, 3))
        return data + weight * energy.value(x, sigma)

    x, z = y.clone(), y.clone()
    t = torch.ones(len(y), device=y.device)
    bend, first, relative = 1 + weight, None, torch.ones_like(t)
    for _ in range(iterations):
        if time.time() > deadline:
            break
        residual = blur(z, h) - y
        r, slope = energy.value_and_gradient(z, sigma)
        e = 0.5 * residual.square().sum((1, 2, 3)) + weight * r
        g = blur(residual, h.conj()) + weight[:, None, None, None] * slope
        size = g.square().sum((1, 2, 3))
        first = size.clone() if first is None else first
        new = z - g / bend[:, None, None, None]
        fine = value(new) <= e - 0.45 * size / bend + 1e-6 * e.abs()
        relative = torch.where(fine, (size / first).sqrt(), relative)
        ahead = (g * (new - x)).sum((1, 2, 3)) > 0
        t = torch.where(ahead, torch.ones_like(t), t)
        larger = 0.5 * (1 + (1 + 4 * t * t).sqrt())
        momentum = torch.where(ahead, torch.zeros_like(t), (t - 1) / larger)[:, None, None, None]
        keep = fine[:, None, None, None]
        z = torch.where(keep, new + momentum * (new - x), z)
        x = torch.where(keep, new, x)
        t = torch.where(fine, larger, t)
        bend = torch.where(fine, bend * 0.97, bend * 1.8).clamp_min(0.2)
    return x, relative


@torch.no_grad()
def deblurring(
    energy: Energy,
    x: Tensor,
    iterations: int = 300,
    seconds: float = 30.0,
    sigmas: Sequence[float] = (1.0, 2.0, 4.0, 8.0),
    factors: Sequence[float] = (0.35, 0.7, 1.4, 2.8),
    chunk: int = 160,
) -> dict[str, dict[str, float]]:
    """The best PSNR of a small grid over σ and λ for each noise level, mean of pictures x."""
    h = transfer(trajectory_kernel(), x.shape[-1]).to(x.device)
    found: dict[str, dict[str, float]] = {}
    levels = (2.55, 7.65, 12.75)
    end = time.time() + seconds
    for left, level in zip(range(len(levels), 0, -1), levels, strict=True):
        noise = level / 255
        blurred = blur(x, h) + noise * torch.stack(
            [energy_noise(level, i)(p) for i, p in enumerate(x)]
        )
        grid = sorted({(min(m * noise, 50 / 255), f) for m in sigmas for f in factors})
        pairs = torch.tensor([(a, f * (noise / a) ** 2) for a, f in grid], device=x.device)
        sigma, weight = pairs.repeat_interleave(len(x), 0).unbind(1)
        measured = blurred.repeat(len(grid), 1, 1, 1)
        stop = time.time() + (end - time.time()) / left
        parts = range(0, len(measured), chunk)
        ends = []
        for later, i in zip(range(len(parts), 0, -1), parts, strict=True):
            till = time.time() + (stop - time.time()) / later
            part = slice(i, i + chunk)
            y, s, w = measured[part], sigma[part], weight[part]
            ends.append(critical_point(energy, y, h, s, w, iterations, till))
        pictures, relative = (torch.cat(each) for each in zip(*ends, strict=True))
        table = psnr(pictures, x.repeat(len(grid), 1, 1, 1)).view(len(grid), len(x))
        best = int(table.mean(1).argmax())
        found[f"{level:g}"] = {
            "psnr": round(float(table.mean(1)[best]), 3),
            "best_per_picture": round(float(table.amax(0).mean()), 3),
            "blurred": round(float(psnr(blurred, x).mean()), 3),
            "sigma255": round(grid[best][0] * 255, 2),
            "lambda_factor": grid[best][1],
            "gradient_left": float(f"{float(relative.view(len(grid), -1)[best].mean()):.2e}"),
        }
    return found
