"""`pnp-ct --slices --across`: all slices are one problem, with a prior across slices.

A is that of a slice, slice by slice, so that its norm is that of a slice; the prior sees all
slices, and theorem, laws and certificate are about the whole volume, which is held in memory.
Imported after parsing: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from operators import RayTransform
from pnp_recon.cli.ct.case import case_of
from pnp_recon.cli.ct.data import measurement_of, read
from pnp_recon.cli.ct.measurement import Measurement, on_device
from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.cli.ct.view import View
from pnp_recon.cli.ct.volume.worker import Recipe, finished, joined
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.large import LOOSE
from pnp_recon.cli.run.memory import GIB, Room, room_at_most
from pnp_recon.cli.run.plan import Job
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.run.solve import Prior, choose_prior, solve
from pnp_recon.errors import InputError
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.energies.stack import across_slices
from pnp_recon.proximal import TotalVariation
from pnp_recon.scans import Scan
from pnp_recon.solvers import Look, Status
from pnp_recon.volumes.plan import runs
from pnp_recon.volumes.run import Done, Slab

# Neighbouring slices that are asked for the strength.
NEIGHBOURS = 4


def refuse_too_large(
    room: Room, numbers: range, shape: tuple[int, int], free: int, device: str = "cpu"
) -> None:
    """Refuses a volume that does not fit into `free` bytes, and what this process holds.

    Args:
        room: what it takes.
        numbers: its slices.
        shape: (rows, columns) of one.
        free: bytes of the device.
        device: where; on a GPU this process holds next to nothing before.

    Raises:
        InputError: saying how many slices would.
    """
    count, most, where = len(numbers), room_at_most(free), ""
    if device != "cpu":
        held = room_at_most(0)
        room, most, where = replace(room, fixed=max(room.fixed - held, 0)), free, f" on {device}"
    if room.bytes(count) <= most:
        return
    fit = room.fitting(most)
    last = numbers.start + fit * numbers.step
    step = "" if numbers.step == 1 else f":{numbers.step}"
    remedy = f"{fit} slices would fit: give --slices {numbers.start}:{last}{step}, "
    raise InputError(
        f"--across holds all {count} slices of {shape[1]}×{shape[0]} at once, which takes "
        f"about {room.bytes(count) / GIB:.2f} GiB of memory, and {most / GIB:.2f} GiB are "
        f"free{where}; {remedy if fit else 'not one would fit: give '}a smaller --size, or leave "
        "out --across"
    )


def neighbours(slices: range) -> range:
    """Slices side by side in the middle of the volume."""
    count = min(NEIGHBOURS, len(slices))
    first = (len(slices) - count) // 2
    return slices[first : first + count]


def strength(
    source: Path, session: Session[CtOptions], slices: range, sha256: str, view: View
) -> list[float]:
    """What neighbours in the middle speak for; nothing where it is given."""
    options, numbers = session.options, neighbours(slices)
    if options.asked_strength != "auto":
        return []
    case = volume_case(source, _whole(source, options, numbers, sha256), session, view)
    loose = replace(options, tol=LOOSE, require_certificate=False)
    prior = volume_prior(case, session, numbers.step)
    solution = solve(case, prior, loose, lambda _: None, lambda _: None)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return [] if solution.strength is None else [solution.strength.value]


def volume_case(source: Path, scan: Scan, session: Session[CtOptions], view: View) -> Case:
    """All slices of a scan as one case: the channels are the slices."""
    found = _as_volume(measurement_of(scan, None, session.options))
    return case_of(on_device(found, session), Job(source, source), session, view=view)


def volume_prior(case: Case, session: Session[CtOptions], step: int) -> Prior:
    """The prior that sees all slices, `step` numbers apart.

    Raises:
        InputError: --denoiser, --solver and so on ask for one that does not.
    """
    tie, prior = session.options.tie / step, choose_prior(case, session)
    if isinstance(prior, TotalVariation):
        return replace(prior, coupling="isotropic", slice_spacing=1 / tie)
    if isinstance(prior, LearnedEnergy):
        return across_slices(prior, tie)
    raise InputError(
        "--across goes with --method tv, or with an energy, which is the default where nothing "
        "asks for the iteration of a denoiser"
    )


def all_slices(recipe: Recipe, slab: Slab, look: Callable[[Look], None]) -> Iterator[Done]:
    """Every slice of the volume, from one run; the slab says which are still to be written.

    Raises:
        InputError: a slice cannot be read.
        KeyboardInterrupt: Ctrl-C; the run is given up.
    """
    begin, session, numbers = time.perf_counter(), Session(recipe.options), recipe.slices
    scan = _whole(recipe.source, recipe.options, numbers, recipe.sha256)
    case = volume_case(recipe.source, scan, session, recipe.view)
    del scan
    prior = volume_prior(case, session, numbers.step)
    solution = solve(case, prior, session.options, look, lambda _: None)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    seconds = (time.perf_counter() - begin) / len(numbers)
    notes = [*case.warnings, *case.doubts(solution.image)]
    for place, number in enumerate(numbers):
        if number in slab:
            one = solution.image[:, place : place + 1]
            said = notes if place == 0 else []
            yield finished(number, recipe.view.values(one), case, prior, solution, seconds, said)


def _whole(source: Path, options: CtOptions, numbers: Sequence[int], sha256: str) -> Scan:
    """All these slices.

    Raises:
        InputError: naming the first one that cannot be read.
    """
    parts = []
    for stretch in runs(numbers):
        try:
            parts.append(read(source, options, stretch, sha256))
        except InputError:
            for number in range(stretch.start, stretch.stop):
                try:
                    read(source, options, slice(number, number + 1), sha256)
                except InputError as error:
                    raise InputError(
                        f"slice {number}: {error}; --across needs every slice, leave it out, or "
                        "this slice"
                    ) from error
            raise
    return joined(parts)


def _as_volume(found: Measurement) -> Measurement:
    """Slices (n, 1, ...) of a batch as the channels (1, n, ...) of one volume."""

    def turned(t: Tensor | None) -> Tensor | None:
        return None if t is None else t.transpose(0, 1)

    y = found.y.transpose(0, 1)
    A = RayTransform(found.A.geometry, (y.shape[1], *found.A.image_shape[1:]))
    tensors = (found.weights, found.truth, found.mask, found.stripes)
    weights, truth, mask, stripes = map(turned, tensors)
    return replace(found, y=y, A=A, weights=weights, truth=truth, mask=mask, stripes=stripes)
