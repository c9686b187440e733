"""Registry of convex functionals, and the laws that every registered one is put to.

A law is a function that measures how far it is broken; the tests compare, and show with a broken
twin that the measurement can fail. All of them follow from one fact: u = prox_{sg}(x) minimises
F(v) = s·g(v) + ½‖v − x‖², which is 1-strongly convex.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from laws.networks import random_tensor
from operators.conjugate_gradient import image_dots, image_norms
from pnp_recon.proximal import (
    L1,
    Box,
    ElasticNet,
    GradientNorm,
    L2Ball,
    Regulariser,
    Ridge,
    TotalVariation,
    WaveletL1,
)

STEPS = (0.3, 7.0)
# What the iterative maps are solved to here; the error bound says how far they came.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """A registered functional on tensors of a shape without the batch.

    Attributes:
        label: for the test's name.
        build: makes a fresh one.
        shape: (C, H, W), odd and oblong; (2, C, H, W) for a functional of gradients.
        tiny: a shape of at most four numbers, for brute force; of one, where the domain is
            round, since a grid does not find its way along a curved border.
    """

    label: str
    build: Callable[[], Regulariser]
    shape: tuple[int, ...] = (2, 4, 5)
    tiny: tuple[int, ...] = (1, 2, 2)


def _center() -> Tensor:
    return torch.tensor(0.3, dtype=torch.float64)


CASES = (
    Case("l1", lambda: L1(0.2)),
    Case("ridge", lambda: Ridge(0.5)),
    Case("elastic-net", lambda: ElasticNet(0.2, 0.4)),
    Case("box", Box),
    Case("box-signed", lambda: Box(-0.5, 0.25)),
    Case("l2-ball", lambda: L2Ball(0.6), tiny=(1, 1, 1)),
    Case("l2-ball-centred", lambda: L2Ball(0.4, _center()), tiny=(1, 1, 1)),
    Case("tv-grey", lambda: TotalVariation(0.1), (1, 4, 5)),
    Case("tv-isotropic", lambda: TotalVariation(0.1)),
    Case("tv-vectorial", lambda: TotalVariation(0.1, "vectorial"), tiny=(2, 1, 2)),
    Case("tv-nuclear", lambda: TotalVariation(0.1, "nuclear"), tiny=(2, 1, 2)),
    Case("tv-nuclear-square", lambda: TotalVariation(0.1, "nuclear")),
    Case("tv-box", lambda: TotalVariation(0.1, "vectorial", box=(0.2, 0.7))),
    Case("tv-volume", lambda: TotalVariation(0.1, slice_spacing=0.8), (3, 4, 5), (2, 1, 2)),
    Case("tv-row", lambda: TotalVariation(0.1), (1, 1, 6), (1, 1, 4)),
    Case("gradient-isotropic", lambda: GradientNorm(0.2), (2, 2, 3, 4), (2, 2, 1, 1)),
    Case("gradient-vectorial", lambda: GradientNorm(0.2, "vectorial"), (2, 2, 3, 4), (2, 2, 1, 1)),
    Case("gradient-nuclear", lambda: GradientNorm(0.2, "nuclear"), (2, 3, 3, 4), (2, 2, 1, 1)),
    Case("gradient-nuclear-5", lambda: GradientNorm(0.2, "nuclear"), (2, 5, 2, 2), (2, 2, 1, 1)),
    Case("wavelet-haar", lambda: WaveletL1(0.1, "haar", 2)),
    Case("wavelet-db2", lambda: WaveletL1(0.1, "db2", 3), (2, 7, 9)),
    Case("wavelet-all", lambda: WaveletL1(0.1, "sym4", 1, threshold_coarse=True), (1, 6, 5)),
)


@dataclass(frozen=True)
class Broken(Regulariser):
    """A twin: another functional with a false proximal map or error bound."""

    inner: Regulariser
    change: Callable[[Tensor], Tensor] = lambda u: u
    claimed: float | None = None
    name = "broken"

    def value(self, x: Tensor) -> Tensor:
        return self.inner.value(x)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        u, error = self.inner.prox(x, step, tol=tol)
        return self.change(u), error if self.claimed is None else 0 * error + self.claimed


def inputs(shape: tuple[int, ...], seed: int = 0, batch: int = 3) -> Tensor:
    """Points around and far from a picture's range."""
    scale = torch.tensor([0.1, 0.6, 3.0]).double()[:batch]
    return 0.4 + scale.reshape(-1, *(1,) * len(shape)) * random_tensor(batch, *shape, seed=seed)


def objective(g: Regulariser, v: Tensor, x: Tensor, step: float) -> Tensor:
    return step * g.value(v) + 0.5 * image_norms(v - x).square()


