"""The part of the box in which the pictures of a run explain the total of their data.

Projected on in place of the box it leaves every theorem as it is: it is as firmly nonexpansive, and
the set is as convex and compact (docs/theory.md, "A total that stays").
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares, Ridged, WeightedLeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal.total import BoxTotal
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.laws import TOTAL, limit_of
from pnp_recon.solvers.core.theorem import Premise

PLANE = guarantees.firm("projection onto the pictures in [0, 1] with Σ A x = Σ y")
KEPT = Premise(f"the pictures in [0, 1] with {TOTAL} are convex, compact and not empty")
LAW = f"{TOTAL} in the picture (deviation over rounding, its errors taken as independent)"


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


def total_law(
    kept: BoxTotal, A: LinearOperator, picture: Tensor, carried: Tensor | float = 0.0
) -> Observation:
    """What the operator itself sums the picture up to.

    Rounded are the entries of the picture, sums over it and over the data in float64, and what the
    operator sums up in its own precision: for the picture, and for the normal Aᵀ1. Operators count
    as sums of products that do not cancel; for others the bound is a tolerance.

    Args:
        carried: (B, parts), what rounding of the point leaves open that the picture is made of.
    """
    pixels, data = math.prod(A.image_shape), math.prod(A.measurement_shape)
    sums = ((2 * data, torch.float64), (pixels + data, A.certificate_dtype))
    off = kept.off(A.A(picture.double()), kept.rounding(picture, *sums) + carried)
    return Observation(LAW, float(off.max()), limit_of(LAW))
