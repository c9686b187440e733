"""Small unrolled networks, operators for them, and turns of whole reconstructions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from laws.operators import random_kernel, random_mask
from operators import (
    Convolution,
    Downsampling,
    Identity,
    Inpainting,
    LinearOperator,
    RayTransform,
    from_deepinv,
    parallel_beam,
)
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.priors.unrolled_domain import TrainedOn

SIDE = 12
GREY = (1, SIDE, SIDE)


def small(**changes: Any) -> UnrolledConfig:
    """Of two regular fields of C4, or as `changes` say."""
    return UnrolledConfig(**{"width": 8, "depth": 3, "memory": 2, **changes})


def random_network(
    config: UnrolledConfig | None = None, dtype: torch.dtype = torch.float64, seed: int = 0
) -> UnrolledNetwork:
    """Untrained, with updates as large as the picture: what they break is seen."""
    torch.manual_seed(seed)
    network = UnrolledNetwork(config or small())
    with torch.no_grad():
        for update in [*network.updates, *network.duals]:
            for weights in update.layers[-1].parameters():
                weights.mul_(10)
    return network.to(dtype)


def mri(dtype: torch.dtype) -> LinearOperator:
    """A Fourier mask of deepinv, pictures with real and imaginary part; float32 alone."""
    from deepinv.physics import MRI

    mask = random_mask((1, 1, SIDE, SIDE)).float()
    return from_deepinv(MRI(mask=mask, img_size=(2, SIDE, SIDE)), (2, SIDE, SIDE), norm_bound=1.0)


# Operators without any symmetry, in the precision wanted.
OPERATORS: dict[str, Callable[[torch.dtype], LinearOperator]] = {
    "blur": lambda dtype: Convolution(random_kernel((3, 5), dtype=dtype), GREY, "reflect"),
    "inpainting": lambda dtype: Inpainting(random_mask((SIDE, SIDE)), GREY),
    "downsampling": lambda dtype: Downsampling(random_kernel((3, 3), dtype=dtype), 2, GREY),
    "rays": lambda dtype: RayTransform(parallel_beam(7, SIDE), GREY),
    "fan": lambda dtype: RayTransform(fan(), GREY),
    "mri": mri,
}


def fan() -> Any:
    from operators import fan_beam

    return fan_beam(9, SIDE, 30.0, 20.0)


def half_mask(side: int) -> Tensor:
    """The left half is known."""
    return torch.arange(side).expand(side, side) < side // 2


def cross_mask(side: int) -> Tensor:
    """A square in the middle is missing: turns and flips leave it alone."""
    t = (2 * torch.arange(side) - side + 1).abs()
    return torch.maximum(t[:, None], t.expand(side, side)) > side // 3


def round_blur(side: int, dtype: torch.dtype) -> Convolution:
    t = torch.arange(-2, 3, dtype=dtype)
    kernel = torch.exp(-(t[:, None] ** 2 + t**2) / 2)
    return Convolution(kernel / kernel.sum(), (1, side, side), "circular")


def turning_error(network: UnrolledNetwork, A: LinearOperator, flip: bool = False) -> float:
    """Largest ‖R(A(g·x)) − g·R(A x)‖ / ‖R(A x)‖ over turns g by 90°, in float64."""
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(1, *A.image_shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        found = network(A.A(x), A)
        gaps = []
        for quarter in range(4):

            def turn(t: Tensor, quarter: int = quarter) -> Tensor:
                return torch.rot90(t.flip(-2) if flip else t, quarter, (-2, -1))

            gap = network(A.A(turn(x)), A) - turn(found)
            gaps.append(float(gap.norm() / found.norm()))
    assert all(map(math.isfinite, gaps))
    return max(gaps)


def symmetric_operators(side: int) -> dict[str, LinearOperator]:
    """Those that turns by 90° and flips commute with, or permute the measurements of."""
    return {
        "identity": Identity((1, side, side)),
        "blur": round_blur(side, torch.float64),
        "mask": Inpainting(cross_mask(side), (1, side, side)),
    }


SCAN = parallel_beam(7, SIDE)
TRAINED_ON: dict[str, Any] = {
    "operator": "RayTransform",
    "geometry": SCAN.to_dict(),
    "image_shape": list(GREY),
    "window_hu": [-1024.0, 1500.0],
    "incident": 1e4,
    "other_geometry": "refuse",
}


def network(**changes: Any) -> UnrolledNetwork:
    return random_network(small(**changes), torch.float32)


def model(**changes: Any) -> LearnedReconstruction:
    """Trained, supposedly, on `TRAINED_ON` with changes."""
    return LearnedReconstruction(network(), "net", TrainedOn.from_dict({**TRAINED_ON, **changes}))


def measured(A: LinearOperator, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return A.A(torch.rand(count, *A.image_shape, generator=generator))
