"""A batch of pictures in parts, one after the other, and their solutions as one.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from pnp_recon.cli.run.case import Case
from pnp_recon.solvers import Certificate, History, Look, Observation, Solution, Status
from pnp_recon.solvers.core.observing import worst

Item = TypeVar("Item")

# The worst comes last.
_SEVERITY = (
    Status.DIRECT,
    Status.FIXED_DEPTH,
    Status.CONVERGED,
    Status.GAP,
    Status.LEAST_ERROR,
    Status.EARLY_STOP,
    Status.ITERATION_LIMIT,
    Status.TIME_LIMIT,
    Status.STAGNATED,
    Status.INNER_LIMIT,
    Status.INTERRUPTED,
    Status.NON_FINITE,
)


def in_parts(
    parts: Sequence[Case],
    look: Callable[[Look], None],
    solve: Callable[[Case, Callable[[Look], None]], Solution],
) -> Solution:
    """Solves each part and joins the solutions; each has a `start` among its arguments.

    The whole has the worst status and certificate of its parts, and as many iterations as the
    longest of them. After Ctrl-C the parts that were not begun keep their start.
    """
    starts = [part.arguments["start"] for part in parts]
    done: list[Solution] = []
    for index, part in enumerate(parts):

        def see(seen: Look, index: int = index) -> None:
            def image() -> Tensor:
                before = [solution.image for solution in done]
                return torch.cat([*before, seen.image(), *starts[index + 1 :]])

            passed = sum(solution.iterations for solution in done)
            look(replace(seen, iteration=passed + seen.iteration, image=image))

        done.append(solve(part, see))
        if done[-1].status is Status.INTERRUPTED:
            break
    return join(done, starts[len(done) :])


def join(solutions: Sequence[Solution], rest: Sequence[Tensor] = ()) -> Solution:
    """One solution of several about different pictures of one batch; `rest` was not begun."""
    return replace(
        solutions[0],
        image=torch.cat([*(solution.image for solution in solutions), *rest]),
        status=max((solution.status for solution in solutions), key=_SEVERITY.index),
        certificate=_certificate([solution.certificate for solution in solutions], not rest),
        history=_history([solution.history for solution in solutions]),
        error_bars=() if rest else _all([solution.error_bars for solution in solutions]),
    )


def _certificate(found: Sequence[Certificate], complete: bool) -> Certificate:
    """The certificate that says least, with the worst observations of all.

    Where one part was not begun, or ended before anything was observed, nothing is certified: what
    the others showed is not said of it.
    """
    weakest = min(found, key=lambda one: (one.proven, not one.unchecked, not one.conditions))
    laws: dict[str, list[Observation]] = {}
    for one in found:
        for item in one.observed:
            laws.setdefault(item.law, []).append(item)
    observed = tuple(
        replace(items[0], worst=worst(item.worst for item in items)) for items in laws.values()
    )
    remarks = dict.fromkeys(remark for one in found for remark in one.remarks)
    void = weakest.unchecked or ("" if complete else "some of its parts were not begun")
    return replace(weakest, observed=observed, void=void, remarks=tuple(remarks))


def _history(found: Sequence[History]) -> History:
    """The rows of all side by side; a picture whose iteration has ended keeps its last values."""
    length = max(history.iterations for history in found)

    def beside(rows: Sequence[list[list[float]]]) -> list[list[float]]:
        if not all(rows):
            return []
        return [
            [value for own in rows for value in own[min(k, len(own) - 1)]] for k in range(length)
        ]

    longest = max(found, key=lambda history: history.iterations)
    return replace(
        longest,
        residuals=beside([history.residuals for history in found]),
        norms=beside([history.norms for history in found]),
        errors=beside([history.errors for history in found]),
        bounds=beside([history.bounds for history in found]),
        tolerances=beside([history.tolerances for history in found]),
        ratios=beside([history.ratios for history in found]),
        energies=beside([history.energies for history in found]),
        falls=beside([history.falls for history in found]),
        gradients=beside([history.gradients for history in found]),
        moves=beside([history.moves for history in found]),
        psnr=[],
        stride=min(history.stride for history in found),
        picture_errors=list(_all([history.picture_errors for history in found])),
    )


def _all(found: Sequence[Sequence[Item]]) -> tuple[Item, ...]:
    """What each part says of its pictures; nothing where one says nothing."""
    return tuple(item for own in found for item in own) if all(found) else ()
