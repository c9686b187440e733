"""The part of the box in which the pictures of a run explain the total of their data.

Projected on in place of the box it leaves every theorem as it is: it is as firmly nonexpansive, and
the set is as convex and compact (docs/theory.md, "A total that stays").
"""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares, Ridged, WeightedLeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal.total import BoxTotal
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.laws import TOTAL
from pnp_recon.solvers.core.theorem import Premise

PLANE = guarantees.firm("projection onto the pictures in [0, 1] with Σ A x = Σ y")
KEPT = Premise(f"the pictures in [0, 1] with {TOTAL} are convex, compact and not empty")
LAW = f"{TOTAL} in the picture (deviation over rounding)"


def kept_total(problem: Problem) -> BoxTotal:
    """The pictures in the box that explain the total of the data.

    Raises:
        InputError: the fidelity compares something else than A x with y; or see `BoxTotal.of`.
    """
    fidelity = problem.data_term
    while isinstance(fidelity, Ridged):
        fidelity = fidelity.fidelity
    if not isinstance(fidelity, LeastSquares | WeightedLeastSquares):
        raise InputError(
            f"keep_total is about y = A x + noise, which the fidelity '{fidelity.name}' does not "
            "say; take least squares, weighted or not"
        )
    return BoxTotal.of(problem.A, problem.y)


def total_law(kept: BoxTotal, A: LinearOperator, picture: Tensor, gain: float = 1.0) -> Observation:
    """What the operator itself sums the picture up to.

    Args:
        gain: by how much the picture magnifies the rounding of what it is computed from.
    """
    eps = gain * max(torch.finfo(dtype).eps for dtype in (picture.dtype, A.certificate_dtype))
    off = kept.off(A.A(picture.double()), eps)
    return Observation(LAW, float(off.max()), 1.0)
