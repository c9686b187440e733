"""Laws of one step of a flow: what an integrator proves, against what an attack attains."""

from __future__ import annotations

import torch
from torch import Tensor

from pnp_recon.networks.flows.fields import GradientField
from pnp_recon.networks.flows.integrators import Integrator


def field(
    dimension: int = 3, hidden: int = 4, activation: str = "relu", seed: int = 0
) -> GradientField:
    """A random gradient field in float64 with L about one."""
    torch.manual_seed(seed)
    made = GradientField(dimension, hidden, activation).double()
    with torch.no_grad():
        made.weight.div_(torch.linalg.matrix_norm(made.weight, 2))
        made.bias.normal_()
    return made


def attained(integrator: Integrator, h: float, alpha: float = 1.0, seed: int = 0) -> float:
    """Largest quotient of (T − (1−α)I)/α found over many fields, points and directions.

    Fields of one ReLU and directions through its kink are where explicit methods break first:
    stages on both sides see different slopes. Gradient ascent starts at the best of many pairs.
    """
    generator = torch.Generator().manual_seed(seed)
    best = 0.0
    for index in range(6):
        made = field(2, 1 + index % 3, "relu", seed=10 * seed + index)

        def reflected(x: Tensor) -> Tensor:
            moved = integrator.step(made, x, h)  # noqa: B023
            return (moved - (1 - alpha) * x) / alpha

        x = 2 * torch.randn(4000, 2, generator=generator, dtype=torch.float64)
        d = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
        d = d * torch.rand(4000, 1, generator=generator, dtype=torch.float64) * 2
        with torch.no_grad():
            ratios = (reflected(x + d) - reflected(x)).norm(dim=1) / d.norm(dim=1)
        order = ratios.argsort(descending=True)[:50]
        x, d = x[order].clone(), d[order].clone()
        best = max(best, float(ratios.max()))
        for _ in range(30):
            x.requires_grad_(), d.requires_grad_()
            values = (reflected(x + d) - reflected(x)).norm(dim=1) / d.norm(dim=1)
            move_x, move_d = torch.autograd.grad(values.sum(), (x, d))
            best = max(best, float(values.detach().max()))
            x, d = x.detach() + 0.05 * move_x, d.detach() + 0.05 * d.detach().norm() / 7 * move_d
    return best
