"""A trained unrolled network instead of an iteration: as many steps as it has, then it ends.

There is no map that is iterated and nothing to prove; the `Solution` says so, and otherwise has
all that those of the solvers have.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.errors import InputError
from pnp_recon.pictures import metrics
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.solution import History, Look, Solution
from pnp_recon.solvers.core.solver import norms
from pnp_recon.solvers.core.stopping import Status
from pnp_recon.solvers.core.theorem import unproven


def run_learned(
    model: LearnedReconstruction,
    y: Tensor,
    A: LinearOperator,
    *,
    reference: Tensor | None = None,
    callback: Callable[[Look], None] | None = None,
) -> Solution:
    """Runs the network, one look at each of its iterations; Ctrl-C returns what there is.

    The picture is clipped to [0, 1], the range of the pictures that networks are trained on.

    Args:
        model: see there; `model.check(A)` decides whether it runs.
        y: (B, *A.measurement_shape), in the precision and on the device of the network.
        A: forward operator.
        reference: (B, C, H, W); adds the PSNR of every iterate to the history.
        callback: called after every iteration.

    Raises:
        InputError: the network is for something else, or in another precision or place.
    """
    warnings = model.check(A)
    weights = next(model.network.parameters())
    if (weights.dtype, weights.device.type) != (y.dtype, y.device.type):
        raise InputError(
            f"{model.name} is in {weights.dtype} on {weights.device}, the measurements are in "
            f"{y.dtype} on {y.device}; load it with their dtype and device, or convert them"
        )
    reason = "; ".join([model.guarantee.source, *warnings])
    history, begin = History(), time.perf_counter()
    status = Status.FIXED_DEPTH
    with torch.inference_mode():
        iterates = model.network.iterates(y, A)
        x = next(iterates)
        try:
            for found in iterates:
                if not _note(history, x, found, begin):
                    status = Status.NON_FINITE
                    break
                x = found
                shown = x.clamp(0, 1)
                psnr = None
                if reference is not None:
                    history.psnr.append(metrics.psnr(shown, reference).tolist())
                    psnr = sum(history.psnr[-1]) / len(history.psnr[-1])
                if callback is not None:
                    residual = max(history.relative(-1))
                    callback(Look(history.iterations, residual, psnr, shown.clone))
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    return Solution(
        x.clamp(0, 1).clone(),
        status,
        Certificate(unproven(reason)),
        history,
        f"learned-{model.network.config.scheme}",
        {
            "depth": model.network.config.depth,
            "parameters": model.parameters,
            "equivariance_error": model.equivariance.error,
        },
    )


def refuse_settings(model: LearnedReconstruction, **given: bool) -> None:
    """Refuses settings of an iteration that were given along with a network, which has its own.

    Raises:
        InputError: naming those that are true.
    """
    found = [name for name, is_given in given.items() if is_given]
    if found:
        raise InputError(
            f"{model.name} is a network that reconstructs by itself, found with "
            f"{', '.join(found)}; leave them out, or take a denoiser"
        )


def _note(history: History, before: Tensor, after: Tensor, begin: float) -> bool:
    """A row of the history; False where the iterate is not finite."""
    rows = norms(after - before).tolist(), norms(after).tolist()
    if not all(map(math.isfinite, [*rows[0], *rows[1]])):
        return False
    history.residuals.append(rows[0])
    history.norms.append(rows[1])
    history.errors.append([0.0] * len(after))
    history.checked.append(history.iterations)
    history.seconds.append(time.perf_counter() - begin)
    return True
