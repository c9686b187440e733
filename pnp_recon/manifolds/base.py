"""What is asked of a manifold: geodesics by exponential and logarithm, and whether it is Hadamard.

Everything is batched: points (..., *point) and tangent vectors (..., *tangent) with the same
leading axes. A tangent vector belongs to its foot, and its coordinates are the manifold's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.solvers.core.theorem import Premise


class Manifold(ABC):
    """A Riemannian manifold.

    Attributes:
        name: as reports have it.
        point_axes, tangent_axes: how many trailing axes a point and a tangent vector have.
        dtype: what points are given in.
    """

    name: str
    point_axes: int
    tangent_axes: int
    dtype: ClassVar[torch.dtype] = torch.float64

    @abstractmethod
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Where the geodesic from x with the velocity v is after time 1; on the manifold."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The velocity at x of the shortest geodesic that reaches y after time 1."""

    @abstractmethod
    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """⟨u, v⟩ at x: (...)."""

    @abstractmethod
    def off(self, x: Tensor) -> Tensor:
        """How far x is off the manifold: (...), 0 on it, rounding apart; inf where it is lost."""

    @abstractmethod
    def convexity(self, y: Tensor) -> Premise | str:
        """Why functions of distances to y are convex along geodesics; or why none is known to be.

        Args:
            y: data (..., *point).
        """

    def covers(self, y: Tensor, x: Tensor) -> bool:
        """Whether x lies where `convexity` of the data y speaks of."""
        return True

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """(...), the length of the shortest geodesic."""
        return self.norm(x, self.log(x, y))

    def logs(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`log` of x at y, of y at x, and the distance."""
        there = self.log(x, y)
        return there, self.log(y, x), self.norm(x, there)

    def norm(self, x: Tensor, v: Tensor) -> Tensor:
        """Length of v at x: (...)."""
        return self.inner(x, v, v).clamp_min(0).sqrt()

    def scaled(self, v: Tensor, factor: Tensor | float) -> Tensor:
        """v (..., *tangent) times a number for each point (...)."""
        if isinstance(factor, Tensor):
            factor = factor[(..., *[None] * self.tangent_axes)]
        return v * factor

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor | float) -> Tensor:
        """The point at the share t of the way from x to y."""
        return self.exp(x, self.scaled(self.log(x, y), t))

    def mean(self, points: Tensor, tol: float = 1e-12, max_iter: int = 200) -> Tensor:
        """The point (*point) with the least sum of squared distances to points (n, *point).

        Karcher's iteration, halved where it overshoots: on a Hadamard manifold the one minimiser,
        to the distance `tol` (the mean of n functions ½d² is 1-strongly convex); elsewhere a point
        where the gradient is that small.

        Raises:
            InputError: it was not reached.
        """
        at, step, last = points[:1], 1.0, float("inf")
        for _ in range(max_iter):
            pull = self.log(at.expand_as(points), points).mean(0, keepdim=True)
            size = float(self.norm(at, pull))
            if size <= tol:
                return at[0]
            step = step / 2 if size > last else step
            at, last = self.exp(at, step * pull), size
        raise InputError(
            f"the mean was found to {last:.3g} only, expected {tol:.3g}; raise max_iter"
        )

    def shaped(self, shape: tuple[int, ...]) -> bool:
        """Can the last axes of such a tensor be a point?"""
        return len(shape) >= self.point_axes

    def require(self, x: Tensor, name: str = "y") -> None:
        """Refuses what are no points.

        Raises:
            InputError: no tensor of numbers, another precision, or points off the manifold.
        """
        if not isinstance(x, Tensor):
            raise InputError(
                f"{name} is a {type(x).__name__}; expected a tensor, as torch.from_numpy makes one"
            )
        if x.dtype != self.dtype:
            raise InputError(f"{name} is {x.dtype}; expected {self.dtype} for {self.name}")
        if not self.shaped(tuple(x.shape)):
            raise InputError(
                f"{name} has the shape {tuple(x.shape)}; the last axes are no point of {self.name}"
            )
        worst = float(self.off(x.detach()).max()) if x.numel() else 0.0
        if not worst <= 1e-8:
            raise InputError(
                f"{name} has points that are off {self.name} by {worst:.3g}; expected at most 1e-8"
            )
