"""How exactly the shipped denoisers run on the device: in each mode, in batches, in tiles."""

from __future__ import annotations

from functools import partial

import torch

from pnp_recon.problems.noise import noisy
from scripts.accelerator.checks.cases import MODELS, channels_of, model, picture
from scripts.accelerator.checks.session import Budget, Found, Session, difference, precision

SIGMA = 15 / 255


def measure(session: Session, out: Found, budget: Budget) -> None:
    agree = out.setdefault("agreement", {})
    for name in session.size(("euler_colour", "euler_grey", "dncnn_grey"), MODELS):
        session.attempt(agree, name, partial(agreement, session, name), budget)


@torch.no_grad()
def agreement(session: Session, name: str) -> Found:
    """Differences to float32 on the CPU and to float64, of each mode; of batches; of tiles."""
    # Odd sides: the equivariant one pads them.
    height, width = session.size((33, 41), (129, 161))
    x = noisy(picture(height, width, channels_of(name)), SIGMA, 0)
    host = model(name, "cpu")
    cpu = host(x, SIGMA)
    exact = model(name, session.device, dtype=torch.float64)(x.double().to(session.device), SIGMA)
    row: Found = {
        "guarantee": host.guarantee.averagedness,
        "cpu_f32_vs_f64": difference(cpu, exact),
        "cpu_bf16_vs_f64": difference(model(name, "cpu", "bf16")(x, SIGMA), exact),
    }
    for mode in session.modes:
        with precision(mode):
            got = model(name, session.device, mode)(x.to(session.device), SIGMA)
        row[f"{mode}_vs_cpu_f32"] = difference(got, cpu)
        row[f"{mode}_vs_f64"] = difference(got, exact)
        row[f"{mode}_finite"] = bool(torch.isfinite(got).all())
    with precision("f32"):
        batch = picture(height, width, channels_of(name), batch=3).to(session.device)
        many = model(name, session.device)(batch, torch.full((3,), SIGMA, device=session.device))
        single = model(name, session.device)(batch[:1], SIGMA)
        row["batch_vs_single"] = difference(many[:1], single)
        if row["guarantee"] is not None:
            big = picture(2 * height, 2 * width, channels_of(name)).to(session.device)
            tile = session.size(64, 96)
            tiled = model(name, session.device, tile=tile)(big, SIGMA)
            row["tiled_vs_whole"] = difference(
                tiled, model(name, session.device, tile=None)(big, SIGMA)
            )
    return row
