"""Natural gradient descent of a mean of squares: Gauss–Newton, by least squares and not by G."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.training.structured.closures import Closure, Stepping, needed, not_negative


class NaturalGradient(Stepping):
    """u⁺ = u − h(G + λI)⁻¹∇J, J = 1/(2N) Σ‖rₙ‖², G = (1/N) ΣJₙᵀJₙ with Jₙ = ∂rₙ/∂u.

    A linear model is solved in one step of h = 1, λ = 0, and with λ = 0 the step does not depend on
    the parameters that a model is written in, to first order. G is the Fisher information of normal
    noise. The Jacobian is formed, N·m × parameters: for small models.

    Args:
        params: as every optimiser of torch takes them.
        lr: h > 0.
        damping: λ ≥ 0; without it, directions that the data do not see rest.

    Source: Amari 1998; Martens 2020.
    """

    def __init__(self, params: Any, lr: float = 1.0, damping: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "damping": damping})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        not_negative(damping=group["damping"])
        if len(self.param_groups) > 1:
            raise InputError("found several groups of parameters; expected one, which G couples")

    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        """One step; the result is J before it.

        Args:
            closure: gives the residuals rₙ, (N, …), and calls no `backward`.

        Raises:
            InputError: no closure, or one that gives no residuals.
        """
        evaluate, group = needed(closure), self.param_groups[0]
        with torch.enable_grad():
            residuals = evaluate()
        if not isinstance(residuals, Tensor) or not residuals.ndim:
            raise InputError(
                "the closure gives no residuals (N, …), of which J is ½ the mean square"
            )
        parameters = [u for u in group["params"] if u.requires_grad]
        count, flat = len(residuals), residuals.flatten()
        rows = torch.autograd.grad(
            flat,
            parameters,
            torch.eye(len(flat)).to(flat),
            is_grads_batched=True,
            materialize_grads=True,
            allow_unused=True,
        )
        jacobian = torch.cat([row.flatten(1) for row in rows], 1)
        with torch.no_grad():
            move = _least_squares(jacobian, flat, group["damping"] * count)
            sizes = [u.numel() for u in parameters]
            for u, part in zip(parameters, move.split(sizes), strict=True):
                u.add_(part.view_as(u), alpha=-group["lr"])
            return flat.square().sum() / (2 * count)


def _least_squares(jacobian: Tensor, residuals: Tensor, damping: float) -> Tensor:
    """d with least ‖Jd − r‖² + λ‖d‖², the shortest where there are several."""
    if damping:
        size = jacobian.shape[1]
        jacobian = torch.cat([jacobian, damping**0.5 * torch.eye(size).to(jacobian)])
        residuals = torch.cat([residuals, residuals.new_zeros(size)])
    return torch.linalg.pinv(jacobian) @ residuals
