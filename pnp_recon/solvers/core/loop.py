"""The one loop: z ← T(z), with the laws of its theorem checked on what ran.

A solver says what a step is (`step`), what is proven about it (`check`, called before the first
iteration), which laws follow (`laws`) and which picture belongs to z (`image`). The loop knows
nothing of denoisers or operators.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.laws import Laws, averaged_laws, observe
from pnp_recon.solvers.core.solution import History, Look, Solution
from pnp_recon.solvers.core.stopping import Status, Stopping


@dataclass(frozen=True)
class Step:
    """One iteration.

    Attributes:
        z: the next iterate.
        error: proven bound (B,) on its distance to what exact arithmetic would give.
        residual: (B,), what tends to zero at a solution; None: ‖z_{k+1} − z_k‖.
        ratio: (B,), left over right side of an inequality that the theorem implies for this step,
            rounding allowed for; `Laws.step` names it. Or None.
    """

    z: Tensor
    error: Tensor
    residual: Tensor | None = None
    ratio: Tensor | None = None


class Solver(ABC):
    """An iteration; mostly z ← T(z) for a map T that `check` proves something about.

    The state z is (B, ...): a picture, or whatever the method keeps. `init` starts a run anew,
    whatever a solver remembers besides z.
    """

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
        """The picture (B, C, H, W) that belongs to z."""

    def laws(self, certificate: Certificate) -> Laws:
        """What the certificate implies for the run; asked only where it is proven."""
        return averaged_laws(certificate.guarantee.averagedness)

    def norm(self, z: Tensor) -> Tensor:
        """The norm (B,) that the theorem is about."""
        return norms(z)

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
    status = Status.EARLY_STOP if stopping.early else Status.ITERATION_LIMIT
    with torch.inference_mode():
        z = solver.init()
        last_finite, reach = z, solver.distance_bound(z)
        try:
            for iteration in range(1, stopping.max_iter + 1):
                result = solver.step(z, iteration - 1)
                residual = solver.norm(result.z - z) if result.residual is None else result.residual
                row = (residual, solver.norm(z), result.error)
                run.pending.append(row if result.ratio is None else (*row, result.ratio))
                z = result.z
                if iteration % stopping.check_every and iteration < stopping.max_iter:
                    continue
                if not run.look(iteration, time.perf_counter() - begin):
                    status = Status.NON_FINITE
                    break
                last_finite = z
                relative = max(run.history.relative(-1))
                psnr = run.measure(solver.image(z), reference) if reference is not None else None
                if callback is not None:
                    callback(Look(iteration, relative, psnr, partial(solver.image, z)))
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
                last_finite = z
        image = solver.image(last_finite).clone()
    if certificate.proven:
        precision = torch.finfo(z.dtype).eps
        found = [solver.error_tolerance(z, k) for k in range(run.history.iterations)]
        tolerances = [tolerance for tolerance in found if tolerance is not None]
        laws = solver.laws(certificate)
        observed = observe(run.history, laws, reach, precision, tolerances)
        certificate = certificate.with_observations(observed)
    return Solution(image, status, certificate, run.history, solver.name, solver.parameters())


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
