"""Stability: what a denoiser does when it is applied again and again, attacked, or iterated.

* repeat: applied to its own output, as in Sherry et al. 2024; iterates of a nonexpansive denoiser
  stay where they are or settle, those of others may run away;
* attack: the largest difference quotient ‖D(x+d) − D(x)‖/‖d‖ that a search finds, a lower bound of
  the Lipschitz constant, against the proven one;
* pnp-pgd: proximal gradient on a motion blur with the denoiser in place of the proximal map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from operators import kernels
from pnp_recon.benchmark import measure
from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.methods import Method
from pnp_recon.benchmark.rows import CERTIFIED, CONDITIONAL, CONTRADICTED, DIVERGED, EXPANSIVE
from pnp_recon.benchmark.suites.base import (
    Outcome,
    Suite,
    kept_pictures,
    method_of,
    parameters_of,
    picture_of,
    plugged,
    proven,
    row_of_run,
    within,
)
from pnp_recon.benchmark.suites.reconstruct import CURVE_POINTS, certified, course, curve, solve
from pnp_recon.pictures.metrics import psnr
from pnp_recon.priors.attack import SCALE, attack
from pnp_recon.problems.noise import benchmark_noise, noisy
from pnp_recon.problems.simulate import deblurring
from pnp_recon.solvers import Status, Stopping

# The iterates have run away when they are this many times as large as the first.
RUN_AWAY = 10.0
# Relative excess over 1 that float32 rounding may feign in an attack.
ROUNDING = 1e-3
# Steps of a repeated application below this share of the picture's norm are too near rounding for
# their quotients to say anything.
SMALLEST_STEP = 1e-3
# Noise of the blurred picture, σ·255; the denoiser runs at the level of the cell.
BLUR_NOISE = 7.65


class Stability(Suite):
    """Repeated application, attack, and PnP-PGD."""

    def measure(self, plan: Plan, cell: Cell) -> Outcome:
        x = picture_of(plan, cell)
        method = method_of(plan, cell)
        parameters = parameters_of(plan, "denoise", method, cell.degradation.noise)
        return RUNS[cell.degradation.name](plan, cell, x, method, parameters)


def _repeat(
    plan: Plan, cell: Cell, x: Tensor, method: Method, parameters: Mapping[str, float]
) -> Outcome:
    sigma, wanted = cell.degradation.noise / 255, int(plan.settings["applications"])
    y = noisy(x, sigma, cell.index, plan.seed)
    chosen = {round(wanted ** (k / CURVE_POINTS)) for k in range(CURVE_POINTS + 1)}
    found: dict[str, list[float]] = {"iteration": [], "residual": [], "norm": [], "psnr": []}

    worst = _Worst(method, sigma * math.sqrt(y.numel()))

    def apply() -> tuple[Tensor, int, float, bool]:
        image, first, step = y, float(y.norm()), math.nan
        for k in range(1, wanted + 1):
            after = method.denoise(image, sigma, **parameters)
            size, before = float(after.norm()), step
            if not math.isfinite(size) or size > RUN_AWAY * first:
                return image, k, step / float(image.norm()), True
            step = float((after - image).norm())
            worst.look(before, step, size)
            image = after
            if k in chosen:
                row = (float(k), step / max(size, 1e-30), size / first, float(psnr(image, x)))
                for values, value in zip(found.values(), row, strict=True):
                    values.append(value)
        return image, wanted, step / max(size, 1e-30), False

    (image, count, residual, away), seconds, memory = measure.timed(apply, 1, plan.device)
    held = proven(method)
    status, message = "done", ""
    if worst.expansive:
        status = EXPANSIVE
        message = f"moves two of its own iterates apart by a factor of {worst.quotient:.3f}"
        if held["certificate"] in (CERTIFIED, CONDITIONAL):
            held["certificate"] = CONTRADICTED
    if away:
        status, message = DIVERGED, f"the iterates ran away after {count} applications"
    row = row_of_run(
        plan,
        cell,
        method,
        parameters,
        seconds,
        memory,
        status=status,
        message=message,
        iterations=count,
        residual=residual if math.isfinite(residual) else None,
        attained_lipschitz=round(worst.quotient, 6),
        **measure.scores(image, x, y),
        **held,
    )
    return Outcome(row, dict(found), kept_pictures(plan, cell, clean=x, input=y, image=image))


class _Worst:
    """The largest quotient ‖D(x_k) − D(x_{k−1})‖/‖x_k − x_{k−1}‖ of successive iterates.

    Attributes:
        quotient: a lower bound of the Lipschitz constant.
        expansive: one was above 1 by more than rounding and the method's inexactness can feign.
    """

    def __init__(self, method: Method, noise_norm: float) -> None:
        self.error = 2 * method.inexactness * noise_norm
        self.quotient, self.expansive = 0.0, False

    def look(self, before: float, step: float, size: float) -> None:
        """Two successive steps and the norm of the picture."""
        if not before > SMALLEST_STEP * size:
            return
        quotient = step / before
        self.quotient = max(self.quotient, quotient)
        self.expansive = self.expansive or quotient > 1 + ROUNDING + self.error / before


def _attack(
    plan: Plan, cell: Cell, x: Tensor, method: Method, parameters: Mapping[str, float]
) -> Outcome:
    sigma = cell.degradation.noise / 255
    y = noisy(x, sigma, cell.index, plan.seed)
    steps = int(plan.settings["attack_steps"])

    def run() -> float:
        gradients = method.differentiable
        return attack(
            lambda z: method.denoise(z, sigma, **parameters), y, steps, gradients=gradients
        )

    attained, seconds, memory = measure.timed(run, 1, plan.device)
    held = proven(method)
    bound = method.guarantee.lipschitz
    # What is computed lies within the inexactness of the certified map at both ends of a quotient.
    slack = ROUNDING + 2 * method.inexactness * sigma / SCALE
    status, message = "done", ""
    if attained > 1 + slack:
        status, message = EXPANSIVE, f"two pictures move apart by a factor of {attained:.3f}"
    if bound is not None and attained > bound + slack:
        held["certificate"] = CONTRADICTED
        message = f"the attack attains {attained:.6g}, above the certified {bound:.6g}"
    row = row_of_run(
        plan,
        cell,
        method,
        parameters,
        seconds,
        memory,
        status=status,
        message=message,
        iterations=steps,
        attained_lipschitz=round(attained, 6),
        **held,
    )
    return Outcome(row)


def _descend(
    plan: Plan, cell: Cell, x: Tensor, method: Method, parameters: Mapping[str, float]
) -> Outcome:
    sigma = BLUR_NOISE / 255
    noise = benchmark_noise(sigma, cell.index, plan.seed)
    problem = deblurring(x, kernels.linear_motion(15, 30).to(x), sigma, noise)
    y, A = problem.y, problem.A
    denoiser = plugged(plan, method)
    stopping = Stopping(tol=plan.settings["tol"], max_iter=plan.settings["max_iter"])
    solution, seconds, memory = measure.timed(
        lambda: solve(
            y,
            A,
            prior=denoiser,
            noise_level=sigma,
            solver="pnp-pgd",
            acceleration="none",
            strength=1.0,
            denoiser_level=within(denoiser, cell.degradation.noise / 255),
            stopping=stopping,
            allow_uncertified=True,
        ),
        1,
        plan.device,
    )
    fields = course(solution)
    history = solution.history
    residuals = [max(history.relative(k)) for k in range(history.iterations)]
    # The box keeps every iterate bounded, so an expansive map shows by residuals that grow: a
    # nonexpansive one never lets ‖z_{k+1} − z_k‖ increase.
    steps = [max(row) for row in history.residuals]
    growth = max((b / max(min(steps[:k]), 1e-30) for k, b in enumerate(steps[1:], 1)), default=1.0)
    if solution.status is Status.ITERATION_LIMIT and growth > 1 + ROUNDING and residuals[-1] > 1e-4:
        fields["status"] = EXPANSIVE
        fields["message"] = (
            f"not converging: relative residual {residuals[-1]:.1e} after {len(steps)} iterations, "
            f"steps grow up to {growth:.3g} times the smallest before"
        )
    row = row_of_run(
        plan,
        cell,
        method,
        parameters,
        seconds,
        memory,
        **fields,
        **certified(solution.certificate),
        **measure.scores(solution.image, x, A.initial_guess(y)),
    )
    pictures = kept_pictures(plan, cell, clean=x, input=y.clamp(0, 1), image=solution.image)
    return Outcome(row, curve(history), pictures)


RUNS = {"repeat": _repeat, "attack": _attack, "pnp-pgd": _descend}
