"""Whether a run repeats bit for bit on the device."""

from __future__ import annotations

import warnings
from collections import Counter
from functools import partial

import torch

from pnp_recon import Stopping, reconstruct
from scripts.accelerator.checks.cases import NOISE, measured, model, operator_of, picture
from scripts.accelerator.checks.session import Budget, Found, Mode, Session, difference, precision

CASES: tuple[tuple[str, str, Mode], ...] = (
    ("conv circular motion9", "euler_colour", "f32"),
    ("conv valid motion9", "euler_colour", "f32"),
    ("conv replicate motion9", "euler_colour", "tf32"),
    ("inpaint", "euler_colour", "bf16"),
    ("conv valid motion9", "tv", "f32"),
    ("down2", "euler_colour", "f32"),
)


def measure(session: Session, out: Found, budget: Budget) -> None:
    for kind, prior, mode in session.size(CASES[:1], CASES):
        session.attempt(
            out,
            f"{kind} {prior} {mode}",
            partial(repeated, session, kind, prior, mode),
            budget,
        )


def repeated(session: Session, kind: str, prior: str, mode: Mode) -> Found:
    """Three runs, the third with torch's deterministic kernels and their warnings."""
    x = picture(*session.size((24, 32), (192, 256)))
    A, y = operator_of(kind, tuple(x.shape[1:]), session.device), measured(kind, x)
    y = y.to(session.device)
    held = prior if prior == "tv" else model(prior, session.device, mode)
    stopping = Stopping(tol=1e-12, max_iter=session.size(2, 30))
    images, warned = [], Counter[str]()
    before = torch.are_deterministic_algorithms_enabled()
    try:
        for strict in (False, False, True):
            torch.use_deterministic_algorithms(strict, warn_only=True)
            with precision(mode), warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                solution = reconstruct(
                    y,
                    A,
                    held,
                    noise_level=NOISE,
                    strength=1,
                    allow_uncertified=mode == "bf16",
                    stopping=stopping,
                )
            warned.update(str(item.message)[:120] for item in found)
            images.append(solution.image.cpu())
    finally:
        torch.use_deterministic_algorithms(before)
    return {
        "bit_equal": torch.equal(images[0], images[1]),
        "diff": difference(images[0], images[1])["max"],
        "deterministic_mode_diff": difference(images[0], images[2])["max"],
        "warnings": dict(warned),
    }
