"""`pnp-ct --slices`: a slab of slices, in whatever process.

Each slice is what `pnp-ct --slice I` makes of it with the axis, window and strength of the volume.
Imported after parsing: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators import RayTransform
from pnp_recon.cli.ct.case import case_of
from pnp_recon.cli.ct.data import measurement_of, read
from pnp_recon.cli.ct.measurement import on_device
from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.cli.ct.view import View
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.job import NO_PRIOR
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.run.solve import Prior, choose_prior, solve
from pnp_recon.cli.shell import NOT_CONVERGED, OK, describe, exit_code_of
from pnp_recon.report import plain_json
from pnp_recon.scans import Scan
from pnp_recon.solvers import Solution, Status
from pnp_recon.volumes.plan import runs
from pnp_recon.volumes.run import Done, Slab, failed
from pnp_recon.volumes.store import hash_of


@dataclass(frozen=True)
class Recipe:
    """All that a process needs to compute slices.

    Attributes:
        fingerprint: the plan's; two recipes with the same one are the same.
        source: the scan.
        sha256: its hash.
        options: what was asked for, with the axis and the strength that were found.
        view: the window.
        slices: all of the volume.
        threads: for torch; None: as many as it takes.
    """

    fingerprint: str
    source: Path = field(compare=False)
    sha256: str = field(compare=False)
    options: CtOptions = field(compare=False)
    view: View = field(compare=False)
    slices: range = field(compare=False)
    threads: int | None = field(default=None, compare=False)


@dataclass
class Worker:
    """What a process keeps from slab to slab: prior, device, and an operator.

    The matrix and the norm of the ray transform are kept as long as one of its kind is.
    """

    session: Session[CtOptions]
    operator: RayTransform | None = None


@lru_cache(maxsize=1)
def _worker(recipe: Recipe) -> Worker:
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    return Worker(Session(recipe.options))


def each(recipe: Recipe, slab: Slab) -> Iterator[Done]:
    """The slices of a slab, one by one; the slab is read at once.

    Raises:
        KeyboardInterrupt: Ctrl-C; the slice in progress is given up.
    """
    worker = _worker(recipe)
    for stretch in runs(slab):
        for number, scan in _read(recipe, stretch):
            if isinstance(scan, Exception):
                yield failed(number, describe(scan), exit_code_of(scan))
                continue
            try:
                yield _slice(recipe, worker, number, scan)
            except Exception as error:  # the other slices go on
                yield failed(number, describe(error), exit_code_of(error))


def _read(recipe: Recipe, stretch: slice) -> Iterator[tuple[int, Scan | Exception]]:
    """The slices of a stretch; where it cannot be read as one, each by itself says why."""
    numbers = range(stretch.start, stretch.stop)
    try:
        whole = read(recipe.source, recipe.options, stretch, recipe.sha256)
    except Exception as error:
        if len(numbers) == 1:
            yield stretch.start, error
            return
        for number in numbers:
            yield from _read(recipe, slice(number, number + 1))
        return
    for place, number in enumerate(numbers):
        yield number, part_of(whole, place)


def part_of(scan: Scan, place: int) -> Scan:
    """One slice of a scan, whose order of axes is no longer in question."""

    def field_of(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[:, place : place + 1]

    return replace(
        scan,
        data=scan.data[place : place + 1],
        flat=field_of(scan.flat),
        dark=field_of(scan.dark),
        missing=None if scan.missing is None else scan.missing[place : place + 1],
        first=scan.first + place,
        order_assumed=False,
    )


def joined(scans: Sequence[Scan]) -> Scan:
    """The slices of several scans as those of one."""
    first = scans[0]

    def field_of(name: str) -> Tensor | None:
        return (
            None
            if getattr(first, name) is None
            else torch.cat([getattr(scan, name) for scan in scans], 1)
        )

    data, missing = torch.cat([scan.data for scan in scans]), None
    if any(scan.missing is not None for scan in scans):
        none = [torch.zeros_like(scan.data, dtype=torch.bool) for scan in scans]
        missing = torch.cat(
            [
                one if scan.missing is None else scan.missing
                for scan, one in zip(scans, none, strict=True)
            ]
        )
    return replace(first, data=data, flat=field_of("flat"), dark=field_of("dark"), missing=missing)


def _slice(recipe: Recipe, worker: Worker, number: int, scan: Scan) -> Done:
    begin = time.perf_counter()
    session = worker.session
    found = on_device(measurement_of(scan, None, session.options), session)
    worker.operator = found.A
    job = Job(recipe.source, recipe.source)
    case = case_of(found, job, session, view=recipe.view)
    prior = choose_prior(case, session)
    solution = solve(case, prior, session.options, lambda _: None, lambda _: None)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    notes = [*case.warnings, *case.doubts(solution.image)]
    seconds = time.perf_counter() - begin
    return finished(
        number, recipe.view.values(solution.image), case, prior, solution, seconds, notes
    )


def finished(
    number: int,
    slices: Tensor,
    case: Case,
    prior: Prior,
    solution: Solution,
    seconds: float,
    notes: Sequence[str],
) -> Done:
    """A slice with its row; failed where its values are not finite.

    Args:
        slices: (1, H, W) in the unit of the result.
        seconds: what it took.
        notes: what is to be said of it.
    """
    values = slices.to("cpu", torch.float32).numpy()[0]
    if not np.isfinite(values).all():
        return failed(number, "the result holds values that are not finite", NOT_CONVERGED)
    history, certificate = solution.history, solution.certificate
    record = NO_PRIOR if prior is None else prior.record()
    row: dict[str, Any] = plain_json(
        {
            "slice": number,
            "status": solution.status.name.lower().replace("_", " "),
            "exit_code": OK if solution.status.succeeded else NOT_CONVERGED,
            "certified": certificate.holds,
            "iterations": solution.iterations,
            "residual": max(history.relative(-1)) if history.iterations else None,
            "seconds": seconds,
            "noise_level": case.noise_level,
            "solver": solution.solver,
            "parameters": solution.parameters,
            "prior": {"name": record.name, "sha256": record.sha256},
            "sha256": hash_of(values),
            "notes": notes,
            "certificate": certificate.to_dict(),
        }
    )
    return Done(row, values)
