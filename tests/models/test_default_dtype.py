"""`torch.set_default_dtype` is a setting of whoever calls, and changes no bit of a result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from operators import (
    Convolution,
    Downsampling,
    Gradient,
    Identity,
    Inpainting,
    RayTransform,
    fan_beam,
    kernels,
    masks,
    parallel_beam,
)
from pnp_recon import reconstruct
from pnp_recon.models.card import float32_by_default
from pnp_recon.models.load import load_denoiser, load_unrolled
from pnp_recon.models.store import read_card
from pnp_recon.proximal import L1, Ridge, TotalVariation, WaveletL1
from pnp_recon.solvers import SOLVERS, Stopping

FEW = Stopping(max_iter=3)
OTHERS = (torch.float64, torch.float16, torch.bfloat16)
MODELS = Path(__file__).parents[2] / "trained_models"
CARDS = {card.stem: read_card(card) for card in sorted(MODELS.rglob("*.json"))}


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32)


def denoised(name: str) -> Tensor:
    card = CARDS[name]
    channels = 3 if "colour" in name else 1
    sigma = sum(card.sigma_range) / 2  # type: ignore[arg-type]
    with torch.no_grad():
        return load_denoiser(str(card.path))(random(1, channels, 17, 20), sigma)


def unrolled(name: str) -> Tensor:
    x = random(1, 1, 16, 16)
    A = RayTransform(parallel_beam(10, 16), (1, 16, 16))
    with torch.no_grad():
        return load_unrolled(str(CARDS[name].path)).network(A.A(x), A)


def made(name: str) -> Tensor:
    """A few steps of a solver with a prior that it takes."""
    A = Convolution(kernels.gaussian(1.0, 5), (1, 14, 15), "reflect")
    functional: Any = {"gradient-descent": Ridge(0.1), "ista": L1(0.01)}.get(
        name, TotalVariation(0.02, box=(0.0, 1.0))
    )
    prior = {
        "denoiser": "euler_grey",
        "functional": functional,
        "none": "auto",
        "energy": "energy_grey",
    }
    kind = SOLVERS[name].prior_kinds[0]
    return reconstruct(A.A(random(1, 1, 14, 15)), A, prior[kind], solver=name, stopping=FEW).image


def named(prior: str) -> Tensor:
    """The noise level is estimated here."""
    A = Convolution(kernels.disk(1.5), (1, 20, 22))
    known: Any = WaveletL1(0.01) if prior == "wavelet-l1" else prior
    return reconstruct(A.A(random(1, 1, 20, 22)), A, known, stopping=FEW).image


def operator(name: str) -> Tensor:
    """All that an operator computes, its norm included, and a reconstruction."""
    generator = torch.Generator().manual_seed(0)
    size = (1, 24, 24)
    made = {
        "circular blur": lambda: Convolution(kernels.linear_motion(5, 30), size),
        "zero blur": lambda: Convolution(kernels.uniform(3), size, "constant"),
        "camera shake": lambda: Convolution(kernels.trajectory(9, generator), size, "replicate"),
        "pixels": lambda: Inpainting(masks.random_pixels(size, 0.4, generator)),
        "strokes": lambda: Inpainting(masks.strokes(size[1:], 3, 3.0, generator)[None]),
        "blocks": lambda: Inpainting(masks.blocks(size[1:], 2, 4, generator)[None]),
        "downsampling": lambda: Downsampling(kernels.gaussian(1.0, 5), 2, size),
        "gradient": lambda: Gradient(size),
        "identity": lambda: Identity(size),
        "scan": lambda: RayTransform(parallel_beam(9, 24), size),
        "fan": lambda: RayTransform(fan_beam(9, 24, 60.0, 60.0), size),
    }
    A = made[name]()
    x = random(1, *size)
    y = A.A(x)
    parts = [y, A.A_adjoint(y), A.A_dagger(y), A.prox_l2(x, y, 2.0), A.initial_guess(y)]
    if name not in ("gradient",):
        parts.append(reconstruct(y, A, "euler_grey", noise_level=0.1, stopping=FEW).image)
    bound = torch.tensor([A.norm_bound], dtype=torch.float64)
    return torch.cat([bound, *(part.double().flatten() for part in parts)])


OPERATORS = (
    *("circular blur", "zero blur", "camera shake", "pixels", "strokes", "blocks", "downsampling"),
    *("gradient", "identity", "scan", "fan"),
)
CASES = {
    **{f"model {n}": (denoised, n) for n, card in CARDS.items() if card.kind == "denoiser"},
    **{f"model {n}": (unrolled, n) for n, card in CARDS.items() if card.kind == "network"},
    **{f"solver {name}": (made, name) for name in SOLVERS},
    **{f"prior {name}": (named, name) for name in ("tv", "wavelet-l1", "nlm", "median")},
    **{f"operator {name}": (operator, name) for name in OPERATORS},
}


@pytest.mark.parametrize("case", CASES)
def test_the_default_type_of_the_caller_changes_no_bit(case: str) -> None:
    compute, name = CASES[case]
    torch.set_default_dtype(torch.float32)
    expected = compute(name)
    for dtype in OTHERS:
        torch.set_default_dtype(dtype)
        found = compute(name)
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected), f"{dtype}: {float((found - expected).abs().max())}"
        assert torch.get_default_dtype() is dtype


def test_a_network_built_outside_would_change() -> None:
    """The twin: what the loading of weights is spared from."""
    torch.set_default_dtype(torch.float16)
    assert torch.nn.Conv2d(1, 1, 3).weight.dtype is torch.float16
    with float32_by_default():
        assert torch.nn.Conv2d(1, 1, 3).weight.dtype is torch.float32
    assert torch.get_default_dtype() is torch.float16
