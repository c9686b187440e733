"""Models, pictures, operators and runs that several sections use."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Convolution, Downsampling, Identity, Inpainting, LinearOperator, kernels
from operators.masks import random_pixels
from pnp_recon import Denoiser, Solution, load_denoiser
from pnp_recon.files import shipped
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.priors.denoiser import Precision
from pnp_recon.problems.noise import noisy
from scripts.accelerator.checks.session import Found, Mode

MODELS = (
    "euler_colour",
    "euler_grey",
    "euler_grey_eq",
    "euler_ct",
    "dncnn_grey",
    "dncnn_colour",
)
NOISE = 0.01


@cache
def model(
    name: str,
    device: str,
    mode: Mode = "f32",
    dtype: torch.dtype = torch.float32,
    tile: Any = "auto",
) -> Denoiser:
    """A shipped model; its weights are loaded once."""
    bits: Precision = "bfloat16" if mode == "bf16" else "float32"
    return load_denoiser(name, device=device, dtype=dtype, precision=bits, tile=tile)


def channels_of(name: str) -> int:
    return 3 if name.endswith("colour") else 1


@cache
def _photograph() -> Tensor:
    return read_picture(shipped("samples/coffee.png")).pixels


def picture(height: int, width: int, channels: int = 3, batch: int = 1) -> Tensor:
    """Parts of a shipped photograph (B, C, H, W), which is enlarged where it is too small."""
    x = _photograph()
    if x.shape[-2] < height or x.shape[-1] < width:
        larger = (max(height, x.shape[-2]), max(width, x.shape[-1]))
        x = F.interpolate(x, larger, mode="bilinear")
    parts = []
    for index in range(batch):
        top = min(40 * index, x.shape[-2] - height)
        left = min(60 * index, x.shape[-1] - width)
        parts.append(x[..., top : top + height, left : left + width])
    found = torch.cat(parts).contiguous()
    return to_grey(found) if channels == 1 else found


def operator_of(
    kind: str, shape: tuple[int, ...], device: str, dtype: torch.dtype = torch.float32
) -> LinearOperator:
    """An operator by its name in the tables, such as "conv valid motion9" or "inpaint"."""
    word, *rest = kind.split()
    size = (shape[0], shape[1], shape[2])
    if word == "conv":
        border, kernel = rest
        return Convolution(_kernel(kernel).to(device, dtype), size, border)  # type: ignore[arg-type]
    if word == "inpaint":
        return Inpainting(_mask(size, 0.5, 0).to(device), size)
    if word == "down2":
        return Downsampling(kernels.gaussian(1.2, 7).to(device, dtype), 2, size)
    if word == "compose":
        inner = Convolution(kernels.gaussian(1.2, 7).to(device, dtype), size, "replicate")
        return Inpainting(_mask(size, 0.3, 1).to(device), size) @ inner
    if word == "identity":
        return Identity(size)
    raise ValueError(f"unknown operator {kind!r}")


def _mask(size: tuple[int, int, int], missing: float, seed: int) -> Tensor:
    return random_pixels(size[1:], missing, torch.Generator().manual_seed(seed))


def _kernel(name: str) -> Tensor:
    if name == "gauss5":
        return kernels.gaussian(1.0, 5)
    return kernels.linear_motion(length=int(name.removeprefix("motion")), angle=30)


@torch.no_grad()
def measured(kind: str, x: Tensor) -> Tensor:
    """Measurements of `x` with noise, made on the CPU, so that every device has the same."""
    return noisy(operator_of(kind, tuple(x.shape[1:]), "cpu").A(x), NOISE, 0)


def summary(solution: Solution) -> Found:
    """What the tables say of a run."""
    certificate = solution.certificate
    return {
        "status": solution.status.name,
        "iterations": solution.iterations,
        "theorem": certificate.theorem.kind,
        "verdict": certificate.verdict[:160],
        "proven": certificate.proven,
        "contradicted": certificate.contradicted,
        "observed": [str(item) for item in certificate.observed],
        "last_relative": max(solution.history.relative(-1)) if solution.iterations else None,
        "device": str(solution.image.device),
        "dtype": str(solution.image.dtype),
    }
