"""Runs the cells of a plan: one after the other, in processes, or on a Dask cluster.

All three call `run_cell` with the same number of threads and hand the outcomes to the one writer
here, so that their tables are equal; only the order of arrival differs, and the table is sorted at
the end.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.engine import spread
from pnp_recon.benchmark.rows import FAILED
from pnp_recon.benchmark.store import Results
from pnp_recon.benchmark.suites.base import Outcome, row_of
from pnp_recon.benchmark.suites.catalogue import SUITES
from pnp_recon.errors import InputError

Report = Callable[[Cell, Outcome], None]

DIED = (
    "a process of the benchmark died, most likely for want of memory; go on with --resume and "
    "fewer --jobs"
)


def run(
    results: Results, *, jobs: int = 1, dask: str | None = None, report: Report | None = None
) -> None:
    """Runs what is still to do and sorts the table.

    Args:
        results: created or opened; rows are appended as they come.
        jobs: processes; 1: in this one.
        dask: address of a scheduler, such as tcp://host:8786, instead of processes. Workers must
            have the package and see the data under the same path.
        report: called after each row is safe.

    Raises:
        InputError: the cluster cannot be reached, or a process died.
        OutputError: a row cannot be written, for example because the disk is full.
    """
    results.sort()  # a line that a kill cut off would run into the next one
    outcomes = spread(run_cell, results.plan, results.todo(), jobs=jobs, dask=dask, died=DIED)
    for cell, outcome in outcomes:
        keep(results, cell, outcome)
        if report is not None:
            report(cell, outcome)
    results.sort()


@torch.no_grad()
def run_cell(plan: Plan, cell: Cell) -> Outcome:
    """Measures a cell. What goes wrong inside is a row of status "failed" with the reason.

    Every executor calls this one function with the same number of threads, so that their tables
    agree.
    """
    torch.set_num_threads(plan.threads)
    try:
        return SUITES.find(plan.suite).load()().measure(plan, cell)
    except Exception as error:  # a method may raise anything; the other cells go on
        words = " ".join(str(error).split()) or "without a message"
        message = words if isinstance(error, InputError) else f"{type(error).__name__}: {words}"
        return Outcome(row_of(plan, cell, status=FAILED, message=message[:500]))


def keep(results: Results, cell: Cell, outcome: Outcome) -> None:
    """Writes what a cell left behind; the row last, so that a row says that the rest is there."""
    if outcome.curve:
        results.save_curve(cell, outcome.curve)
    for name, picture in outcome.pictures.items():
        results.save_picture(name, picture)
    results.add(outcome.row)
