"""Runs on streams of their own: alone and two at a time they end with the bits of the default one.

A kernel that is not ordered after what it reads shows itself here, if anywhere.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pnp_recon import Stopping, reconstruct
from scripts.accelerator.checks.cases import NOISE, measured, model, operator_of, picture
from scripts.accelerator.checks.session import Budget, Found, Session, difference, precision

KINDS = ("conv circular motion9", "conv valid motion9", "inpaint")


def measure(session: Session, out: Found, budget: Budget) -> None:
    for kind in session.size(KINDS[:1], KINDS):
        session.attempt(out, kind, partial(on_streams, session, kind), budget)
    rows = {key: row for key, row in out.items() if isinstance(row, dict) and "alone" in row}
    out["differing"] = [key for key, row in rows.items() if row["alone"] or row["together"]]


def on_streams(session: Session, kind: str) -> Found | str:
    """Largest differences from the run on the default stream."""
    x = picture(*session.size((24, 32), (192, 256)))
    A, y = operator_of(kind, tuple(x.shape[1:]), session.device), measured(kind, x)
    y, denoiser = y.to(session.device), model("euler_colour", session.device)
    stopping = Stopping(tol=1e-12, max_iter=session.size(2, 20))

    def run() -> Tensor:
        found = reconstruct(y, A, denoiser, noise_level=NOISE, strength=1, stopping=stopping)
        return found.image

    with precision("f32"):
        expected = run()
        if not session.cuda:
            return "skipped: no CUDA, and so no streams"
        session.sync()
        streams = [torch.cuda.Stream() for _ in range(2)]
        with torch.cuda.stream(streams[0]):
            alone = run()
        session.sync()
        images = []
        for stream in streams:  # the second is queued while the first may still run
            with torch.cuda.stream(stream):
                images.append(run())
        session.sync()
    return {
        "alone": difference(expected, alone)["max"],
        "together": max(difference(expected, image)["max"] for image in images),
    }
