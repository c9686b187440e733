"""How well a strength fits the data: residual and degrees of freedom, from one random probe.

The solver runs on y and on y + εb in one batch, b of random signs: bᵀ(A x̂(y + εb) − A x̂(y))/ε is
tr ∂(A x̂)/∂y up to a small error (Girard 1989; Ramani, Blu & Unser 2008). All of it is in the units
of the fidelity, in which the noise has one level. Knows no prior and no solver by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from operators.deadlines import expired
from pnp_recon.fidelity import Fidelity
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.solver import Solver, State
from pnp_recon.solvers.core.strength import Trial

SEED = 0
# ε in units of the noise level: small against what the picture makes of it, large against rounding.
EPSILON = 0.1
# Relative to the range of the data where no noise is known.
LEAST_EPSILON = 1e-4
# Changes of log GCV between looks, below which a trial ends.
SETTLED = 4e-3
# Iterations between two looks of a trial.
LOOK = 2

Configure = Callable[[Problem, float], Solver[Any]]


class Probe:
    """Trials of one problem, each from where the one of the nearest strength ended.

    Args:
        problem: with or without a start.
        configure: problem and strength -> the solver.

    Attributes:
        noise: the noise level in the units of `Trial.deviation`.
        count: number of data, without those that no picture has a part in.
        ends: strength, z and picture with which each trial ended that led anywhere.

    Raises:
        InputError: y + εb is outside the domain of the fidelity.
    """

    def __init__(self, problem: Problem, configure: Configure) -> None:
        self.configure = configure
        fidelity = problem.data_term
        self.noise = problem.noise()
        generator = torch.Generator().manual_seed(SEED)
        y = problem.y
        signs = torch.randint(0, 2, y.shape, generator=generator, dtype=torch.int8)
        whitening = torch.as_tensor(fidelity.whitening, dtype=y.dtype, device=y.device)
        self.seen = self._seen(problem, generator) & (whitening > 0).expand_as(y)
        self.whitening = torch.where(self.seen, whitening, 0.0)
        self.signs = torch.where(self.seen, 2 * signs.to(y) - 1, 0.0)
        largest = float((self.whitening * y).abs().max())
        self.epsilon = max(EPSILON * self.noise, LEAST_EPSILON * largest)
        scale = torch.where(self.seen, self.whitening, 1.0)
        y = fidelity.movable(self.epsilon * self.signs.abs() / scale)
        moved = y + self.epsilon * self.signs / scale
        self.problem = _doubled(problem, y, moved, self.noise)
        self.count = int(self.seen.sum())
        self.ends: list[tuple[float, Tensor, Tensor]] = []

    @staticmethod
    def _seen(problem: Problem, generator: torch.Generator) -> Tensor:
        """Entries of the data that a picture has a part in, as no missing pixel does."""
        like = problem.first_guess()
        noise = torch.rand(like.shape, generator=generator, dtype=torch.float64).to(like)
        return problem.A.A(noise) != 0

    def trial(self, strength: float, limit: int) -> Trial:
        """Residual and degrees of freedom at a strength, after at most `limit` iterations."""
        problem, z = self.problem, None
        if self.ends:
            # From the picture and from z, which may hold dual variables as well.
            near = min(self.ends, key=lambda end: abs(math.log(end[0] / strength)))
            z, problem = near[1], replace(problem, start=near[2])
        solver = self.configure(problem, strength).trial()
        state: State = solver.init() if z is None else solver.resumed(z)
        if solver.trial_steps is not None:
            limit = min(limit, solver.trial_steps[0 if z is None else 1])
        found, before, change = None, math.inf, math.inf
        for k in range(limit):
            state = solver.step(state, k).state
            last = k == limit - 1 or expired()
            if (k + 1) % LOOK and not last:
                continue
            found = self._measured(strength, solver.image(state), k + 1)
            now = math.log(max(found.gcv, 1e-300))
            earlier, change = change, abs(now - before)
            # Twice in a row, as a curve that turns is at rest for a moment; never at inf or NaN.
            if last or max(earlier, change) < SETTLED:
                break
            before = now
        assert found is not None
        if math.isfinite(found.deviation + found.df):
            self.ends.append((strength, state.z, solver.image(state)))
        return found

    def _measured(self, strength: float, image: Tensor, iterations: int) -> Trial:
        A, half = self.problem.A, len(image) // 2
        seen = A.A(image)
        plain, moved = seen[:half], seen[half:]
        residual = self.problem.data_term.misfit(seen)[:half]
        residual = torch.where(self.seen, residual, 0.0).double()
        answer = self.signs * self.whitening * (moved - plain)
        df = float(answer.double().sum()) / (self.epsilon * self.count)
        square = float(residual.square().sum()) / self.count
        return Trial(
            strength=strength,
            df=df,
            deviation=math.sqrt(square),
            correlation=self._correlation(residual),
            iterations=iterations,
        )

    def _correlation(self, residual: Tensor) -> float:
        """Mean correlation of neighbours along the last two axes of the residual."""
        found = []
        seen = self.seen
        for axis in (-1, -2):
            length = residual.shape[axis] - 1
            if residual.ndim < 3 or length < 1:
                continue
            a, b = residual.narrow(axis, 0, length), residual.narrow(axis, 1, length)
            both = seen.narrow(axis, 0, length) & seen.narrow(axis, 1, length)
            pairs = int(both.sum())
            if pairs:
                found.append(float((a * b)[both].sum()) / pairs)
        square = float(residual.square().sum()) / self.count
        return sum(found) / len(found) / square if found and square > 0 else 0.0


def _doubled(problem: Problem, y: Tensor, moved: Tensor, noise: float) -> Problem:
    """The problem with y and the moved y in one batch."""
    y = torch.cat([y, moved])
    fidelity = problem.fidelity
    if fidelity is not None:
        fidelity = _doubled_fidelity(fidelity, y)
        y = fidelity.y
    start = problem.first_guess()
    return replace(
        problem,
        y=y,
        noise_level=noise if problem.fidelity is None else problem.noise_level,
        truth=None,
        start=torch.cat([start, start]),
        fidelity=fidelity,
    )


def _doubled_fidelity(fidelity: Fidelity, y: Tensor) -> Fidelity:
    pictures = len(fidelity.y)
    changed: dict[str, Any] = {"y": y}
    for field in fields(fidelity):
        value = getattr(fidelity, field.name)
        if field.name == "y" or not field.init:
            continue
        if isinstance(value, Tensor) and value.ndim == y.ndim and len(value) == pictures > 1:
            changed[field.name] = torch.cat([value, value])
    return replace(fidelity, **changed)
