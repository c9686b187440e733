"""The method of successive approximations: train a flow by the maximum principle, layer by layer.

With p^K = −∂J/∂z^K and p^k = p^{k+1} + hₖf_zᵀp^{k+1} layer k takes the weights that maximise

    H_k(θ) = ⟨p^{k+1}, f(z^k, θ)⟩ − (ρ/2)‖θ − θ^k‖²,

all layers at once (Li, Chen, Tai & E 2018). ρ = 0 is the method as it was first proposed: the
maximum may not exist, and the loss may rise. For ρ > 0 large enough it falls, unless the weights
are critical (docs/control.md); a step that does not lower it is tried again with a larger ρ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.fields import Field
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.integrators import RungeKutta
from pnp_recon.training.control.gradients import Loss, costates
from pnp_recon.training.structured.closures import positive

# How often ρ is doubled before a step is given up.
DOUBLINGS = 40


@dataclass(frozen=True)
class Approximation:
    """One step of the method.

    Attributes:
        before, after: the loss.
        proximity: ρ with which it was made.
    """

    before: float
    after: float
    proximity: float


def approximate(
    flow: Flow, x: Tensor, loss: Loss, proximity: float, *, steps: int = 20, safe: bool = True
) -> Approximation:
    """Moves the weights of all layers by one step, in place.

    Args:
        flow: Euler's method, in layers that share no weights.
        x: (B, d), the inputs of all pairs.
        loss: a differentiable number made from the last points.
        proximity: ρ > 0.
        steps: L-BFGS takes so many for a maximum.
        safe: ρ is doubled until the loss does not rise; the weights stay where none was found.

    Raises:
        InputError: another integrator, shared weights, or ρ is no finite number
            above 0.
    """
    method = flow.method
    tableau = method.tableau if isinstance(method, RungeKutta) else None
    if tableau is None or tableau.stages > 1 or not tableau.is_explicit:
        raise InputError(f"the maximum principle is here for Euler; found {method.name}")
    fields = [field for field in flow.fields if isinstance(field, Field)]
    own = [list(field.parameters()) for field in fields]
    if len({id(p) for layer in own for p in layer}) < sum(map(len, own)):
        raise InputError("layers share weights; expected weights of its own for each layer")
    positive(proximity=proximity)
    found = costates(flow, x, loss)
    # The costates of −J, whose Hamiltonian is maximised.
    adjoint = [-p for p in found.costates]
    before = float(found.value)
    old = [[p.detach().clone() for p in layer] for layer in own]
    for _ in range(DOUBLINGS if safe else 1):
        for field, layer, start, z, p in zip(
            fields, own, old, found.points, adjoint[1:], strict=False
        ):
            _maximise(field, layer, start, z, p, proximity, steps)
        with torch.no_grad():
            after = float(loss(flow(x)))
        if after <= before or not safe:
            return Approximation(before, after, proximity)
        _restore(own, old)
        proximity *= 2
    return Approximation(before, before, proximity)


def _maximise(
    field: Field,
    parameters: list[nn.Parameter],
    start: list[Tensor],
    z: Tensor,
    p: Tensor,
    proximity: float,
    steps: int,
) -> None:
    optimiser = torch.optim.LBFGS(
        parameters, max_iter=steps, line_search_fn="strong_wolfe", tolerance_grad=1e-12
    )

    def negative() -> Tensor:
        optimiser.zero_grad()
        near = sum((a - b).square().sum() for a, b in zip(parameters, start, strict=True))
        value = proximity / 2 * near - (p * field(z)).sum()
        value.backward()
        return value

    optimiser.step(negative)
    for parameter in parameters:
        parameter.grad = None


@torch.no_grad()
def _restore(own: list[list[nn.Parameter]], old: list[list[Tensor]]) -> None:
    for layer, start in zip(own, old, strict=True):
        for parameter, value in zip(layer, start, strict=True):
            parameter.copy_(value)
