"""Carries a plan out: slabs to whoever computes them, their slices into store and ledger.

One writer, here. The values of a slice are on disk before its row is, so that a row says that the
slice is done. What goes wrong in a slice is its row; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pnp_recon.benchmark.engine import spread
from pnp_recon.volumes.ledger import FAILED, Ledger, Row
from pnp_recon.volumes.plan import slabs
from pnp_recon.volumes.store import Store, hash_of

Recipe = TypeVar("Recipe")
Slab = tuple[int, ...]
DIED = (
    "a process died, most likely for want of memory; what is finished is kept, the same command "
    "with fewer --workers goes on"
)


@dataclass(frozen=True, eq=False)
class Done:
    """One slice: its row, with at least `slice` and `status`, and its values.

    Attributes:
        row: plain JSON values.
        values: (H, W) float32, or None where it failed.
    """

    row: Row
    values: NDArray[np.float32] | None


@dataclass(frozen=True)
class Work(Generic[Recipe]):
    """How slices are computed.

    Attributes:
        each: (recipe, slab) -> its slices one by one; a function of a module.
        recipe: whatever `each` needs, sent to other processes.
    """

    each: Callable[[Recipe, Slab], Iterable[Done]]
    recipe: Recipe


def run(
    ledger: Ledger,
    store: Store,
    work: Work[Recipe],
    *,
    slab: int,
    workers: int = 1,
    dask: str | None = None,
    report: Callable[[Row], None] = lambda _: None,
) -> None:
    """Computes what is still to do.

    Args:
        ledger, store: where it goes.
        work: how it is computed.
        slab: slices that are read together.
        workers: processes.
        dask: address of a scheduler instead.
        report: called with each row, once it is safe.

    Raises:
        InputError: the cluster cannot be reached, or a process died.
        OutputError: a slice cannot be written, for example because the disk is full.
        KeyboardInterrupt: Ctrl-C; what is finished is kept.
    """
    ledger.mend()
    for done in _finished(work, slabs(ledger.todo(), slab), workers, dask):
        number = done.row["slice"]
        place = ledger.plan.slices.index(number)
        values = done.values
        if values is None:
            values = np.full(ledger.plan.shape, np.nan, np.float32)
        store.write(place, values)
        ledger.add(done.row)
        report(done.row)


def forget_changed(ledger: Ledger, store: Store) -> list[int]:
    """Slices whose values on disk are not those of their rows, which are to be computed again.

    Whoever wrote into the volume, or cut it off, left rows with certificates of other pictures.
    """
    changed = []
    for place, number in enumerate(ledger.plan.slices):
        row = ledger.rows.get(number)
        if row is None or "sha256" not in row:
            continue
        try:
            same = hash_of(store.read(place)) == row["sha256"]
        except (OSError, ValueError):
            same = False
        if not same:
            del ledger.rows[number]
            changed.append(number)
    return changed


def _finished(
    work: Work[Recipe], parts: Sequence[Slab], workers: int, dask: str | None
) -> Iterator[Done]:
    """Slices as they are ready: in this process each at once, in others slab by slab."""
    if dask is None and (workers <= 1 or len(parts) <= 1):
        for part in parts:
            yield from work.each(work.recipe, part)
        return
    found = spread(whole, work, parts, jobs=workers, dask=dask, died=DIED)
    for _, slices in found:
        yield from slices


def whole(work: Work[Recipe], slab: Slab) -> list[Done]:
    """All slices of a slab, for another process to send back."""
    return list(work.each(work.recipe, slab))


def failed(number: int, message: str, exit_code: int) -> Done:
    """A slice that could not be computed."""
    row = {"slice": number, "status": FAILED, "message": message, "exit_code": exit_code}
    return Done(row, None)