def improvement(g: Regulariser, x: Tensor, step: float) -> float:
    """How much F(u) + ½(‖v − u‖ − e)² exceeds F(v), at worst: ≤ 0 for a proximal map with error e.

    v are single entries and whole pictures moved by little and by much, towards the data, towards
    zero and towards their mean. With u within e of the exact point u*, and F(v) ≥ F(u*) +
    ½‖v − u*‖², what is asked is F(v) ≥ F(u*) + ½(‖v − u‖ − e)².
    """
    u, error = g.prox(x, step, tol=TOLERANCE)
    # F(u) lies above F(u*): the iterative maps are held to a lower value by the slack.
    slack = 30 * float(error.max()) + 1e-9
    best = objective(g, u, x, step)
    worst = -float("inf")
    for v in _rivals(u, x):
        apart = (image_norms(v - u) - error).clamp_min(0)
        excess = best + 0.5 * apart.square() - objective(g, v, x, step)
        worst = max(worst, float(excess.max()) - slack)
    return worst


def _rivals(u: Tensor, x: Tensor) -> Iterator[Tensor]:
    mean = u.flatten(1).mean(1).reshape(-1, *(1,) * (u.ndim - 1)).expand_as(u)
    for size in (1e-4, 1e-2, 0.5):
        for target in (x, 0 * u, mean):
            yield u + size * (target - u)
        for seed in range(3):
            yield u + size * random_tensor(*u.shape, seed=seed)
        eye = torch.eye(u[0].numel(), dtype=u.dtype).reshape(-1, 1, *u.shape[1:])
        for entry in eye[:: max(1, len(eye) // 6)]:
            yield u + size * entry
            yield u - size * entry


def brute_force(g: Regulariser, x: Tensor, step: float) -> Tensor:
    """The minimiser of F on a grid around the best point so far, ever finer; x is (1, ...).

    Every grid shares its points with the one before, so that equal pixels can stay equal.
    """
    offsets = torch.cartesian_prod(*[torch.arange(-4.0, 5.0).double()] * x.numel())
    offsets = offsets.reshape(-1, *x.shape[1:])
    best, spacing = torch.full_like(x, 0.25), 0.25  # inside every domain
    for _ in range(16):
        while True:
            points = best + spacing * offsets
            before, best = best, points[objective(g, points, x, step).argmin()][None]
            if float((best - before).abs().max()) < 3 * spacing:
                break
        spacing /= 2
    return best


def moreau_defect(g: Regulariser, x: Tensor, step: float) -> float:
    """max |prox_{sg}(x) + s·prox_{g*/s}(x/s) − x|."""
    total = g.prox(x, step)[0] + step * g.conjugate_prox(x / step, 1 / step)
    return float((total - x).abs().max())


def fenchel_defect(g: Regulariser, x: Tensor, step: float) -> float:
    """How much p = prox_{sg*}(x) fails to be a subgradient of g at u = prox_{g/s}(x/s), at worst.

    It is one if g(v) ≥ g(u) + ⟨p, v − u⟩ for all v.
    """
    p, (u, _) = g.conjugate_prox(x, step), g.prox(x / step, 1 / step)
    rivals = list(_rivals(u, x))
    rivals += [g.prox(v, step)[0] for v in rivals]  # into the domain, where there is one
    return max(float((g.value(u) + image_dots(p, v - u) - g.value(v)).max()) for v in rivals)


def firmness_defect(T: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, m: float) -> float:
    """(1 + m)‖Tx − Ty‖² − ⟨Tx − Ty, x − y⟩ over ‖x − y‖², at worst; T returns its error, too."""
    worst = -float("inf")
    a, error_a = T(x)
    for size in (1e-3, 0.1, 1.0):
        for seed in range(2):
            y = x + size * random_tensor(*x.shape, seed=10 + seed)
            b, error_b = T(y)
            apart, error = image_norms(x - y), error_a + error_b
            rounding = error * ((1 + m) * (2 * image_norms(a - b) + error) + apart)
            defect = (1 + m) * image_norms(a - b).square() - image_dots(a - b, x - y) - rounding
            worst = max(worst, float((defect / apart.square()).max()))
    return worst


def bound_defect(g: Regulariser, reference: Regulariser, x: Tensor, step: float) -> float:
    """True error less the claimed bound, at worst, for loose tolerances; ≤ 0 if it is a bound."""
    exact, rest = reference.prox(x, step, tol=1e-7)
    worst = -float("inf")
    for tol in (1.0, 1e-3):
        u, bound = g.prox(x, step, tol=tol)
        worst = max(worst, float((image_norms(u - exact) - bound - rest).max()))
    return worst


def patient(g: Regulariser) -> Regulariser:
    """The same functional with a long inner loop."""
    return replace(g, max_iter=3000) if isinstance(g, TotalVariation) else g
