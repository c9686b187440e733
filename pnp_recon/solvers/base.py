"""The one loop: z ← T(z), with the laws of averaged maps checked on what ran.

A solver says what T is (`step`), what is proven about it (`check`, called before the first
iteration) and which picture belongs to z (`image`). The loop knows nothing of denoisers or
operators.

For an α-averaged T with fixed point z*, ‖z_{k+1}−z_k‖ never increases and
(k+1)·‖z_{k+1}−z_k‖² ≤ α/(1−α)·‖z₀−z*‖² (Bauschke & Combettes 2017, Thm 5.15 and its proof).
A step with ‖z_{k+1} − T z_k‖ ≤ e_k can raise ‖z_{k+1}−z_k‖ by at most e_k + e_{k+1}. With
E = Σe, c = (1−α)/α and ρ_k = ‖T z_k − z_k‖, summing ‖z_{k+1}−z*‖² ≤ (‖T z_k − z*‖ + e_k)² gives
c·Σρ² ≤ (‖z₀−z*‖ + 2E)²; as ρ_k ≤ ρ_j + 2E for j ≤ k, the second law becomes
‖z_{k+1}−z_k‖ ≤ (‖z₀−z*‖ + 2E)/(c(k+1))^½ + 3E.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pnp_recon.solvers.certificate import Certificate, Observation
from pnp_recon.solvers.solution import History, Look, Solution
from pnp_recon.solvers.stopping import Status, Stopping

# Rounding of one evaluation of T in units of the machine epsilon, relative to ‖z‖.
ROUNDING_UNITS = 32.0


@dataclass(frozen=True)
class Step:
    """An evaluation of T and a proven bound (B,) on its distance to the exact value."""

    z: Tensor
    error: Tensor


class Solver(ABC):
    """A fixed-point iteration z ← T(z)."""

    name: str

    @abstractmethod
    def check(self) -> Certificate:
        """What is proven about T; raises where parameters leave the theorem's range."""

    @abstractmethod
    def init(self) -> Tensor:
        """The start z₀ (B, C, H, W)."""

    @abstractmethod
    def step(self, z: Tensor, iteration: int) -> Step:
        """One application of T."""

    @abstractmethod
    def image(self, z: Tensor) -> Tensor:
        """The picture (B, C, H, W) in [0, 1] that belongs to z."""

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """Proven bound (B,) on ‖z − z*‖ for every fixed point z*, or None."""
        return None

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        """What the error of a step may be for errors to stay summable; None: steps are exact."""
        return None

    def parameters(self) -> dict[str, float]:
        """The solver's numbers, for the report."""
        return {}


def iterate(
    solver: Solver,
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
    certificate = solver.check()
    begin = time.perf_counter()
    run = _Run(History(), [])
    status = Status.ITERATION_LIMIT
    with torch.inference_mode():
        z = solver.init()
        last_finite, reach = z, solver.distance_bound(z)
        try:
            for iteration in range(1, stopping.max_iter + 1):
                result = solver.step(z, iteration - 1)
                run.pending.append((norms(result.z - z), norms(z), result.error))
                z = result.z
                if iteration % stopping.check_every and iteration < stopping.max_iter:
                    continue
                if not run.look(iteration, time.perf_counter() - begin):
                    status = Status.NON_FINITE
                    break
                last_finite = z
                residual = max(run.history.relative(-1))
                psnr = run.measure(solver.image(z), reference) if reference is not None else None
                if callback is not None:
                    callback(Look(iteration, residual, psnr, partial(solver.image, z)))
                if residual <= stopping.tol:
                    status = Status.CONVERGED
                    break
                if stopping.time_limit and run.history.seconds[-1] > stopping.time_limit:
                    status = Status.TIME_LIMIT
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
            done = run.history.iterations + len(run.pending)
            if run.pending and run.look(done, time.perf_counter() - begin):
                last_finite = z
        image = solver.image(last_finite).clone()
    if certificate.proven:
        precision = torch.finfo(z.dtype).eps
        found = [solver.error_tolerance(z, k) for k in range(run.history.iterations)]
        tolerances = [tolerance for tolerance in found if tolerance is not None]
        alpha = certificate.guarantee.averagedness
        observed = observe(run.history, alpha, reach, precision, tolerances)
        certificate = certificate.with_observations(observed)
    return Solution(image, status, certificate, run.history, solver.name, solver.parameters())


@dataclass
class _Run:
    """Residuals wait on the device until the loop looks: one synchronisation for each look."""

    history: History
    pending: list[tuple[Tensor, Tensor, Tensor]]

    def look(self, iteration: int, seconds: float) -> bool:
        """Moves what is pending into the history; False at the first non-finite value."""
        block = torch.stack([torch.stack(row) for row in self.pending]).double().cpu()
        self.pending.clear()
        for residual, norm, error in block.tolist():
            if not all(map(math.isfinite, residual + norm + error)):
                return False
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


def observe(
    history: History,
    alpha: float | None,
    reach: Tensor | None,
    precision: float,
    tolerances: Sequence[float] = (),
) -> tuple[Observation, ...]:
    """The two laws of averaged maps, on the worst picture; fills `history.bounds`.

    Where steps are inexact (`tolerances`, one for each) a third one holds the theorem's premise:
    an inner solve that ran into its own limit has errors that nobody proved summable. Limits are
    ratios: 1 plus what rounding and the measured inner errors allow.
    """
    if alpha is None or alpha >= 1 or not history.residuals:
        return ()
    growth, rate = 0.0, 0.0
    distances = reach.double().tolist() if reach is not None else None
    pictures = len(history.residuals[0])
    before, total = [0.0] * pictures, [0.0] * pictures
    for k, residual in enumerate(history.residuals):
        slack = [
            error + ROUNDING_UNITS * precision * norm
            for error, norm in zip(history.errors[k], history.norms[k], strict=True)
        ]
        for i, value in enumerate(residual):
            if k:
                allowed = history.residuals[k - 1][i] + slack[i] + before[i]
                growth = max(growth, value / max(allowed, 1e-300))
            total[i] += slack[i]
        before = slack
        if distances is not None:
            factor = math.sqrt(alpha / (1 - alpha) / (k + 1))
            history.bounds.append([factor * distance for distance in distances])
            for i, value in enumerate(residual):
                allowed = history.bounds[k][i] + (3 + 2 * factor) * total[i]
                rate = max(rate, value / max(allowed, 1e-300))
    laws = [Observation("‖z_{k+1}−z_k‖ never increases (ratio of successive)", growth, 1.0)]
    if distances is not None:
        laws.append(Observation("‖z_{k+1}−z_k‖ below its O(1/√k) bound (ratio)", rate, 1.0))
    if tolerances:
        inner = 0.0
        for tolerance, errors, sizes in zip(tolerances, history.errors, history.norms, strict=True):
            for error, norm in zip(errors, sizes, strict=True):
                inner = max(inner, error / (tolerance + ROUNDING_UNITS * precision * norm))
        laws.append(Observation("inner error below its tolerance (ratio)", inner, 1.0))
    return tuple(laws)
