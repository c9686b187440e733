"""Denoising of white Gaussian noise, added to unclipped pictures; the level is known."""

from __future__ import annotations

from pnp_recon.benchmark import measure
from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.suites.base import (
    Outcome,
    Suite,
    kept_pictures,
    method_of,
    parameters_of,
    picture_of,
    proven,
    row_of_run,
)
from pnp_recon.problems.noise import noisy


class Denoise(Suite):
    """Denoising."""

    def measure(self, plan: Plan, cell: Cell) -> Outcome:
        x = picture_of(plan, cell)
        sigma = cell.degradation.noise / 255
        y = noisy(x, sigma, cell.index, plan.seed)
        method = method_of(plan, cell)
        parameters = parameters_of(plan, cell.suite, method, cell.degradation.noise)
        method.denoise(y[..., :64, :64], sigma, **parameters)  # imports and caches are not timed
        image, seconds, memory = measure.timed(
            lambda: method.denoise(y, sigma, **parameters), plan.repeats, plan.device
        )
        row = row_of_run(
            plan,
            cell,
            method,
            parameters,
            seconds,
            memory,
            status="done",
            **measure.scores(image, x, y),
            **proven(method),
        )
        return Outcome(row, None, kept_pictures(plan, cell, clean=x, input=y, image=image))
