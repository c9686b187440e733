"""What attacks on the shipped models attain on the device, in float32 and in TF32.

Of all that denoise: certified networks, energies (the step of one), and those of which nothing is
proven. A certificate is about exact arithmetic, so what TF32 attains may lie above it.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from pnp_recon.models.store import shipped_models
from pnp_recon.priors.attack import attained_ratio
from scripts.accelerator.checks.cases import channels_of, model, picture
from scripts.accelerator.checks.session import Budget, Found, Mode, Session, precision

LEVEL = 25 / 255
SCALES = (1e-2, 1e-3, 1e-4)
Attack = tuple[str, Mode, float, str]


def measure(session: Session, out: Found, budget: Budget) -> None:
    found = out.setdefault("attacks", {})
    for case in planned(session):
        name, mode, scale, kind = case
        key = f"{name} {mode} scale={scale:g} {kind}"
        session.attempt(found, key, partial(attack, session, *case), budget)
    rows = {key: row for key, row in found.items() if isinstance(row, dict) and "attained" in row}
    out["above"] = [key for key, row in rows.items() if row["attained"] > (row["limit"] or 1e30)]


def planned(session: Session) -> list[Attack]:
    """The most telling attacks first: of D, and of R where D = (1 − α)I + αR."""
    modes: list[Mode] = [mode for mode in session.modes if mode != "bf16"]
    certified = [name for name in shipped_models("denoiser") if name.startswith("euler")]
    others = [name for name in shipped_models("denoiser") if name not in certified]
    others += shipped_models("energy")
    plan: list[Attack] = [
        (n, m, SCALES[0], kind) for n in certified for m in modes for kind in "DR"
    ]
    plan += [(n, m, SCALES[0], "D") for n in others for m in modes]
    plan += [(n, m, scale, "D") for scale in SCALES[1:] for n in certified for m in modes]
    plan += [(n, "bf16", SCALES[0], "D") for n in certified if "bf16" in session.modes]
    return [plan[0], plan[1], plan[-1]] if session.tiny else plan


def attack(session: Session, name: str, mode: Mode, scale: float, kind: str) -> Found:
    """The largest ratio found; 1 is the limit for what is averaged."""
    steps, side = session.size((2, 16), (32, 64))
    net = model(name, session.device, mode)
    alpha = model(name, session.device).guarantee.averagedness
    x = picture(side, side, channels_of(name)).to(session.device)

    def reflected(v: Tensor) -> Tensor:
        assert alpha is not None
        return (net(v, LEVEL) - (1 - alpha) * v) / alpha

    with precision(mode):
        attained = attained_ratio(
            reflected if kind == "R" else lambda v: net(v, LEVEL), x, steps, scale
        )
    return {"attained": attained, "alpha": alpha, "limit": None if alpha is None else 1.0}
