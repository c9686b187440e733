"""`pnp-ct`: what a reconstruction will take, said before it is begun.

Memory is counted, time is one projection and one gradient of the prior times what measured runs
needed of both. They are estimates, and called so.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from operators import RayTransform
from operators._memory import readable
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.proximal import Regulariser

# From so many pixels on it is said.
PIXELS = 200 * 200
# Bytes of the program with its libraries, and for each pixel of a slice that is worked on: an
# energy on two pictures, as a search of the strength has them (within a tenth of the measured peaks
# at 256² and 640²), and anything else, which is a guess.
PROGRAM, ENERGY_BYTES, OTHER_BYTES = 700_000_000, 3200, 400
# Projections there and back, and gradients, of a descent with its search of the strength; and
# iterations of total variation, at the usual tolerance (slices of 256² and 128² pixels).
PROJECTIONS, GRADIENTS, ITERATIONS = 400, 110, 200
# Side of the part of a slice whose gradient is timed.
PART = 128


def ahead(A: RayTransform, y: Tensor, start: Tensor, prior: object) -> str:
    """One line about memory and time, or nothing for a small slice.

    Args:
        A: the operator; y: its data, (slices, 1, ...).
        start: a picture of each slice, (slices, 1, H, W).
        prior: what is iterated; the time is said of energies and of total variation.
    """
    pixels = start[0].numel()
    if pixels < PIXELS:
        return ""
    each = ENERGY_BYTES if isinstance(prior, LearnedEnergy) else OTHER_BYTES
    memory = PROGRAM + A.memory_bytes + each * pixels * min(len(y), 2)
    words = f"effort: about {readable(memory)} of memory"
    seconds = _seconds(A, y[:1], start[:1], prior)
    if seconds is None:
        return f"{words} (an estimate; projections {_way(A)})"
    several = "" if len(y) == 1 else f" for each of {len(y)} slices"
    return f"{words} and {_time(seconds)}{several} (an estimate; projections {_way(A)})"


def _seconds(A: RayTransform, y: Tensor, start: Tensor, prior: object) -> float | None:
    if not isinstance(prior, LearnedEnergy | Regulariser):
        return None
    with torch.no_grad():
        pair = _timed(lambda: (A.A(start), A.A_adjoint(y)))
        if isinstance(prior, Regulariser):
            return ITERATIONS * 1.5 * pair
        part = start[..., :PART, :PART].contiguous()
        level = sum(prior.sigma_range) / 2
        gradient = _timed(lambda: prior.value_and_gradient(part, level))
    return PROJECTIONS * pair + GRADIENTS * gradient * start.numel() / part.numel()


def _timed(call: Callable[[], object]) -> float:
    """The second of two calls: the first one also prepares."""
    call()
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _way(A: RayTransform) -> str:
    return "from a stored matrix" if A.storage == "matrix" else "computed anew each time"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
