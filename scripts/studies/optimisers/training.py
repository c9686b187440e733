"""Training of a denoiser by any optimiser of torch, everything else being what it is for Adam."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.families import calibrate, matrices
from pnp_recon.training.optimisers import Optimiser
from pnp_recon.training.structured.momentum import HeavyBall, Nesterov, Relativistic
from pnp_recon.training.structured.orthogonal import Mec, orthonormalise
from pnp_recon.training.trainer import CALIBRATION

Parts = dict[str, torch.optim.Optimizer]
# 1 − hγ at the peak of the rate: the momentum of all methods that have one.
MOMENTUM = 0.9


@dataclass(frozen=True)
class Method:
    """A row: its name, what was held, what `rate` is, the rates that are tried first.

    Attributes:
        parts: network and rate to optimisers; None for those that training ships with, `usual`.
        usual: their name, and the learning rate at the rate 1.
    """

    name: str
    words: str
    rates: tuple[float, ...]
    parts: Callable[[nn.Module, float], Parts] | None = None
    usual: tuple[str, float] = ("adam", 0.0)


def heavy_ball(network: nn.Module, rate: float) -> Parts:
    return {"all": HeavyBall(network.parameters(), rate, (1 - MOMENTUM) / rate)}


def nesterov(network: nn.Module, rate: float) -> Parts:
    return {"all": Nesterov(network.parameters(), rate, MOMENTUM)}


def relativistic(network: nn.Module, rate: float) -> Parts:
    # 1/(1 + hγ) is the momentum.
    damping = (1 / MOMENTUM - 1) / rate
    return {"all": Relativistic(network.parameters(), rate, damping, softening=1e-4)}


def orthonormal(network: nn.Module, rate: float) -> Parts:
    filters = [numbers for numbers, _ in matrices(network)]
    for numbers in filters:
        orthonormalise(numbers)
    held = {id(numbers) for numbers in filters}
    rest = [u for u in network.parameters() if id(u) not in held]
    # 1 − 2hγ is the momentum within the span of the filters.
    damping = (1 - MOMENTUM) / 2 / rate
    return {"filters": Mec(filters, rate, damping), "rest": torch.optim.Adam(rest, 4e-3)}


METHODS = (
    Method("Muon", "filters 0.02, the rest Adam at the rate", (5e-3, 1e-2, 2e-2), None,
           ("muon", 1.0)),
    Method("Adam", "", (2e-3, 4e-3, 8e-3), None, ("adam", 1.0)),
    Method("heavy ball", "h the rate, hγ = 0.1, m = 1", (0.1, 0.2, 0.4), heavy_ball),
    Method("Nesterov", "h the rate, μ = 0.9", (0.01, 0.04, 0.16), nesterov),
    Method("relativistic", "h the rate, 1/(1 + hγ) = 0.9, ε = 10⁻⁴", (0.05, 0.1, 0.2),
           relativistic),
    Method("MEC", "filters orthonormal on patches, h the rate, hγ = 0.05; the rest Adam, 0.004",
           (0.1, 0.2, 0.4), orthonormal),
)  # fmt: skip


class Structured(Optimiser):
    """Optimisers that a method makes, behind the face that a trainer knows."""

    def __init__(self, network: nn.Module, parts: Parts) -> None:
        self.network, self.filters, self.parts = network, [], parts
        for group in self._groups():
            group["peak"] = group["lr"]

    def advance(self, factor: float, closure: Callable[[], float]) -> float:
        """One step at `factor` times the peak rates; the first part calls the closure, once."""
        for group in self._groups():
            group["lr"] = group["peak"] * factor
        first, *others = self.parts.values()
        loss = first.step(closure)
        for part in others:
            part.step()
        return float(loss)


class MethodTrainer(DenoiserTrainer):
    """A `DenoiserTrainer` whose steps are those of a method at a rate."""

    def __init__(self, *given: Any, method: Method, rate: float) -> None:
        self.method, self.peak = method, rate
        super().__init__(*given)

    def make_optimiser(self) -> Optimiser:
        if self.method.parts is None:
            return super().make_optimiser()
        return Structured(self.network, self.method.parts(self.network, self.peak))

    def train_step(self) -> float:
        if not isinstance(self.optimiser, Structured):
            return super().train_step()
        if self.step % CALIBRATION == 0:
            calibrate(self.network)
        loss = self.optimiser.advance(self.rate(), self._evaluated)
        self._update_average()
        self.step += 1
        self.loss = loss if math.isnan(self.loss) else 0.99 * self.loss + 0.01 * loss
        return loss

    def _evaluated(self) -> float:
        """Loss of the next batch and its gradient, shortened to 1 as in every training here."""
        error = self.objective()
        self.network.zero_grad()
        error.backward()
        slope = nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if not math.isfinite(float(error.detach()) + float(slope)):
            raise InputError(f"training diverged at step {self.step}")
        return float(error.detach())
