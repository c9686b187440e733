"""Full reconstructions: certified ones, deepinv's plug-and-play with the same denoiser, and DPIR's.

A photograph under a circular motion blur. The iteration of deepinv is PnP-PGD with the same step
and level for as many iterations; the two end with the same picture up to rounding, so that their
times compare.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pnp_recon import Stopping, reconstruct
from pnp_recon.pictures.metrics import psnr
from scripts.accelerator.benches.denoisers import MIB, fresh_memory
from scripts.accelerator.checks.cases import NOISE, measured, model, operator_of, picture
from scripts.accelerator.checks.session import Budget, Found, Mode, Session, precision

KIND = "conv circular motion15"
METHODS = ("pnp-hqs", "pnp-hqs anderson", "pnp-pgd", "deepinv pgd", "dpir")
STEP, LEVEL = 1.0, 5 / 255


def measure(session: Session, out: Found, budget: Budget) -> None:
    for mode in session.modes:
        for name in METHODS:
            if mode == "tf32" or (mode == "bf16" and name.startswith("pnp-hqs")):
                continue  # certified runs switch TF32 off, and bfloat16 has no certificate
            run = partial(run_method, session, name, mode)
            session.attempt(out, f"{name} {mode}", run, budget)


def run_method(session: Session, name: str, mode: Mode) -> Found:
    """A run, after one of two iterations that warms up."""
    x = picture(*session.size((24, 32), (321, 481))).to(session.device)
    A, y = operator_of(KIND, tuple(x.shape[1:]), session.device), measured(KIND, x.cpu())
    y, denoiser = y.to(session.device), model("euler_colour", session.device, mode)
    count = session.size(2, 50)

    def ours(most: int) -> tuple[Tensor, int]:
        solver, _, acceleration = name.partition(" ")
        given: dict[str, Any] = {"strength": 1}
        if solver == "pnp-pgd":
            given = {"denoiser_level": LEVEL, "step": STEP, "start": A.A_adjoint(y)}
        found = reconstruct(
            y,
            A,
            denoiser,
            noise_level=NOISE,
            solver=solver,
            acceleration=acceleration or "none",
            allow_uncertified=True,
            stopping=Stopping(tol=1e-12 if solver == "pnp-pgd" else 1e-4, max_iter=most),
            **given,
        )
        return found.image, found.iterations

    runs: dict[str, Callable[[int], tuple[Tensor, int]]] = {
        "deepinv pgd": lambda most: theirs(A, y, denoiser, most)
    }
    run = runs.get(name, ours)
    before = fresh_memory(session)
    with precision(mode), torch.no_grad():
        run(2)
        session.sync()
        start = time.perf_counter()
        image, iterations = run(count if "pgd" in name else session.size(2, 300))
        session.sync()
    seconds = time.perf_counter() - start
    row: Found = {
        "seconds": seconds,
        "iterations": iterations,
        "ms_per_iteration": 1e3 * seconds / max(1, iterations),
        "psnr": float(psnr(image.clamp(0, 1), x)),
    }
    if session.cuda:
        row["peak_extra_MiB"] = (torch.cuda.max_memory_allocated() - before) / MIB
    return row


def theirs(A: object, y: Tensor, denoiser: object, most: int) -> tuple[Tensor, int]:
    """deepinv's PnP-PGD.

    Raises:
        ImportError: deepinv is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import deepinv.optim as optim
    model = optim.PGD(
        data_fidelity=optim.L2(),
        prior=optim.PnP(denoiser),
        stepsize=STEP,
        sigma_denoiser=LEVEL,
        max_iter=most,
        early_stop=False,
        custom_init=lambda y, physics: {"est": (physics.A_adjoint(y),) * 2},
    )
    return model(y, A.to_deepinv()), most  # type: ignore[attr-defined]
