"""The one loop: z ← T(z), with the laws of its theorem checked on what ran.

A solver says which theorem covers it (`theorem`, asked before the first iteration), where it starts
(`init`), what a step is (`step`) and which picture belongs to a state (`image`). All that a run
remembers is in its state: a solver has none, and one solver can run twice. The loop knows nothing
of denoisers or operators.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor

from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.examination import Examination
from pnp_recon.solvers.core.observing import observe
from pnp_recon.solvers.core.solution import History, Look, Solution
from pnp_recon.solvers.core.stopping import Status, Stopping
from pnp_recon.solvers.core.theorem import Theorem
from pnp_recon.solvers.knobs import Knobs


@dataclass(frozen=True)
class State:
    """Where a run is. What else a method remembers (warm starts, momentum) a subclass adds.

    Attributes:
        z: what the theorem is about (B, ...): a picture, or whatever the method keeps.
    """

    z: Tensor


S = TypeVar("S", bound=State)


@dataclass(frozen=True)
class Step(Generic[S]):
    """One iteration.

    Attributes:
        state: the next one.
        error: proven bound (B,) on the distance of its z to what exact arithmetic would give.
        residual: (B,), what tends to zero at a solution; None: ‖z_{k+1} − z_k‖.
        ratio: (B,), left over right side of an inequality that the theorem implies for this step,
            rounding allowed for; `Laws.step` names it. Or None.
    """

    state: S
    error: Tensor
    residual: Tensor | None = None
    ratio: Tensor | None = None

    @property
    def z(self) -> Tensor:
        return self.state.z


class Solver(ABC, Generic[S]):
    """An iteration; mostly z ← T(z) for a map T that a theorem is about."""

    name: str

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        """The solver of a problem with a prior: what the knobs leave open is automatic.

        Args:
            problem: with a start.
            prior: its kind is one that the catalogue's entry names; None for solvers without.
            knobs: what the caller has set.

        Raises:
            InputError: what does not fit together.
        """
        raise NotImplementedError(f"{cls.__name__} is not made from a problem")

    @abstractmethod
    def theorem(self) -> Theorem:
        """What covers the run; raises StepSizeError where parameters leave its range."""

    @abstractmethod
    def init(self) -> S:
        """The start of a run."""

    @abstractmethod
    def step(self, state: S, iteration: int) -> Step[S]:
        """One iteration. The state that it is given is spent: its buffers may be used again."""

    @abstractmethod
    def image(self, state: S) -> Tensor:
        """The picture (B, C, H, W) that belongs to a state, which it leaves as it is."""

    def at(self, state: S, z: Tensor) -> S:
        """The state moved to z from outside, as accelerations do."""
        return state if z is state.z else replace(state, z=z)

    def norm(self, z: Tensor) -> Tensor:
        """The norm (B,) that the theorem is about."""
        return norms(z)

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """Proven bound (B,) on ‖z − z*‖ for every fixed point z*, or None."""
        return None

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        """What the error of a step may be for errors to stay summable; None: steps are exact."""
        return None

    def examination(self) -> Examination | None:
        """A search for what contradicts a declared premise of the theorem; None: none is open."""
        return None

    def examined(self, state: S) -> Tensor:
        """Where that search looks: a picture (B, C, H, W) near which the run calls the prior."""
        return state.z

    def parameters(self, state: S | None = None) -> dict[str, float]:
        """The solver's numbers, for the report; with a state, also what the run counted."""
        return {}


def iterate(
    solver: Solver[Any],
    stopping: Stopping | None = None,
    *,
    reference: Tensor | None = None,
    callback: Callable[[Look], None] | None = None,
) -> Solution:
    """Runs `solver` until `stopping` says so; Ctrl-C returns what there is.

    `reference` (B, C, H, W) adds the PSNR of every look to the history. A broken law makes
    `solution.certificate.contradicted` true.
    """
    stopping = stopping or Stopping()
    certificate = Certificate(solver.theorem())
    begin = time.perf_counter()
    run = _Run(History(), [])
    examination = solver.examination() if certificate.proven else None
    status = Status.EARLY_STOP if stopping.early else Status.ITERATION_LIMIT
    with torch.inference_mode():
        state = solver.init()
        last_finite, reach = state, solver.distance_bound(state.z)
        start = state.z
        try:
            for iteration in range(1, stopping.max_iter + 1):
                before = state.z
                result = solver.step(state, iteration - 1)
                state = result.state
                residual = result.residual
                if residual is None:
                    residual = solver.norm(state.z - before)
                row = (residual, solver.norm(before), result.error)
                run.pending.append(row if result.ratio is None else (*row, result.ratio))
                if iteration % stopping.check_every and iteration < stopping.max_iter:
                    continue
                if not run.look(iteration, time.perf_counter() - begin):
                    status = Status.NON_FINITE
                    break
                last_finite = state
                if examination is not None:
                    examination = examination.look(solver.examined(state), iteration)
                relative = max(run.history.relative(-1))
                image = partial(solver.image, state)
                psnr = run.measure(image(), reference) if reference is not None else None
                if callback is not None:
                    callback(Look(iteration, relative, psnr, image))
                if relative <= stopping.tol:
                    status = Status.CONVERGED
                    break
                if stopping.time_limit and run.history.seconds[-1] > stopping.time_limit:
                    status = Status.TIME_LIMIT
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
            done = run.history.iterations + len(run.pending)
            if run.pending and run.look(done, time.perf_counter() - begin):
                last_finite = state
        if examination is not None and status not in (Status.INTERRUPTED, Status.TIME_LIMIT):
            examination = examination.end(solver.examined(last_finite))
        picture = solver.image(last_finite).clone()
    if certificate.proven:
        precision = torch.finfo(start.dtype).eps
        found = [solver.error_tolerance(start, k) for k in range(run.history.iterations)]
        tolerances = [tolerance for tolerance in found if tolerance is not None]
        laws = certificate.theorem.laws()
        observed = observe(run.history, laws, reach, precision, tolerances)
        if examination is not None:
            observed = (*observed, *examination.observations)
        certificate = certificate.with_observations(observed)
    parameters = solver.parameters(state)
    return Solution(picture, status, certificate, run.history, solver.name, parameters)


@dataclass
class _Run:
    """Residuals wait on the device until the loop looks: one synchronisation for each look."""

    history: History
    pending: list[tuple[Tensor, ...]]

    def look(self, iteration: int, seconds: float) -> bool:
        """Moves what is pending into the history; False at the first non-finite value."""
        block = torch.stack([torch.stack(row) for row in self.pending]).double().cpu()
        self.pending.clear()
        for residual, norm, error, *ratio in block.tolist():
            if not all(map(math.isfinite, residual + norm + error)):
                return False
            self.history.ratios.extend(ratio)
            self.history.residuals.append(residual)
            self.history.norms.append(norm)
            self.history.errors.append(error)
        self.history.checked.append(iteration)
        self.history.seconds.append(seconds)
        return True

    def measure(self, image: Tensor, reference: Tensor) -> float:
        error = (image - reference).square().flatten(1).mean(1).clamp_min(1e-12)
        values = (-10 * torch.log10(error)).tolist()
        self.history.psnr.append(values)
        return float(sum(values) / len(values))


def norms(z: Tensor) -> Tensor:
    """Euclidean norm of every picture of the batch: (B,)."""
    return torch.linalg.vector_norm(z.flatten(1), dim=1)
