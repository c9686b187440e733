"""Problems of min f + g for the solvers of convex objectives, and how they are run.

Some are small, and bounded least squares finds their solution exactly: total variation, ℓ1.
With A invertible, min ½‖A x − y‖² + w‖D x‖₁ has the dual min ‖A⁻ᵀ(Aᵀy − Dᵀp)‖ over |p| ≤ w, and an
active-set method ends at its solution after finitely many steps.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import lsq_linear
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import FOREVER, random_kernel
from operators import Convolution, to_matrix
from pnp_recon.fidelity import LeastSquares
from pnp_recon.solvers import Solution, Solver, Status, Stopping, iterate

GRADIENT = ["proximal-gradient", "ista", "fista"]
SPLITTING = ["hqs", "drs", "admm"]
SIZE = (1, 9, 8)
LINE = (1, 1, 14)
# A picture of one row: its isotropic total variation is the sum of its jumps.
DIFFERENCES = np.diff(np.eye(14), axis=0)


class Unmatched(Convolution):
    adjoint_matched = False


class Boundless(Convolution):
    @property
    def has_norm_bound(self) -> bool:
        return False


def problem(seed: int = 0, batch: int = 1) -> LeastSquares:
    A = Convolution(random_kernel(seed), SIZE, "reflect")
    return LeastSquares(A, A.A(picture(batch, *SIZE, seed=3)))


def run(solver: Solver, iterations: int = 40) -> Solution:
    return iterate(solver, Stopping(FOREVER, iterations))


def solve(solver: Solver, tol: float = 1e-8, limit: int = 1500) -> Solution:
    solution = iterate(solver, Stopping(tol, limit, check_every=20))
    assert solution.certificate.holds, solution.certificate.lines()
    assert solution.status is Status.CONVERGED
    return solution


def line_data() -> LeastSquares:
    """A blurred noisy step function."""
    kernel = torch.tensor([[0.1, 0.7, 0.2]], dtype=torch.float64)
    A = Convolution(kernel, LINE, "circular")
    clean = torch.tensor([0.3, 0.7, 0.5], dtype=torch.float64).repeat_interleave(5)[:14]
    return LeastSquares(A, A.A(clean.reshape(1, *LINE)) + 0.03 * random_tensor(1, *LINE))


def dual_solution(matrix: np.ndarray, y: np.ndarray, D: np.ndarray, weight: float) -> Tensor:
    """argmin ½‖matrix x − y‖² + weight·‖D x‖₁ as a picture (1, *LINE)."""
    left = np.linalg.inv(matrix).T
    dual = lsq_linear(left @ D.T, y, (-weight, weight), method="bvls", tol=1e-14).x
    x = np.linalg.solve(matrix.T @ matrix, matrix.T @ y - D.T @ dual)
    return torch.from_numpy(x).reshape(1, *LINE)


def total_variation_on_a_line(weight: float = 0.05) -> tuple[LeastSquares, Tensor]:
    fidelity = line_data()
    y = fidelity.y.flatten().numpy()
    return fidelity, dual_solution(to_matrix(fidelity.A).numpy(), y, DIFFERENCES, weight)


def sparse_on_a_line(weight: float = 0.4) -> tuple[LeastSquares, Tensor]:
    fidelity = line_data()
    y = fidelity.y.flatten().numpy()
    return fidelity, dual_solution(to_matrix(fidelity.A).numpy(), y, np.eye(14), weight)


def sparse_with_envelope(gamma: float, weight: float = 0.4) -> tuple[LeastSquares, Tensor]:
    """With the Moreau envelope of f: its matrix is (I + γAAᵀ)^-½ A."""
    fidelity = line_data()
    A = to_matrix(fidelity.A).numpy()
    values, vectors = np.linalg.eigh(np.eye(14) + gamma * A @ A.T)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    y = root @ fidelity.y.flatten().numpy()
    return fidelity, dual_solution(root @ A, y, np.eye(14), weight)
