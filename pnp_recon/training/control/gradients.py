"""Gradients of a flow by its costates: the discrete principle of Pontryagin.

A step z⁺ = z + hΣbᵢf(yᵢ, θ), yᵢ = z + hΣⱼaᵢⱼf(yⱼ, θ), of a tableau without zero weights turns the
costate p⁺ = ∂J/∂z⁺ into p = ∂J/∂z by the tableau's symplectic partner A*ᵢⱼ = bⱼ − bⱼaⱼᵢ/bᵢ:

    pᵢ = p⁺ + hΣₖ(bₖ − A*ᵢₖ)μₖ,  μᵢ = f_y(yᵢ, θ)ᵀpᵢ,  p = p⁺ + hΣbᵢμᵢ,

and ∂J/∂θ = hΣbᵢf_θ(yᵢ, θ)ᵀpᵢ, ∂J/∂h = Σbᵢ⟨pᵢ, f(yᵢ, θ)⟩ (Hager 2000; Sanz-Serna 2016; proof in
docs/control.md). For Euler this is p = p⁺ + hf_zᵀp⁺. What is kept are the points between layers;
the stages of a layer are computed again when its costate is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.fields import Field
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.integrators import RungeKutta
from pnp_recon.networks.flows.tableaux import TABLEAUX, Tableau

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Costates:
    """A loss J of the last point of a flow, and what it depends on.

    Attributes:
        value: J, a number.
        points: z⁰ … z^K, each (…, d).
        costates: p⁰ … p^K, pᵏ = ∂J/∂zᵏ, each (…, d).
        parameters: ∂J by the names of `flow.named_parameters()`; those of the steps are among
            them.
        steps: ∂J/∂hₖ (K,).
    """

    value: Tensor
    points: list[Tensor]
    costates: list[Tensor]
    parameters: dict[str, Tensor]
    steps: Tensor


def partner(tableau: Tableau) -> list[list[Fraction]]:
    """A*ᵢⱼ = bⱼ − bⱼaⱼᵢ/bᵢ, exactly: the tableau by which costates go.

    Raises:
        InputError: a weight is zero.
    """
    a, b, size = tableau.matrix, tableau.weights, range(tableau.stages)
    if not all(b):
        known = ", ".join(name for name, made in TABLEAUX.items() if all(made.weights))
        raise InputError(
            f"the costates of a stage are divided by its weight, and {tableau.name} has a weight "
            f"of 0; take {known}, or back-propagation"
        )
    return [[b[j] - b[j] * a[j][i] / b[i] for j in size] for i in size]


def costates(flow: Flow, x: Tensor, loss: Loss) -> Costates:
    """Points, costates and gradients of loss(flow(x)), without a graph of the whole.

    Args:
        flow: a Runge–Kutta method without zero weights; an implicit one is for vectors (…, d)
            of few entries, since its costates solve a linear system.
        x: (…, d), whatever the fields take.
        loss: a differentiable number made from the last point.

    Raises:
        InputError: the integrator is no Runge–Kutta method, or one of its weights is zero.
    """
    method = flow.method
    if not isinstance(method, RungeKutta):
        raise InputError(
            f"costates are for Runge–Kutta methods; found {method.name}; use back-propagation"
        )
    coefficients = _coefficients(method.tableau)
    parameters = dict(flow.named_parameters())
    gradients = {name: torch.zeros_like(value) for name, value in parameters.items()}
    names = {id(value): name for name, value in parameters.items()}
    sizes = flow.sizes(x.dtype)
    fields = [field for field in flow.fields if isinstance(field, Field)]
    with torch.no_grad():
        points = flow.trajectory(x)
    last = points[-1].detach().requires_grad_()
    value = loss(last)
    (p,) = torch.autograd.grad(value, last)
    found, by_step = [p], []
    for field, z, h in reversed(
        list(zip(fields, points[:-1], sizes.detach().tolist(), strict=True))
    ):
        layer = _Layer(field, method.stages(field, z, h), h)
        inner = layer.costates(coefficients, p)
        own = [param for param in field.parameters() if param.requires_grad]
        pulled, step = p, torch.zeros_like(value)
        for stage, at, weight in zip(layer.stages, inner, method.tableau.b, strict=True):
            slope, (back, *rest) = _pullback(field, stage, at, own)
            pulled = pulled + h * weight * back
            step = step + weight * (slope * at).sum()
            for param, gradient in zip(own, rest, strict=True):
                gradients[names[id(param)]] += h * weight * gradient
        p = pulled
        found.append(p)
        by_step.append(step)
    steps = torch.stack(by_step[::-1])
    if sizes.requires_grad:
        learned = {k: v for k, v in parameters.items() if v.requires_grad}
        through = torch.autograd.grad(sizes, list(learned.values()), steps, allow_unused=True)
        for name, gradient in zip(learned, through, strict=True):
            if gradient is not None:
                gradients[name] += gradient
    return Costates(value.detach(), points, found[::-1], gradients, steps)


def _coefficients(tableau: Tableau) -> list[list[float]]:
    """bₖ − A*ᵢₖ: rounded once, so that what is zero is."""
    star, b = partner(tableau), tableau.weights
    return [[float(b[k] - entry) for k, entry in enumerate(row)] for row in star]


@dataclass(frozen=True)
class _Layer:
    """One step on its way back."""

    field: Field
    stages: list[Tensor]
    h: float

    def costates(self, coefficients: Sequence[Sequence[float]], p: Tensor) -> list[Tensor]:
        """pᵢ = p⁺ + hΣₖ cᵢₖ f_y(yₖ)ᵀpₖ: from the last stage where c looks ahead only."""
        count = len(self.stages)
        if any(coefficients[i][k] for i in range(count) for k in range(i + 1)):
            return self._solved(coefficients, p)
        inner, pulled = [p] * count, [p] * count
        for i in reversed(range(count)):
            ahead = [c * pulled[k] for k, c in enumerate(coefficients[i]) if c]
            inner[i] = p + self.h * sum(ahead) if ahead else p
            if i:  # nothing looks at the first one
                _, (pulled[i],) = _pullback(self.field, self.stages[i], inner[i], [])
        return inner

    def _solved(self, coefficients: Sequence[Sequence[float]], p: Tensor) -> list[Tensor]:
        count, size = len(self.stages), p.shape[-1]
        stages = torch.stack(self.stages, -2)
        with torch.no_grad():
            slopes = torch.func.vmap(torch.func.jacrev(self.field))(stages.reshape(-1, size))
        slopes = slopes.view(*stages.shape, size)
        c = p.new_tensor(coefficients)
        whole = -self.h * torch.einsum("ik,...ked->...idke", c, slopes)
        whole = whole.flatten(-4, -3).flatten(-2, -1)
        whole = whole + torch.eye(count * size, dtype=p.dtype, device=p.device)
        right = p[..., None, :].expand(stages.shape).flatten(-2)
        return list(torch.linalg.solve(whole, right[..., None]).view(stages.shape).unbind(-2))


def _pullback(
    field: Field, y: Tensor, p: Tensor, parameters: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """f(y), and f_yᵀp followed by f_θᵀp."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        slope = field(y)
    found = torch.autograd.grad(slope, (y, *parameters), p, allow_unused=True)
    wanted = zip((y, *parameters), found, strict=True)
    return slope.detach(), tuple(torch.zeros_like(w) if g is None else g for w, g in wanted)
