"""The one loop: z ← T(z), with the laws of its theorem checked on what ran.

Every solver runs through it (`solver`). It knows nothing of denoisers or operators.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from operators.deadlines import deadline, expired
from operators.progress import tell
from pnp_recon.errors import InputError
from pnp_recon.priors.fingerprints import fingerprint
from pnp_recon.solvers.core.arithmetic import full_precision, held_to_it, intercepted
from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.endings import Rest, stands, wrong_formula
from pnp_recon.solvers.core.examination import Examination
from pnp_recon.solvers.core.gap import FAULT, Gap
from pnp_recon.solvers.core.inner_errors import first_at_floor
from pnp_recon.solvers.core.observing import observe
from pnp_recon.solvers.core.premises import own
from pnp_recon.solvers.core.remarks import error_bars, remarks
from pnp_recon.solvers.core.solution import History, Look, Solution
from pnp_recon.solvers.core.solver import Solver
from pnp_recon.solvers.core.steadiness import strangers, void_by
from pnp_recon.solvers.core.stopping import Status, Stopping
from pnp_recon.solvers.core.theorem import Theorem

# Root mean square below which a picture in [0, 1] is black: solutions may be zero.
ZERO = 1e-6


def iterate(
    solver: Solver[Any],
    stopping: Stopping | None = None,
    *,
    reference: Tensor | None = None,
    callback: Callable[[Look], None] | None = None,
) -> Solution:
    """Runs `solver` until `stopping` says so; Ctrl-C returns what there is.

    `reference` (B, C, H, W) adds the PSNR of every look to the history. A broken law makes
    `solution.certificate.contradicted` true. Everything is computed in the precision of its
    tensors: a caller's autocast, and TF32, are off inside. What ran is compared with what the
    theorem was about: weights, operator or data that change under way void the certificate.
    """
    stopping = stopping or Stopping()
    if stopping.least_error and solver.turned(solver.init()) is None:
        raise InputError(
            f"least_error is no rule of {solver.name} by itself; take reconstruct(...) with "
            "landweber, or wrap that: solvers.in_time.InTime(solver, noise_level)"
        )
    with full_precision(), deadline(stopping.time_limit):
        tell("premises of the theorem")
        mark = fingerprint(solver)
        theorem = own(solver, solver.theorem())
        examination = solver.examination() if theorem.holds else None
        asked = strangers(solver) if theorem.holds else ()
        run = _Run(solver, stopping, reference, callback, examination, mark)
        with torch.inference_mode():
            picture, status = run.carry_out()
        void = ""
        if status is Status.NON_FINITE:
            void = "the run became non-finite; look at the data and the start, are they finite?"
        elif run.stands():
            void = "no step was found that the theorem allows, and the point is not critical"
        elif run.faulty:
            void = FAULT
        elif run.changed or fingerprint(solver) != mark:
            void = "the denoiser, the operator or the data changed while it ran"
        elif strange := run.strange or intercepted():
            void = f"operations of torch went through {strange}, of which nothing is known"
        else:
            void = void_by(asked)
    certificate = run.certificate(theorem, void, picture)
    return Solution(
        picture,
        status,
        certificate,
        run.history,
        solver.name,
        solver.parameters(run.state),
        error_bars(theorem, run.history) if certificate.holds else (),
        found={name: value.clone() for name, value in solver.found(run.shown).items()},
        gap=run.gap,
        stopping=stopping,
    )


class _Run:
    """One run of a solver.

    Residuals wait on the device until the loop looks: one synchronisation for each look.
    """

    def __init__(
        self,
        solver: Solver[Any],
        stopping: Stopping,
        reference: Tensor | None,
        callback: Callable[[Look], None] | None,
        examination: Examination | None,
        mark: str,
    ) -> None:
        self.solver, self.stopping = solver, stopping
        self.reference, self.callback = reference, callback
        self.examination, self.mark, self.changed = examination, mark, False
        self.strange = intercepted()
        self.pending: list[list[Tensor]] = []
        self.descended: list[Tensor] = []
        self.gap: Gap | None = None
        self.faulty = False
        self.begin = time.perf_counter()
        self.rest = Rest()

    def carry_out(self) -> tuple[Tensor, Status]:
        """The picture of the last finite iterate, and how the run ended."""
        solver, stopping = self.solver, self.stopping
        self.state = self.shown = solver.init()
        self.start = self.state.z
        self.history = History(
            pixels=solver.image(self.state)[0].numel(),
            unit=torch.finfo(self.start.dtype).eps * solver.rounding_gain,
            stride=solver.stride,
            least=ZERO * math.sqrt(self.start[0].numel()),
        )
        reach = solver.distance_bound(self.start)
        self.reach = None if reach is None else reach.double().tolist()
        status = Status.EARLY_STOP if stopping.early else Status.ITERATION_LIMIT
        every = min(stopping.check_every, solver.look_every or stopping.check_every)
        last = stopping.max_iter
        if solver.depth is not None and solver.depth <= last:
            last, status = solver.depth, Status.FIXED_DEPTH
        try:
            for iteration in range(1, last + 1):
                self.step(iteration - 1)
                waits = iteration % every and iteration < last
                if waits and not expired():
                    continue
                ended = self.look(iteration)
                if ended is not None:
                    status = ended
                    break
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
            if self.pending:
                self.collect(self.history.iterations + len(self.pending))
        if self.examination is not None and status not in (Status.INTERRUPTED, Status.TIME_LIMIT):
            try:
                self.examination = self.examination.end(solver.examined(self.shown))
            except KeyboardInterrupt:
                status = Status.INTERRUPTED
        if status is not Status.NON_FINITE and self.history.iterations:
            self.history.picture_errors.extend(solver.picture_error(self.shown).double().tolist())
        self.measure_last_gap(status)
        return solver.image(self.shown).clone(), status

    def step(self, k: int) -> None:
        before = self.state.z
        result = self.solver.step(self.state, k)
        residual = result.residual
        if residual is None:
            residual = self.solver.norm(result.state.z - before)
        row = [residual, self.solver.norm(before), result.error]
        asked, error = self.solver.error_tolerance(self.start, k), result.error
        if asked is not None:
            found = torch.full_like(error, asked) if result.tolerance is None else result.tolerance
            row.append(found.to(error))
        # Side by side: where a hand ends the run, the picture is that of the last row.
        self.state = result.state
        self.pending.append(row if result.ratio is None else [*row, result.ratio])
        if result.descent is not None:
            self.descended.append(result.descent)

    def look(self, iteration: int) -> Status | None:
        """Whether the run has ended, and how; tells the callback."""
        solver, stopping, history = self.solver, self.stopping, self.history
        if not self.collect(iteration):
            return Status.NON_FINITE
        if self.examination is not None:
            self.examination = self.examination.look(self.solver.examined(self.state), iteration)
        relative = max(history.relative(-1))
        image = partial(self.picture, self.state)
        psnr = None if self.reference is None else self.measure(image(), self.reference)
        if self.callback is not None:
            self.callback(Look(iteration, relative, psnr, image))
            # It may change what runs, and change it back.
            self.changed |= fingerprint(self.solver) != self.mark
            self.strange = self.strange or intercepted()
            held_to_it()
        turned = solver.turned(self.state)
        if turned is not None and bool(turned.all()):
            return Status.LEAST_ERROR
        if solver.depth is None:  # a short step of a schedule says nothing of its end
            if relative <= stopping.tol:
                return Status.CONVERGED
            if stopping.gap is not None and self.measured_gap(self.state) <= stopping.gap:
                return Status.GAP
            if self.stands():  # inner solves that the clock cut short lead nowhere, either
                return Status.TIME_LIMIT if expired() else Status.STAGNATED
            floor = partial(solver.error_tolerance, self.start)
            if (stuck := self.rest.look(history, floor, iteration - 1)) is not None:
                return stuck
        if stopping.time_limit and history.seconds[-1] > stopping.time_limit:
            return Status.TIME_LIMIT
        return None

    def measure_last_gap(self, status: Status) -> None:
        """Takes the gap of the picture that is returned: other ends come before a look at it."""
        if self.stopping.gap is None or status is Status.GAP:
            return
        self.gap = None
        if status is not Status.INTERRUPTED:
            self.measured_gap(self.shown)

    def measured_gap(self, state: Any) -> float:
        """The worst relative gap, inf where there is none or it contradicts duality."""
        self.gap = self.solver.gap(state)
        if self.gap is None:
            return math.inf
        self.faulty |= bool(self.gap.faulty.any())
        return self.gap.relative

    def stands(self) -> bool:
        """Is there a picture that cannot go on?"""
        return stands(self.solver.stalled(self.state), self.history, self.stopping.tol)

    def picture(self, state: Any) -> Tensor:
        """The picture of a state, for others to do with it what they like."""
        return self.solver.image(state).clone()

    def collect(self, iteration: int) -> bool:
        """Moves what is pending into the history; False at the first non-finite value."""
        block = torch.stack([torch.stack(row) for row in self.pending]).double().cpu()
        self.pending.clear()
        history = self.history
        inexact = self.solver.error_tolerance(self.start, 0) is not None
        for residual, norm, error, *rest in block.tolist():
            if not all(map(math.isfinite, residual + norm + error)):
                return False
            if inexact:
                history.tolerances.append(rest.pop(0))
            history.ratios.extend(rest)
            history.residuals.append(residual)
            history.norms.append(norm)
            history.errors.append(error)
        for energies, falls, gradients, moves in (block.tolist() for block in self.descended):
            if not all(map(math.isfinite, energies + gradients)):
                return False
            history.energies.append(energies)
            history.falls.append(falls)
            history.gradients.append(gradients)
            history.moves.append(moves)
        self.descended.clear()
        self.shown = self.state
        history.checked.append(iteration)
        history.seconds.append(time.perf_counter() - self.begin)
        return True

    def measure(self, image: Tensor, reference: Tensor) -> float:
        error = (image - reference).square().flatten(1).mean(1).clamp_min(1e-12)
        values = (-10 * torch.log10(error)).tolist()
        self.history.psnr.append(values)
        return float(sum(values) / len(values))

    def certificate(self, theorem: Theorem, void: str, picture: Tensor) -> Certificate:
        """The theorem with what the run showed of it."""
        if not theorem.holds:
            return Certificate(theorem)
        laws = theorem.laws()
        observed = observe(self.history, laws, self.reach)
        if self.examination is not None:
            observed = (*observed, *self.examination.observations)
        if observed:  # a run of no iteration shows nothing
            observed = (*observed, *self.solver.picture_laws(self.shown, picture))
        floor = partial(self.solver.error_tolerance, self.start)
        if not void and floor(0) is None:
            void = wrong_formula(self.history)
        self.history = replace(self.history, floor=first_at_floor(floor, self.history.iterations))
        found = Certificate(theorem, observed, void)
        said = remarks(theorem, self.history, self.reach) if found.holds else ()
        return replace(found, remarks=said)
