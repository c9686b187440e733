"""A stopping time learned together with a network: ẋ = −μAᵀ(Ax − y) − ΣwᵢKᵢᵀtanh(Kᵢx), S steps.

After Effland, Kobler, Kunisch & Pock 2020: the same weights in every step, h = T/S, and T is
learned as the weights are. Where training ends, dJ/dT = 0; going on with the same step shows what
another time would have given, on training pictures and on new ones.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators import Convolution, LinearOperator
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import deblurring_kernels
from scripts.studies.control.stopping import psnr

FILTERS, TAPS, STEPS, PATCH, LEVEL = 8, 5, 10, 32, 7.65 / 255
UPDATES = 200
# Halvings of an interval of log T, and its reach on both sides.
SECTIONS, REACH = 24, 1.0


class Variational(nn.Module):
    """x⁰ = y, then steps h = T/S of the field."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.randn(FILTERS, 1, TAPS, TAPS) / TAPS)
        self.log_weights = nn.Parameter(torch.full((FILTERS,), -3.0))
        self.log_coupling = nn.Parameter(torch.zeros(()))
        self.log_time = nn.Parameter(torch.zeros(()))

    def field(self, x: Tensor, y: Tensor, A: LinearOperator) -> Tensor:
        kernels = self.filters - self.filters.mean((2, 3), keepdim=True)
        pad = (TAPS // 2,) * 4
        answers = torch.tanh(10 * F.conv2d(F.pad(x, pad, "circular"), kernels))
        answers = self.log_weights.exp()[:, None, None] * answers
        back = F.conv2d(F.pad(answers, pad, "circular"), kernels.flip(2, 3).transpose(0, 1))
        return self.log_coupling.exp() * A.A_adjoint(y - A.A(x)) - back

    def path(
        self, y: Tensor, A: LinearOperator, count: int = STEPS, log_time: Tensor | None = None
    ) -> list[Tensor]:
        """The points x⁰ … x^count, each (B, 1, H, W), by steps of T/S; T is the network's own."""
        h, points = (self.log_time if log_time is None else log_time).exp() / STEPS, [y]
        for _ in range(count):
            points.append(points[-1] + h * self.field(points[-1], y, A))
        return points


@dataclass(frozen=True)
class Learned:
    """What training and judging found.

    Attributes:
        time, slope: T as it was learned with the weights, and dlog J/dlog T there, on the training
            pictures.
        settled, condition: T of least J with the weights held, and dlog J/dlog T there, 0.
        scores: mean PSNR of new pictures by rule.
        stops: mean step by rule.
        curve: mean PSNR of new pictures after each step.
    """

    time: float
    slope: float
    settled: float
    condition: float
    scores: dict[str, float]
    stops: dict[str, float]
    curve: list[float]


def blurred(x: Tensor, seed: int) -> tuple[Tensor, LinearOperator]:
    kernel = next(iter(deblurring_kernels().values()))
    A = Convolution(kernel, x.shape[1:], "circular")
    y = A.A(x)
    return y + LEVEL * standard_normal(y, seed), A


def train(pictures: Tensor, updates: int) -> Variational:
    """Adam on crops of the pictures (n, 1, H, W), eight in a batch, one crop of each."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Variational()
    optimiser = torch.optim.Adam(network.parameters(), 2e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    side = pictures.shape[-1] - PATCH
    for k in range(updates):
        top, left = (7 * k) % (side + 1), (11 * k) % (side + 1)
        some = pictures[k % 2 :: 2]
        crops = some[..., top : top + PATCH, left : left + PATCH]
        y, A = blurred(crops, k)
        loss = (network.path(y, A)[-1] - crops).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network


def slope(network: Variational, x: Tensor, log_time: Tensor) -> float:
    """dlog J/dlog T for the pictures x (n, 1, H, W)."""
    y, A = blurred(x, 10_001)
    log_time = log_time.detach().requires_grad_()
    loss = (network.path(y, A, log_time=log_time)[-1] - x).square().mean().log()
    (found,) = torch.autograd.grad(loss, log_time)
    return float(found)


def settled(network: Variational, x: Tensor, halvings: int = SECTIONS) -> Tensor:
    """log T of dJ/dT = 0 with the weights held: halved between two signs of the slope."""
    middle = network.log_time.detach()
    low, high = middle - REACH, middle + REACH
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(network, x, middle) > 0 else (middle, high)
    return (low + high) / 2


def judge(network: Variational, trained: Tensor, new: Tensor, halvings: int = SECTIONS) -> Learned:
    log_time = settled(network, trained, halvings)
    y, A = blurred(new, 10_002)
    with torch.no_grad():
        own = network.path(y, A)[-1]
        points = network.path(y, A, 2 * STEPS, log_time)
        fits = torch.stack([(y - A.A(z)).square().flatten(1).mean(1) / LEVEL**2 for z in points])
    by_step = torch.tensor([psnr(z, new) for z in points])
    below = fits <= 1
    below[-1] = True
    best, morozov = by_step.argmax(0), below.int().argmax(0)
    pick = torch.arange(len(new))
    values = {
        "best step of each picture": by_step[best, pick].tolist(),
        "T with dJ/dT = 0": by_step[STEPS].tolist(),
        "T as learned with the weights": psnr(own, new),
        "discrepancy": by_step[morozov, pick].tolist(),
    }
    stops = {
        "best step of each picture": float(best.double().mean()),
        "T with dJ/dT = 0": float(STEPS),
        "discrepancy": float(morozov.double().mean()),
    }
    return Learned(
        time=float(network.log_time.exp().detach()),
        slope=slope(network, trained, network.log_time),
        settled=float(log_time.exp()),
        condition=slope(network, trained, log_time),
        scores={rule: statistics.mean(found) for rule, found in values.items()},
        stops=stops,
        curve=by_step.mean(1).tolist(),
    )
