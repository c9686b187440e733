"""The same work on two cores of the CPU, for a column beside the card's."""

from __future__ import annotations

from functools import partial

import torch

from scripts.accelerator.benches.denoisers import SIZES, TINY, timed
from scripts.accelerator.benches.reconstructions import run_method
from scripts.accelerator.checks.session import Budget, Found, Mode, Session

THREADS = 2
NAMES = ("euler_colour", "euler_grey", "energy_colour")
MODES: tuple[Mode, ...] = ("f32", "bf16")


def measure(session: Session, out: Found, budget: Budget) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(session.size(1, THREADS))
    host = Session("cpu", session.tiny, session.errors, save=session.save)
    try:
        out["threads"] = torch.get_num_threads()
        table = out.setdefault("denoisers", {})
        for size in session.size(TINY, tuple(SIZES)[:2]):
            for name in session.size(NAMES[:1], NAMES):
                for mode in MODES:
                    if (mode, name[:6]) == ("bf16", "energy"):
                        continue  # an energy computes in float32 where it is a prior
                    run = partial(timed, host, name, {**TINY, **SIZES}[size], mode)
                    session.attempt(table, f"{name} {size} {mode}", run, budget)
        runs = out.setdefault("reconstructions", {})
        for name in session.size(("pnp-hqs",), ("pnp-hqs", "pnp-hqs anderson", "pnp-pgd", "dpir")):
            session.attempt(runs, f"{name} f32", partial(run_method, host, name, "f32"), budget)
    finally:
        torch.set_num_threads(before)
