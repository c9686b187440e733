"""Reconstructions of pictures with missing pixels, the proximal maps inside them, and their errors.

What is measured: by how much each fails to commute with turns by 90°.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from operators import Inpainting
from operators.base import LinearOperator
from operators.differences import Gradient
from operators.sampling import Identity
from pnp_recon import reconstruct
from pnp_recon.fidelity import LeastSquares
from pnp_recon.files import shipped
from pnp_recon.networks.unrolled import UnrolledConfig, UnrolledNetwork
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.problems.noise import seeded
from pnp_recon.proximal import L1, TotalVariation
from pnp_recon.solvers import PDHG, Stopping, iterate
from pnp_recon.solvers.convex.blocks import Block
from pnp_recon.solvers.convex.steps import balanced_steps
from pnp_recon.training.unrolled.recipe import UnrolledRecipe
from pnp_recon.training.unrolled.trainer import Pairs, UnrolledTrainer

SIZE = 64
WEIGHT, PROX_WEIGHT = 0.01, 0.1
PRIMAL_STEP = 10.0  # balances pictures of size 1 and duals of size 0.01
STOPPING = Stopping(tol=1e-6, max_iter=600)
STEPS, PAIRS = 100, 64


@dataclass(frozen=True)
class Method:
    """A reconstruction Φ(y, A), and the proximal map inside it as a map of pictures."""

    name: str
    reconstruct: Callable[[Tensor, LinearOperator], Tensor]
    prox: Callable[[Tensor], Tensor]


def axis_total_variation(y: Tensor, A: LinearOperator, weight: float) -> Tensor:
    """argmin ½‖Ax − y‖² + weight·Σ |∂₁x| + |∂₂x|, by the primal-dual method.

    The anisotropic total variation is invariant under quarter turns and flips of the grid, to
    rounding. The isotropic one by forward differences is not: a turn makes some of them backward.
    """
    slopes = Gradient(A.image_shape)
    sigmas = balanced_steps((slopes.norm_bound,), (1.0,), PRIMAL_STEP)
    block = Block(slopes, L1(weight))
    fidelity = LeastSquares(A, y)
    solver = PDHG(fidelity, (block,), PRIMAL_STEP, sigmas, A.initial_guess(y))
    return iterate(solver, STOPPING).image


def isotropic_total_variation(y: Tensor, A: LinearOperator, weight: float) -> Tensor:
    return reconstruct(y, A, TotalVariation(weight), stopping=STOPPING).image


def variational(name: str, solve: Callable[[Tensor, LinearOperator, float], Tensor]) -> Method:
    """The proximal map is the same minimisation with the identity for A."""
    return Method(
        name,
        lambda y, A: solve(y, A, WEIGHT),
        lambda x: solve(x, Identity(tuple(x.shape[1:])), PROX_WEIGHT),
    )


def unrolled(name: str, network: UnrolledNetwork) -> Method:
    exact = network.double().eval()

    @torch.no_grad()
    def solve(y: Tensor, A: LinearOperator) -> Tensor:
        return exact(y, A)

    @torch.no_grad()
    def prox(x: Tensor) -> Tensor:
        # What the learned map of the first iteration adds, at direction and memory zero.
        rest = x.new_zeros(x.shape[0], 1 + exact.config.memory, *x.shape[2:])
        return cast(Tensor, exact.updates[0](torch.cat([x, rest], 1))[:, :1])

    return Method(name, solve, prox)


def masks() -> dict[str, Tensor]:
    """Known pixels: all but a block above and to the left of the centre; the right half."""
    block, half = torch.ones(2, SIZE, SIZE, dtype=torch.bool)
    block[8:32, 12:36] = False
    half[:, : SIZE // 2] = False
    return {"block": block, "half": half}


def picture() -> Tensor:
    """The camera man, 64×64."""
    pixels = to_grey(read_picture(Path(shipped("samples/camera.png"))).pixels)
    return F.avg_pool2d(pixels, pixels.shape[-1] // SIZE).double()


def training_pairs(A: LinearOperator) -> Pairs:
    """Crops of the two other sample pictures, at half their size."""
    generator = seeded(0)
    crops = []
    for name in ("coffee", "chelsea"):
        pixels = to_grey(read_picture(Path(shipped(f"samples/{name}.png"))).pixels)
        small = F.avg_pool2d(pixels, 2)
        height, width = small.shape[-2:]
        for _ in range(PAIRS // 2):
            top = int(torch.randint(height - SIZE + 1, (1,), generator=generator))
            left = int(torch.randint(width - SIZE + 1, (1,), generator=generator))
            crops.append(small[..., top : top + SIZE, left : left + SIZE])
    pictures = torch.cat(crops)
    return Pairs(A.A(pictures), pictures)


def train(group: str, mask: str, runs: Path) -> UnrolledNetwork:
    A = Inpainting(masks()[mask], (1, SIZE, SIZE))
    torch.manual_seed(0)
    network = UnrolledNetwork(UnrolledConfig(group=group, width=32, depth=4, memory=3))
    pairs = training_pairs(A)
    empty = Pairs(pairs.measurements[:0], pairs.pictures[:0])
    recipe = UnrolledRecipe(steps=STEPS, batch=2, learning_rate=1e-3)
    trainer = UnrolledTrainer(network, recipe, A, pairs, empty, runs / f"{mask}-{group}")
    trainer.run(lambda progress: print(group, mask, progress.step, f"{progress.loss:.3f}"))
    return trainer.average


@dataclass(frozen=True)
class Errors:
    """Relative errors ‖Ψ(g·x) − g·Ψ(x)‖/‖g·Ψ(x)‖, the largest over the turns by 90, 180, 270°.

    Attributes:
        prox: Ψ the proximal map alone.
        turned: Ψ(x) = Φ(Ax), the mask being turned with the picture.
        fixed: the same with one mask for both.
    """

    prox: float
    turned: float
    fixed: float


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def errors(method: Method, mask: Tensor, x: Tensor) -> Errors:
    shape = tuple(x.shape[1:])
    A = Inpainting(mask, shape)
    prox, plain = method.prox(x), method.reconstruct(A.A(x), A)
    found = []
    for quarter in (1, 2, 3):
        gx = torch.rot90(x, quarter, (2, 3))
        wanted = torch.rot90(plain, quarter, (2, 3))
        along = Inpainting(torch.rot90(mask, quarter, (0, 1)), shape)
        found.append(
            (
                relative(method.prox(gx), torch.rot90(prox, quarter, (2, 3))),
                relative(method.reconstruct(along.A(gx), along), wanted),
                relative(method.reconstruct(A.A(gx), A), wanted),
            )
        )
    return Errors(*(max(values) for values in zip(*found, strict=True)))


def methods(mask: str, runs: Path) -> list[Method]:
    return [
        variational("anisotropic TV", axis_total_variation),
        variational("isotropic TV", isotropic_total_variation),
        unrolled("unrolled network, D4", train("D4", mask, runs)),
        unrolled("unrolled network, ordinary", train("C1", mask, runs)),
    ]
