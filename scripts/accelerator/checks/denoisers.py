"""How exactly the shipped denoisers run on the device, and what attacks on them attain there."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pnp_recon.priors.attack import attained_ratio
from pnp_recon.problems.noise import noisy
from scripts.accelerator.checks.cases import MODELS, channels_of, model, picture
from scripts.accelerator.checks.session import Budget, Found, Mode, Session, difference, precision

SIGMA = 15 / 255
ATTACKED_AT = 25 / 255
Attack = tuple[str, Mode, float, str]


def measure(session: Session, out: Found, budget: Budget) -> None:
    agree, own = out.setdefault("agreement", {}), budget.part(0.5)
    for name in session.size(("euler_colour", "euler_grey", "dncnn_grey"), MODELS):
        session.attempt(agree, name, partial(agreement, session, name), own)
    attacks = out.setdefault("attacks", {})
    for case in planned(session):
        name, mode, scale, kind = case
        key = f"{name} {mode} scale={scale:g} {kind}"
        session.attempt(attacks, key, partial(attack, session, *case), budget)


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


def planned(session: Session) -> list[Attack]:
    """The most telling attacks first: of D, and of R where D = (1 − α)I + αR."""
    modes = [mode for mode in session.modes if mode != "bf16"]
    names = ("euler_grey", "euler_colour")
    plan: list[Attack] = [(n, m, 1e-2, kind) for n in names for m in modes for kind in "DR"]
    plan += [(n, m, scale, "D") for scale in (1e-3, 1e-4) for n in names for m in modes]
    others = ("euler_grey_eq", "dncnn_grey", "dncnn_colour")
    plan += [(n, m, 1e-2, "D") for n in others for m in modes]
    plan += [(n, "bf16", 1e-2, "D") for n in names]
    return plan[:3] if session.tiny else plan


def attack(session: Session, name: str, mode: Mode, scale: float, kind: str) -> Found:
    """The largest ratio found; 1 is the limit for what is averaged."""
    steps, side = session.size((2, 16), (32, 64))
    net = model(name, session.device, mode)
    alpha = net.guarantee.averagedness
    x = picture(side, side, channels_of(name)).to(session.device)

    def reflected(v: Tensor) -> Tensor:
        assert alpha is not None
        return (net(v, ATTACKED_AT) - (1 - alpha) * v) / alpha

    with precision(mode):
        attained = attained_ratio(
            reflected if kind == "R" else lambda v: net(v, ATTACKED_AT), x, steps, scale
        )
    return {"attained": attained, "alpha": alpha, "limit": None if alpha is None else 1.0}
