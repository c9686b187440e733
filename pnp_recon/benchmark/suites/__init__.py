"""Suites by name, and `run_cell`, which turns a cell into a row whatever happens."""

from __future__ import annotations

import torch

from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.rows import FAILED
from pnp_recon.benchmark.suites.base import Outcome, Suite, row_of
from pnp_recon.benchmark.suites.denoise import Denoise
from pnp_recon.benchmark.suites.problems import Deblur, Inpaint, Tomography
from pnp_recon.benchmark.suites.stability import Stability
from pnp_recon.errors import InputError

SUITES: dict[str, Suite] = {
    suite.name: suite for suite in (Denoise(), Deblur(), Inpaint(), Tomography(), Stability())
}


def suite_named(name: str) -> Suite:
    """The suite of that name.

    Raises:
        InputError: there is none.
    """
    if name not in SUITES:
        raise InputError(f"unknown suite {name!r}; known: {', '.join(SUITES)}")
    return SUITES[name]


@torch.no_grad()
def run_cell(plan: Plan, cell: Cell) -> Outcome:
    """Measures a cell. What goes wrong inside is a row of status "failed" with the reason.

    Every executor calls this one function with the same number of threads, so that their tables
    agree.
    """
    torch.set_num_threads(plan.threads)
    try:
        return suite_named(plan.suite).measure(plan, cell)
    except Exception as error:  # a method may raise anything; the other cells go on
        words = " ".join(str(error).split()) or "without a message"
        message = words if isinstance(error, InputError) else f"{type(error).__name__}: {words}"
        return Outcome(row_of(plan, cell, status=FAILED, message=message[:500]))


__all__ = ["SUITES", "Outcome", "Suite", "run_cell", "suite_named"]
