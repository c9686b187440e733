"""An active search for two pictures that a declared constant does not allow.

A denoiser N that is declared α-averaged is (1−α)I + αR with a 1-Lipschitz R, so that for any two
pictures ‖R z − R z'‖ ≤ ‖z − z'‖, and one that is declared L-Lipschitz has ‖N z − N z'‖ ≤ L‖z − z'‖.
The iterates of a run seldom lie where a false constant shows. A `Challenge` looks for the place:

* pairs z, z + d with d in the subspace that earlier pairs span. It is enlarged by images R d, as a
  Krylov space is (an outlier at 1 + e shows after about 1/√e images, where plain power steps take
  1/e), and where autograd passes through N by RᵀR d, which sees expansions that R turns out of the
  subspace. It starts from noise, coarse, fine and in one place, and from the picture.
  The direction in which the images say that R grows most is then measured.
* pairs of pictures that are far apart: z and its mirror image, mid-grey, its negative, black, white
  and where the run was first seen; and far along that direction, for kinks and whatever else no
  derivative at z knows.

Linear algebra only says where to look. What counts is the two sides of the inequality at pictures
that N was called with. It knows no solver and holds no generator: all that it remembers is in
frozen values, and calls leave the random numbers of the program as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers.core.laws import ROUNDING_UNITS
from pnp_recon.solvers.core.solver import norms
from pnp_recon.solvers.pnp.directions import SEEDS, far_points, noise, unit
from pnp_recon.solvers.pnp.subspace import Subspace

Denoise = Callable[[Tensor], Tensor]

# ‖d‖ of a small pair over the root of the number of entries: small, so that a network is nearly
# linear over it. In float32 the allowance for rounding is then at most 2.6e-3 of ‖d‖ for pictures
# in [0, 1] (64 eps/3e-3 for white), well below 1 %.
SMALL = 3e-3
# The same for pairs far along the best direction.
FAR = (0.1, 0.4)
# Directions kept, two pictures each: as many as `ROOM` entries hold, but from 4 to 24. When they
# are full, the best third goes on.
MEMORY = (4, 24)
ROOM = 2**26
# Share of the last search that follows RᵀR, and what a step of it costs in calls.
TURNED = 0.5
TURN = 3
# Entries of the largest batch whose derivatives are taken: all that N computes is kept for them.
TURNABLE = 2**20
# A direction whose part outside the subspace is less than this is rounding; noise takes over.
NOVEL = 1e-4


@dataclass(frozen=True)
class Challenge:
    """What has been tried so far.

    Attributes:
        lipschitz: declared Lipschitz constant.
        averagedness: declared α, or None where none is.
        worst: left over right side (B,), the largest so far; above 1 contradicts the declaration.
        pairs: how many pairs of pictures were tried.
        calls: what that cost, in calls of N; a derivative counts as two.
        differentiable: False once autograd has not passed through N.
        subspace: directions from earlier pairs.
        first: where the search first was.
        seeds: starting directions that were used up.
    """

    lipschitz: float
    averagedness: float | None
    worst: Tensor | None = None
    pairs: int = 0
    calls: int = 0
    differentiable: bool = True
    subspace: Subspace | None = None
    first: Tensor | None = None
    seeds: int = 0

    @classmethod
    def begin(cls, declared: Guarantee) -> Self:
        """Before the first pair.

        Raises:
            ValueError: nothing is declared.
        """
        if declared.lipschitz is None:
            raise ValueError(f"there is no constant to challenge: {declared.source}")
        return cls(declared.lipschitz, declared.averagedness)

    @property
    def words(self) -> str:
        """The inequality, and on how many pairs it was tried."""
        alpha, constant = self.averagedness, self.lipschitz
        if alpha is None or constant < 1:
            law = f"‖N z − N z'‖ ≤ {constant:.6g}·‖z − z'‖"
        elif alpha == 1:
            law = "‖N z − N z'‖ ≤ ‖z − z'‖"
        else:
            law = f"‖R z − R z'‖ ≤ ‖z − z'‖, R = (N − (1−α)I)/α, α = {alpha:.6g},"
        return f"{law} on {self.pairs} pairs that were searched for (ratio)"

    def confront(
        self, denoise: Denoise, z: Tensor, calls: int, *, far: bool = False
    ) -> tuple[Tensor, Challenge]:
        """Tries pairs around z (B, C, H, W).

        Args:
            denoise: N.
            calls: how many calls of N it may take, at least 3.
            far: try pairs that are far apart as well; of a small budget they take half at most.

        Returns:
            ratio: the largest (B,) of these pairs, infinite where N gives no finite picture.
            challenge: what is known now.
        """
        at = _Point.of(denoise, z)
        left, known = calls - 1, replace(self, calls=self.calls + 1)
        known = replace(known, first=z.clone() if self.first is None else self.first)
        ratio = norms(z).double() * 0
        if far:
            assert known.first is not None
            for other in far_points(z, known.first)[: max(left // 2, 1)]:
                found, known, _ = known._try(at, other)
                ratio, left = torch.maximum(ratio, found), left - 1
        along = FAR if far else ()
        left -= 1 + len(along)
        back, turns = None, 0
        if far and known.differentiable and z.numel() <= TURNABLE and left > 3 * TURN:
            back, left = known._transpose(at), left - TURN
            turns = int(TURNED * left / TURN) if back is not None else 0
            known = replace(known, differentiable=back is not None, calls=known.calls + TURN)
        found, known = known._walk(at, left - TURN * turns)
        ratio = torch.maximum(ratio, found)
        if turns:
            known = replace(known, calls=known.calls + (TURN - 1) * turns)
            found, known = known._walk(at, turns, back)
            ratio = torch.maximum(ratio, found)
        if known.subspace is not None:
            tried = known.subspace
            direction = tried.ranked(1).directions[:, 0]
            for size in (SMALL, *along):
                sign = 1.0 if size == SMALL else _inwards(z, direction)
                found, known, image = known._try(at, _moved(z, sign * direction, size))
                ratio = torch.maximum(ratio, found)
                if size == SMALL:
                    # In front: the chain goes on from the last one.
                    held = Subspace.of(direction, image)
                    known = replace(known, subspace=held.joined(tried))
        worst = ratio if known.worst is None else torch.maximum(known.worst, ratio)
        return ratio, replace(known, worst=worst)

    def _try(self, at: _Point, point: Tensor) -> tuple[Tensor, Challenge, Tensor]:
        """One pair: its ratio (B,), what is known now, and R's difference quotient (B, N)."""
        moved, image = point - at.z, at.denoise(point)
        turn = image - at.image
        # Each of the two calls is off by rounding, relative to the larger of picture and result.
        slack = at.slack + _rounding(point, image)
        size = norms(moved).double()
        ratio = norms(turn).double() / (self.lipschitz * size + slack).clamp_min(1e-300)
        driving = turn / self.lipschitz if self.lipschitz > 0 else turn
        if (alpha := self.averagedness) is not None:
            reflected = (turn - (1 - alpha) * moved) / alpha
            averaged = norms(reflected).double() / (size + slack / alpha).clamp_min(1e-300)
            ratio = torch.maximum(ratio, averaged)
            driving = driving if self.lipschitz < 1 else reflected
        ratio = torch.where(size > 0, ratio, 0.0)
        ratio = torch.where(torch.isfinite(ratio), ratio, torch.inf)
        quotient = driving.flatten(1) / size.clamp_min(1e-30).to(driving)[:, None]
        known = replace(self, pairs=self.pairs + 1, calls=self.calls + 1)
        return ratio, known, torch.where(torch.isfinite(quotient), quotient, 0.0)

    def _walk(
        self, at: _Point, steps: int, back: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Challenge]:
        """Small pairs along a chain: each direction is the image of the one before, or Rᵀ of it."""
        known, ratio = self, norms(at.z).double() * 0
        for step in range(steps):
            if back is not None and step == 0:
                start = noise(at.z, 1000 + known.seeds)
            elif known.seeds < len(SEEDS):
                start = SEEDS[known.seeds](at.z, known.seeds)
            else:
                start = None
            known, direction = replace(known, seeds=known.seeds + 1), known._next(at.z, start, back)
            found, known, image = known._try(at, _moved(at.z, direction, SMALL))
            ratio, known = torch.maximum(ratio, found), known._learn(direction, image)
        return ratio, known

    def _next(
        self, z: Tensor, start: Tensor | None, back: Callable[[Tensor], Tensor] | None
    ) -> Tensor:
        """A unit direction (B, N) outside the subspace; noise where the chain has nothing new."""
        held = self.subspace
        if held is None:
            return unit(noise(z, self.seeds) if start is None else start)
        if start is not None:
            return held.outside(unit(start))[0]
        image = held.images[:, -1]
        new, part = held.outside(image if back is None else back(image))
        other = held.outside(unit(noise(z, self.seeds)))[0]
        return torch.where((part > NOVEL)[:, None], new, other)

    def _learn(self, direction: Tensor, image: Tensor) -> Challenge:
        """With the pair's direction and image (B, N) in the subspace."""
        held, new = self.subspace, Subspace.of(direction, image)
        if held is None:
            return replace(self, subspace=new)
        least, most = MEMORY
        if held.size >= min(max(ROOM // (2 * direction.numel()), least), most):
            held = held.ranked(max(held.size // 3, 1))
        return replace(self, subspace=held.joined(new))

    def _transpose(self, at: _Point) -> Callable[[Tensor], Tensor] | None:
        """Rᵀ at z, of (B, N); None where autograd does not pass through N."""
        alpha = self.averagedness if self.lipschitz >= 1 else None
        try:
            with torch.inference_mode(False), torch.enable_grad():
                point = at.z.clone().requires_grad_()
                image = at.denoise(point)
                torch.autograd.grad(image.sum(), point, retain_graph=True)
        # A function of somebody's own fails as an InputError.
        except (RuntimeError, NotImplementedError, InputError):
            return None

        def back(vector: Tensor) -> Tensor:
            with torch.inference_mode(False), torch.enable_grad():
                cotangent = vector.clone().reshape(at.z.shape)
                (found,) = torch.autograd.grad(image, point, cotangent, retain_graph=True)
            if alpha is not None:
                found = found - (1 - alpha) * cotangent
            return torch.where(torch.isfinite(found), found, 0.0).flatten(1)

        return back


@dataclass(frozen=True)
class _Point:
    """z, N z and what rounding leaves open of N z (B,)."""

    denoise: Denoise
    z: Tensor
    image: Tensor
    slack: Tensor

    @classmethod
    def of(cls, denoise: Denoise, z: Tensor) -> Self:
        image = denoise(z)
        return cls(denoise, z, image, _rounding(z, image))


def _rounding(point: Tensor, image: Tensor) -> Tensor:
    """What an evaluation may be off by (B,), in float64."""
    size = torch.maximum(norms(point), norms(image)).double()
    return ROUNDING_UNITS * torch.finfo(point.dtype).eps * size


def _moved(z: Tensor, direction: Tensor, size: float) -> Tensor:
    """z + d with d along a unit direction (B, N), of root mean square `size`."""
    length = size * direction.shape[1] ** 0.5
    return z + length * direction.reshape(z.shape)


def _inwards(z: Tensor, direction: Tensor) -> Tensor:
    """The sign (B, 1) that takes z along the direction (B, N) towards mid-grey."""
    along = ((0.5 - z).flatten(1) * direction).sum(1, keepdim=True)
    return torch.where(along < 0, -1.0, 1.0).to(direction)
