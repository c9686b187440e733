"""Runs the cells of a plan: one after the other, in processes, or on a Dask cluster.

All three call `run_cell` with the same number of threads and hand the outcomes to the one writer
here, so that their tables are equal; only the order of arrival differs, and the table is sorted at
the end.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import torch

from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.rows import FAILED
from pnp_recon.benchmark.store import Results
from pnp_recon.benchmark.suites.base import Outcome, row_of
from pnp_recon.benchmark.suites.catalogue import SUITES
from pnp_recon.errors import InputError

Report = Callable[[Cell, Outcome], None]

# Seconds that a scheduler has to answer.
DASK_PATIENCE = 20


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
    todo = results.todo()
    if dask is not None:
        outcomes = _on_dask(results.plan, todo, dask)
    elif jobs > 1 and len(todo) > 1:
        outcomes = _in_processes(results.plan, todo, jobs)
    else:
        outcomes = ((cell, run_cell(results.plan, cell)) for cell in todo)
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


def _in_processes(plan: Plan, todo: Sequence[Cell], jobs: int) -> Iterator[tuple[Cell, Outcome]]:
    # Spawned, not forked: torch's threads do not survive a fork.
    pool = ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        futures = {pool.submit(run_cell, plan, cell): cell for cell in todo}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process of the benchmark died, most likely for want of memory; go on with --resume "
            "and fewer --jobs"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone: a killed benchmark leaves nobody behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _on_dask(plan: Plan, todo: Sequence[Cell], address: str) -> Iterator[tuple[Cell, Outcome]]:
    try:
        from distributed import Client
        from distributed import as_completed as completed
    except ImportError as error:
        raise InputError(
            "--dask needs Dask, which is not installed; install pnp-recon[cluster]"
        ) from error
    try:
        client = Client(address, timeout=DASK_PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address!r} ({error}); start one with `dask scheduler` "
            "and pass its address, such as tcp://host:8786"
        ) from error
    with client:
        shared = client.scatter(plan, broadcast=True)
        futures = {client.submit(run_cell, shared, cell, pure=False): cell for cell in todo}
        for future in completed(futures):
            yield futures[future], future.result()
