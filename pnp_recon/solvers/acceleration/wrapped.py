"""Iterations wrapped around a solver z ← T(z) whose `check` proves T nonexpansive or averaged.

* Krasnosel'skii–Mann  z_{k+1} = z_k + λ(T z_k − z_k), 0 < λ < 1/α.
* Halpern  z_{k+1} = z_0/(k+2) + (k+1)/(k+2)·R z_k, R = I + (T − I)/α: nonexpansive, with the fixed
  points of T.

Fixed points, norm, picture and inner errors are those of the wrapped solver. The residual of a
step is ‖T z_k − z_k‖, and a run ends when it, plus the error with which T was evaluated, is small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.solvers.acceleration.safeguard import STEP_LAW, Pair
from pnp_recon.solvers.core.certificate import Certificate, Constant
from pnp_recon.solvers.core.laws import Laws
from pnp_recon.solvers.core.loop import Solver, Step


@dataclass(eq=False)
class Wrapped(Solver):
    """What the iterations around an `inner` solver share.

    The picture of the state that a step returned is that of the last T z_k: its own residual is
    at most the one that was measured, because T is nonexpansive.

    Raises:
        InputError: `inner` is no iteration z ← T(z) of one map (conjugate gradients, momentum).
    """

    label: ClassVar[str]
    # How many plain steps one step is worth: inner tolerances, which fall like 1/k², follow.
    pace: ClassVar[int] = 1

    inner: Solver
    _pair: Pair | None = field(default=None, init=False, repr=False)
    _last: tuple[Tensor, Tensor] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.name = f"{self.inner.name}+{self.label}"

    def inner_certificate(self) -> Certificate:
        """What is proven about T."""
        held = self.inner.check()
        if held.covered is not None:
            raise InputError(
                f"{self.label} needs an iteration z ← T(z) of one map; {self.inner.name} is one of "
                "another kind; wrap a plain one"
            )
        return held

    def init(self) -> Tensor:
        alpha = self.inner_certificate().guarantee.averagedness
        self._pair = None if alpha is None else Pair(alpha, self.inner.norm)
        self._last = None
        return self.inner.init()

    def evaluate(
        self, z: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        """T z, its error, T z − z, the norm of that, and the ratio of `STEP_LAW`."""
        found = self.inner.step(z, self.pace * (iteration + 1) - 1)
        difference = found.z - z
        ratio = None if self._pair is None else self._pair.ratio(z, found.z, found.error)
        return found.z, found.error, difference, self.norm(difference), ratio

    def remember(self, z: Tensor, image: Tensor) -> Tensor:
        """z, the next state, with `image` = T z_k as its picture."""
        self._last = (z, image)
        return z

    def image(self, z: Tensor) -> Tensor:
        if self._last is not None and self._last[0] is z:
            return self.inner.image(self._last[1])
        return self.inner.image(z)

    def norm(self, z: Tensor) -> Tensor:
        return self.inner.norm(z)

    def distance_bound(self, z: Tensor) -> Tensor | None:
        return self.inner.distance_bound(z)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return self.inner.error_tolerance(z, self.pace * (iteration + 1) - 1)

    def parameters(self) -> dict[str, float]:
        return self.inner.parameters()


def picard_rate(averagedness: float, k: int) -> float:
    """Proven bound of ‖z_k − S z_k‖/‖z_0 − z*‖ for z ← S(z) with an averaged S.

    For S = (1−μ)I + μR, ½ ≤ μ ≤ 1 and R nonexpansive, the tight bound is

        ‖z_k − S z_k‖² / (4μ²‖z_0 − z*‖²) ≤ (1 − 1/(k+1))^k / (4μ(1−μ)(k+1))   if (2μ−1)² ≤ k/(k+1),
                                          ≤ (2μ−1)^{2k}                         otherwise

    (Lieder 2018, Thm 4.9; Gu & Yang 2020 for μ = ½), attained by a rotation R of the plane. An S
    with μ < ½ is ½-averaged as well; there μ/((1−μ)(k+1)) (Bauschke & Combettes 2017, Thm 5.15)
    is the smaller one for large k, and the smaller one is returned.
    """
    mu = max(averagedness, 0.5)
    if (2 * mu - 1) ** 2 <= k / (k + 1):
        tight = (k / (k + 1)) ** k * mu / ((1 - mu) * (k + 1))
    else:
        tight = 4 * mu**2 * (2 * mu - 1) ** (2 * k)
    if averagedness < 0.5:
        tight = min(tight, averagedness / ((1 - averagedness) * (k + 1)))
    return math.sqrt(tight)


@dataclass(eq=False)
class KrasnoselskiiMann(Wrapped):
    """z ← z + λ(T z − z), 0 < λ < 1/α: averaged with λα, with the fixed points of T.

    λ > 1 is over-relaxation; λ < 1 makes the iteration of a merely nonexpansive T converge.

    Raises:
        StepSizeError: λ outside (0, 1/α).
    """

    label = "km"

    relaxation: float = 1.0

    def check(self) -> Certificate:
        held = self.inner_certificate()
        weight = self.relaxation
        if not 0 < weight < math.inf:
            raise StepSizeError(f"relaxation {weight:.6g} is not a positive number; take one")
        alpha = held.guarantee.averagedness
        if alpha is None:
            return held
        if weight * alpha >= 1:
            raise StepSizeError(
                f"relaxation {weight:.6g} lies outside the proven range (0, 1/α) = "
                f"(0, {1 / alpha:.6g}) of a map that is {held.guarantee}; take one inside it"
            )
        theorem = (
            f"Krasnosel'skii–Mann iteration with λ = {weight:.6g}: the iterates converge to a "
            "fixed point (Bauschke & Combettes 2017, Thm 5.15; rate: Lieder 2018, Thm 4.9); T and "
            f"its fixed points: {held.theorem}"
        )
        constant = Constant(
            "relaxation λ", weight, f"covered range (0, 1/α) = (0, {1 / alpha:.6g})"
        )
        return Certificate(
            theorem, guarantees.relax(held.guarantee, weight), (*held.constants, constant)
        )

    def laws(self, certificate: Certificate) -> Laws:
        alpha = certificate.guarantee.averagedness
        if alpha is None or alpha >= 1:
            return Laws()
        # ‖T z − z‖ = ‖S z − z‖/λ for S = (1−λ)I + λT.
        return Laws(True, lambda k: picard_rate(alpha, k) / self.relaxation, "O(1/√k)", STEP_LAW)

    def step(self, z: Tensor, iteration: int) -> Step:
        _, error, difference, residual, ratio = self.evaluate(z, iteration)
        moved = z + self.relaxation * difference
        return Step(moved, max(self.relaxation, 1.0) * error, residual, ratio)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = super().error_tolerance(z, iteration)
        return None if found is None else max(self.relaxation, 1.0) * found

    def parameters(self) -> dict[str, float]:
        return {**self.inner.parameters(), "km_relaxation": self.relaxation}


@dataclass(eq=False)
class Halpern(Wrapped):
    """z_{k+1} = z_0/(k+2) + (k+1)/(k+2)·R z_k, R = I + (T − I)/α (Halpern 1967).

    T need only be nonexpansive (α = 1, R = T). The iterates converge to the fixed point nearest
    to z_0 (Wittmann 1992; Bauschke & Combettes 2017, Thm 30.1), and ‖z_k − R z_k‖ ≤ 2‖z_0−z*‖/(k+1)
    (Sabach & Shtern 2017; Lieder 2021: tight), so that ‖z_k − T z_k‖ ≤ 2α‖z_0−z*‖/(k+1); for
    α = ½ this is the rate of Kim 2021.

    Errors e_j of R move z_k by at most Σ_{j<k} (j+1)e_j/(k+1), by induction. Where Σ e_j is finite
    this tends to zero (Kronecker's lemma): the limit stays the same.
    """

    label = "halpern"

    _anchor: Tensor | None = field(default=None, init=False, repr=False)
    _averagedness: float = field(default=1.0, init=False, repr=False)

    def check(self) -> Certificate:
        held = self.inner_certificate()
        if not held.guarantee.is_nonexpansive:
            return Certificate(held.theorem, held.guarantee, held.constants, covered=False)
        theorem = (
            "Halpern iteration: the iterates converge to the fixed point nearest to z_0 (Wittmann "
            "1992; Bauschke & Combettes 2017, Thm 30.1) with ‖z_k − T z_k‖ ≤ 2α‖z_0 − z*‖/(k+1) "
            f"(Lieder 2021); T and its fixed points: {held.theorem}"
        )
        return Certificate(theorem, held.guarantee, held.constants, covered=True)

    def laws(self, certificate: Certificate) -> Laws:
        alpha = certificate.guarantee.averagedness or 1.0
        return Laws(False, lambda k: 2 * alpha / (k + 1), "O(1/k)", STEP_LAW)

    def init(self) -> Tensor:
        self._anchor = super().init()
        self._averagedness = self.inner_certificate().guarantee.averagedness or 1.0
        return self._anchor

    def step(self, z: Tensor, iteration: int) -> Step:
        assert self._anchor is not None, "init() starts a run"
        image, error, difference, residual, ratio = self.evaluate(z, iteration)
        alpha, weight = self._averagedness, (iteration + 1) / (iteration + 2)
        moved = (1 - weight) * self._anchor + weight * (z + difference / alpha)
        return Step(self.remember(moved, image), error / alpha, residual, ratio)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = super().error_tolerance(z, iteration)
        return None if found is None else found / self._averagedness
