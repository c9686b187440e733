"""Flow: fields × integrator × steps, one network, and what is proven of it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee, compose, lipschitz, none
from pnp_recon.networks.finite import NOT_FINITE, all_finite
from pnp_recon.networks.flows.facts import gradient
from pnp_recon.networks.flows.fields import Field
from pnp_recon.networks.flows.integrators import IDENTITY, Integrator
from pnp_recon.networks.flows.registry import integrator
from pnp_recon.networks.flows.steps import FixedSteps, Steps


class Flow(nn.Module):
    """x ↦ (Φ_K ∘ … ∘ Φ_1)(x), Φₖ one step hₖ of the field fₖ by the integrator.

    Args:
        fields: f₁ … f_K.
        method: an integrator, or the name of one (`integrators.integrator`).
        steps: their sizes, one for each field.

    Raises:
        InputError: not one step for each field.
    """

    def __init__(
        self, fields: Sequence[Field], method: Integrator | str, steps: Steps | Sequence[float]
    ) -> None:
        super().__init__()
        self.fields = nn.ModuleList(fields)
        self.method = integrator(method) if isinstance(method, str) else method
        self.steps = steps if isinstance(steps, Steps) else FixedSteps(steps)
        if self.steps.count != len(self.fields):
            raise InputError(
                f"{self.steps.count} steps for {len(self.fields)} fields; expected one for each"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (…, d) to vectors (…, d)."""
        for field, h in zip(self.fields, self.sizes(x.dtype), strict=True):
            x = self.method.step(field, x, h)
        return x

    def trajectory(self, x: Tensor) -> list[Tensor]:
        """The points before the first layer and after each layer: K + 1 tensors (…, d)."""
        points = [x]
        for field, h in zip(self.fields, self.sizes(x.dtype), strict=True):
            points.append(self.method.step(field, points[-1], h))
        return points

    def sizes(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The steps (K,), differentiable."""
        return self.steps.values(self._limits(dtype))

    def _limits(self, dtype: torch.dtype) -> Tensor:
        """Largest proven steps (K,) for the weights, differentiable through their smoothness."""
        found = []
        for field in self._fields():
            smoothness = field.smoothness()
            limit = self.method.limit(gradient(1.0)) if smoothness is not None else float("inf")
            found.append(limit / smoothness if smoothness is not None else torch.tensor(limit))
        return torch.stack([torch.as_tensor(limit).to(dtype) for limit in found])

    def settle(self) -> None:
        """After an optimiser's step: constraints of the steps."""
        self.steps.settle()

    @torch.no_grad()
    def layers(self) -> list[Guarantee]:
        """What is proven of each layer for the weights and steps held now."""
        sizes = self.sizes(torch.float64).tolist()
        checked = zip(self._fields(), sizes, strict=True)
        return [self.method.check(field.facts(), h) for field, h in checked]

    def check(self) -> Guarantee:
        """The guarantee of the whole, or the reason why there is none; layers that rest count 1."""
        if not all_finite(self):
            return none(NOT_FINITE)
        held = [layer for layer in self.layers() if layer.source != IDENTITY]
        return compose(*held) if held else lipschitz(1.0, IDENTITY)

    def pruned(self) -> Flow:
        """The same map without the layers whose step is exactly zero.

        Raises:
            InputError: every step is zero.
        """
        sizes = self.sizes(torch.float64).tolist()
        kept = [(field, h) for field, h in zip(self.fields, sizes, strict=True) if h]
        if not kept:
            raise InputError("every step is zero: the flow is the identity")
        fields = [cast(Field, copy.deepcopy(field)) for field, _ in kept]
        return Flow(fields, self.method, FixedSteps([h for _, h in kept]))

    def _fields(self) -> list[Field]:
        return [cast(Field, field) for field in self.fields]
