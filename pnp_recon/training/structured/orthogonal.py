"""Steps on matrices with orthonormal columns, which stay so: gradient descent, and MEC learning.

A tangent at U (n × p) is BU with B skew, so that every step is a rotation of R^n by a map that
takes skew matrices to rotations: the exponential, the Cayley transform, or the QR factor of U + BU.
Parameters are matrices, or filters of which each is a row. Wide ones have orthonormal rows; below,
U is then the transpose.

For a matrix inside a module `torch.nn.utils.parametrizations.orthogonal` does without an optimiser
of its own, and takes any: its first step of SGD is the one of `Stiefel`, later ones differ, as its
coordinates stay about the first point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.training.structured.closures import Closure, Stepping, evaluated

# Largest entry of UᵀU − I with which a parameter is taken, in units of the rounding of its type.
TAKEN = 1e3

# ---- matrices -----------------------------------------------------------------------------------


def tall(parameter: Tensor) -> Tensor:
    """The view U (n, p), n ≥ p, of a parameter (rows, …).

    Raises:
        InputError: the parameter has fewer than two axes, or its filters are no rows in memory, as
            with `torch.channels_last`: what is written to a copy would be lost.
    """
    if parameter.ndim < 2:
        raise InputError(f"expected a matrix or filters, found the shape {tuple(parameter.shape)}")
    try:
        matrix = parameter.view(len(parameter), -1)
    except RuntimeError as error:
        raise InputError(
            f"filters {tuple(parameter.shape)} lie in memory by {parameter.stride()}; expected "
            "contiguous ones"
        ) from error
    return matrix if len(matrix) >= matrix.shape[1] else matrix.mT


def defect(parameter: Tensor) -> float:
    """Largest entry of |UᵀU − I|."""
    u = tall(parameter.detach())
    return float((u.mT @ u - torch.eye(u.shape[1]).to(u)).abs().max())


@torch.no_grad()
def orthonormalise(parameter: Tensor) -> None:
    """Puts the nearest matrix with orthonormal columns, that of the polar decomposition, in place.

    Source: Fan & Hoffman 1955.
    """
    left, _, right = torch.linalg.svd(tall(parameter), full_matrices=False)
    tall(parameter).copy_(left @ right)


def rotation(u: Tensor, tangent: Tensor) -> Tensor:
    """TUᵀ − UTᵀ, skew (n, n): for the slope T of a loss it is the B of the steepest ascent BU.

    Steepest in the canonical metric ½‖B‖² of the Stiefel manifold (Edelman, Arias & Smith 1998).
    """
    return tangent @ u.mT - u @ tangent.mT


# ---- retractions --------------------------------------------------------------------------------


def exponential(skew: Tensor, u: Tensor) -> Tensor:
    """exp(B)U."""
    return torch.matrix_exp(skew) @ u


def cayley(skew: Tensor, u: Tensor) -> Tensor:
    """(I − B/2)⁻¹(I + B/2)U: the implicit midpoint rule for U̇ = BU (Wen & Yin 2013)."""
    half = skew @ u / 2
    return torch.linalg.solve(torch.eye(len(u)).to(u) - skew / 2, u + half)


def qr(skew: Tensor, u: Tensor) -> Tensor:
    """The orthonormal factor of U + BU whose triangle has a positive diagonal."""
    factor, triangle = torch.linalg.qr(u + skew @ u)
    signs: Tensor = torch.where(triangle.diagonal() < 0, -1.0, 1.0).to(u)
    return factor * signs


RETRACTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exp": exponential,
    "cayley": cayley,
    "qr": qr,
}


def _polished(u: Tensor) -> Tensor:
    """One Newton–Schulz step: a defect δ, which rounding gathers over many steps, becomes ¾δ²."""
    return 1.5 * u - 0.5 * u @ (u.mT @ u)


# ---- optimisers ---------------------------------------------------------------------------------


class Orthonormal(Stepping):
    """Refuses parameters without orthonormal columns."""

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        retraction = group.get("retraction", "exp")
        if retraction not in RETRACTIONS:
            raise InputError(f"unknown retraction {retraction!r}; known: {', '.join(RETRACTIONS)}")
        for u in group["params"]:
            found = defect(u)
            if not found < TAKEN * torch.finfo(u.dtype).eps:
                raise InputError(
                    f"UᵀU − I has an entry of {found:.2g}; expected orthonormal columns, which "
                    "orthonormalise() makes"
                )


class Stiefel(Orthonormal):
    """Gradient descent: U⁺ = R(−h(GUᵀ − UGᵀ))U, G the gradient, R a retraction.

    As h → 0 the loss falls by ½h‖GUᵀ − UGᵀ‖²; UᵀU = I to rounding for every h.

    Args:
        params: matrices or filters with orthonormal columns, or rows where they are wide.
        lr: h > 0.
        retraction: a name from `RETRACTIONS`.

    Raises:
        InputError: a parameter that is not orthonormal.

    Source: Edelman, Arias & Smith 1998; Celledoni & Fiori 2008.
    """

    def __init__(self, params: Any, lr: float, retraction: str = "cayley") -> None:
        super().__init__(params, {"lr": lr, "retraction": retraction})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        loss = evaluated(closure)
        for group in self.param_groups:
            move = RETRACTIONS[group["retraction"]]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                u = tall(parameter)
                b = rotation(u, tall(parameter.grad.contiguous()))
                u.copy_(_polished(move(-group["lr"] * b, u)))
        return loss


def mec(
    u: Tensor, b: Tensor, slope: Tensor, h: float, damping: float, retraction: str = "exp"
) -> tuple[Tensor, Tensor]:
    """B⁺ = B + h((F + P)Uᵀ − U(F + P)ᵀ), U⁺ = R(hB⁺)U, with F = −slope and P = −γBU."""
    b = b + h * rotation(u, -slope - damping * b @ u)
    return RETRACTIONS[retraction](h * b, u), b


class Mec(Orthonormal):
    """MEC learning: a rigid body with friction, U̇ = BU, Ḃ = (F + P)Uᵀ − U(F + P)ᵀ.

    F = −∇J is the force, P = −γBU the friction. H = ¼‖B‖² + J falls by dH/dt = −γ‖BU‖²; UᵀU = I to
    rounding. It is heavy ball on the Stiefel manifold.

    Args:
        params: matrices or filters with orthonormal columns, or rows where they are wide.
        lr: h > 0.
        damping: γ with 0 ≤ hγ ≤ ½, where no component of B changes its sign by friction.
        retraction: a name from `RETRACTIONS`.

    Raises:
        InputError: a parameter that is not orthonormal.

    Source: Fiori 2002; Celledoni & Fiori 2004.
    """

    def __init__(self, params: Any, lr: float, damping: float, retraction: str = "cayley") -> None:
        super().__init__(params, {"lr": lr, "damping": damping, "retraction": retraction})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        product = group["lr"] * group["damping"]
        if not 0 <= product <= 0.5:
            raise InputError(f"hγ is {product:g}; expected at least 0 and at most 0.5")

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        loss = evaluated(closure)
        for group in self.param_groups:
            numbers = group["lr"], group["damping"], group["retraction"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                u, state = tall(parameter), self.state[parameter]
                b = state.get("rotation", u.new_zeros(len(u), len(u)))
                slope = tall(parameter.grad.contiguous())
                moved, state["rotation"] = mec(u, b, slope, *numbers)
                u.copy_(_polished(moved))
        return loss
