"""Small problems with total variation, and short runs of PDHG on them."""

from __future__ import annotations

from torch import Tensor

from laws.networks import picture
from laws.solvers import FOREVER, random_kernel
from operators import (
    Convolution,
    Inpainting,
    LinearOperator,
    RayTransform,
    parallel_beam,
)
from pnp_recon.fidelity import LeastSquares
from pnp_recon.solvers import (
    PDHG,
    Solution,
    Stopping,
    iterate,
)

SIZE = (2, 7, 8)


def physics(name: str) -> LinearOperator:
    if name == "scan":
        return RayTransform(parallel_beam(9, 8), (1, 8, 8))
    if name == "missing":
        return Inpainting(picture(*SIZE, seed=2) > 0.5)
    return Convolution(random_kernel(0), SIZE, "circular" if name == "blur" else "reflect")


def problem(name: str, batch: int = 1) -> tuple[LeastSquares, Tensor]:
    A = physics(name)
    y = A.A(picture(batch, *A.image_shape, seed=3))
    return LeastSquares(A, y), A.initial_guess(y)


def run(solver: PDHG, iterations: int = 60) -> Solution:
    """As many steps, whatever the residual."""
    return iterate(solver, Stopping(FOREVER, iterations))
