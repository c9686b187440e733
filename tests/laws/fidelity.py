"""Registry of data fidelities, and the laws that every registered one is put to.

A law is a function that measures how far it is broken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from operators import Convolution
from operators.conjugate_gradient import image_norms
from pnp_recon.fidelity import (
    CellDistance,
    Fidelity,
    Huber,
    KullbackLeibler,
    LeastSquares,
    WeightedLeastSquares,
)

SIZE = (1, 5, 6)
STEPS = (0.2, 1.0, 9.0)
F64 = torch.float64


def blur(boundary: str = "reflect") -> Convolution:
    kernel = torch.rand(3, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    return Convolution(kernel / kernel.sum(), SIZE, boundary)  # type: ignore[arg-type]


def data(batch: int = 3) -> Tensor:
    return 0.1 + picture(batch, *SIZE, seed=7)


def weights(batch: int = 3) -> Tensor:
    w = 4 * picture(batch, *SIZE, seed=8) ** 3
    w[:, :, 0, :3] = 0
    return w


def counts() -> Tensor:
    y = torch.poisson(20 * data(), generator=torch.Generator().manual_seed(1))
    y[:, :, 2, 2] = 0
    return y


def photons() -> Tensor:
    """Some of them are not known."""
    g = 0.5 + data(1)
    g[:, :, 1, 1:3] = 0
    return g


@dataclass(frozen=True)
class Case:
    """A registered fidelity.

    Attributes:
        label: for the test's name.
        build: makes a fresh one, for a batch of three.
        smooth: its gradient is Lipschitz.
        low: where its domain begins.
    """

    label: str
    build: Callable[[], Fidelity]
    smooth: bool = True
    low: float = -math.inf


CASES = (
    Case("least-squares", lambda: LeastSquares(blur(), data())),
    Case("least-squares-circular", lambda: LeastSquares(blur("circular"), data())),
    Case("weighted", lambda: WeightedLeastSquares(blur(), data(), weights())),
    Case("weighted-shared", lambda: WeightedLeastSquares(blur(), data(), weights(1))),
    Case("huber", lambda: Huber(blur(), data(), 0.1)),
    Case("cell-distance", lambda: CellDistance(blur(), data(), 0.1 * weights(), 2.0)),
    Case("kl", lambda: KullbackLeibler(blur(), counts()), False, 0.0),
    Case("kl-background", lambda: KullbackLeibler(blur(), counts(), 3.0)),
    Case("kl-background-map", lambda: KullbackLeibler(blur(), counts(), 1 + data(1))),
    Case("kl-photons", lambda: KullbackLeibler(blur(), counts() / 20, 0.0, 20.0, 2.0)),
    Case("kl-photons-map", lambda: KullbackLeibler(blur(), counts(), 0.5, photons(), 1.0)),
)


def points(case: Case, seed: int = 0) -> Tensor:
    """Data around and far from y, inside the domain."""
    scale = torch.tensor([0.1, 1.0, 20.0], dtype=F64)[:, None, None, None]
    v = case.build().y + scale * random_tensor(3, *SIZE, seed=seed)
    return v if math.isinf(case.low) else v.abs() + 0.01


def gradient_defect(f: Fidelity, v: Tensor) -> float:
    """max |∇φ − that of autograd|."""
    v = v.clone().requires_grad_()
    (expected,) = torch.autograd.grad(f.loss(v).sum(), v)
    return float((f.loss_gradient(v.detach()) - expected).abs().max())


def prox_defect(f: Fidelity, v: Tensor, step: float | Tensor) -> float:
    """How much F(u) + ½‖z − u‖² exceeds F(z), F = step·φ + ½‖· − v‖², at worst; relative to F."""
    u = f.loss_prox(v, step)

    def objective(z: Tensor) -> Tensor:
        # One loss for each entry: a step that differs from entry to entry weighs them.
        return torch.as_tensor(step, dtype=F64) * entries(f, z) + 0.5 * (z - v).square()

    worst = -math.inf
    for size in (1e-3, 0.1, 3.0):
        for sign in (-1, 1):
            z = u + sign * size
            excess = objective(u) + 0.5 * (z - u).square() - objective(z)
            worst = max(worst, float((excess / (1 + objective(u).abs())).max()))
    return worst


def entries(f: Fidelity, v: Tensor) -> Tensor:
    """φ entry by entry: the difference that each makes to the loss at y, where all of it is 0."""
    if isinstance(f, LeastSquares):
        return 0.5 * (v - f.y).square()
    if isinstance(f, WeightedLeastSquares):
        return 0.5 * f.weights * (v - f.y).square()
    if isinstance(f, Huber):
        r = (v - f.y).abs()
        return torch.where(r <= f.delta, 0.5 * r**2, f.delta * r - 0.5 * f.delta**2)
    if isinstance(f, CellDistance):
        return 0.5 * f.weight * ((v - f.y).abs() - f.half).clamp_min(0).square()
    assert isinstance(f, KullbackLeibler)
    g = torch.as_tensor(f.photons, dtype=F64) + 0 * f.y
    added = torch.where(g > 0, f.readout / g.clamp_min(1e-9), 1.0)
    b = torch.as_tensor(f.background, dtype=F64) + added
    y = f.y + added

    def divergence(t: Tensor) -> Tensor:
        return t - y + torch.xlogy(y, y) - torch.xlogy(y, t)

    if bool((b == 0).any()):
        return g * torch.where(v >= 0, divergence(v.clamp_min(0)), math.inf)
    taylor = divergence(b) + (1 - y / b) * v + 0.5 * y / b**2 * v**2
    return g * torch.where(v >= 0, divergence(v.clamp_min(0) + b), taylor)


def attained_smoothness(f: Fidelity) -> float:
    """Largest ‖∇f(x) − ∇f(z)‖/‖x − z‖ met, by power steps on the difference."""
    best = 0.0
    for start in (torch.zeros(3, *SIZE, dtype=F64), picture(3, *SIZE)):
        d = torch.ones(3, *SIZE, dtype=F64)
        for _ in range(60):
            d = 1e-4 * d / image_norms(d)[:, None, None, None]
            change = f.gradient(start + d) - f.gradient(start)
            best = max(best, float((image_norms(change) / image_norms(d)).max()))
            d = change
    return best
