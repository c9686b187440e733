"""Whole runs: as a user starts them, in each mode; and all solvers against the same on the CPU."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from pnp_recon import Stopping, reconstruct
from pnp_recon.fidelity import Fidelity, Huber, KullbackLeibler
from pnp_recon.proximal import REGULARISERS, TotalVariation
from pnp_recon.solvers import ACCELERATIONS, Solution
from pnp_recon.solvers.catalogue import solvers_for
from scripts.accelerator.checks.cases import NOISE, measured, model, operator_of, picture, summary
from scripts.accelerator.checks.session import Budget, Found, Mode, Session, difference, precision

BLURS = ("conv circular motion9", "conv valid motion9", "conv replicate motion9")
# An operator, a prior, a solver, an acceleration, and what else differs from the defaults.
Case = tuple[str, str, str, str, str]
WEIGHT = 0.002


def measure(session: Session, out: Found, budget: Budget) -> None:
    defaults = out.setdefault("user_defaults", {})
    user_defaults(session, defaults, budget.part(0.5))
    failed = [key for key, row in defaults.items() if row.get("contradicted")]
    out["contradicted_user_defaults"] = failed
    grid = out.setdefault("matrix", {})
    for case in dict.fromkeys(planned(session)):
        key = " | ".join(part for part in case if part)
        session.attempt(grid, key, partial(compared, session, case), budget)
    out["matrix_to_look_at"] = [key for key, row in grid.items() if to_look_at(row)]


def user_defaults(session: Session, out: Found, budget: Budget) -> None:
    """Runs with the package's defaults and a limit of time, in each mode."""
    height, width = session.size((24, 32), (192, 256))
    x = picture(height, width)
    images: dict[tuple[str, str, str], Any] = {}

    def run(kind: str, acceleration: str, mode: Mode, limit: float) -> Found:
        start = time.perf_counter()
        with precision(mode):
            found = reconstruct(
                measured(kind, x).to(session.device),
                operator_of(kind, tuple(x.shape[1:]), session.device),
                model("euler_colour", session.device, mode),
                noise_level=NOISE,
                strength=1,
                acceleration=acceleration,
                reference=x.to(session.device),
                allow_uncertified=mode == "bf16",
                stopping=Stopping(max_iter=session.size(3, 1000), time_limit=limit),
            )
        row = summary(found) | {"wall_s": time.perf_counter() - start, "time_limit_s": limit}
        row["psnr"] = found.history.psnr[-1]
        images[kind, acceleration, mode] = found.image.cpu()
        if mode == "f32" and (other := images.get((kind, acceleration, "tf32"))) is not None:
            row["image_vs_tf32"] = difference(found.image, other)
        return row

    cases = [
        (kind, acceleration, mode)
        for kind in session.size(BLURS[:1], (*BLURS[:2], "inpaint"))
        for acceleration in ("none", "auto")
        for mode in sorted(session.modes, reverse=True)  # TF32 first: float32 compares with it
        if mode != "bf16" or acceleration == "auto"
    ]
    for number, case in enumerate(cases):
        # Every run has the same share of what is left; those that converge leave theirs.
        limit = max(0.05, 0.8 * budget.left / (len(cases) - number))
        key = " ".join(case)
        session.attempt(out, key, partial(run, *case, limit), budget)


def planned(session: Session) -> list[Case]:
    """The solvers, their accelerations and what they take, the most used first."""
    circular, valid, _ = BLURS
    if session.tiny:
        return [
            (circular, "euler_colour", "pnp-hqs", "none", ""),
            (circular, "tv", "auto", "auto", ""),
            (circular, "wavelet-l1", "auto", "auto", ""),
        ]
    learned = [
        name for name in solvers_for("denoiser") if name in ("pnp-hqs", "pnp-drs", "pnp-pgd")
    ]
    cases: list[Case] = [
        ("inpaint", "euler_colour", "pnp-hqs", "auto", ""),
        ("inpaint", "tv", "auto", "auto", ""),
    ]
    cases += [(circular, "euler_colour", "pnp-hqs", a, "") for a in ("none", *ACCELERATIONS)]
    cases += [(circular, "euler_colour", s, "auto", "") for s in solvers_for("denoiser")]
    cases += [(valid, _regulariser(s), s, "auto", "") for s in solvers_for("functional")]
    cases += [(valid, "auto", s, "auto", "") for s in solvers_for("none")]
    more = ("conv circular gauss5", "down2", "compose")
    cases += [(kind, "euler_colour", "pnp-hqs", "auto", "") for kind in more]
    cases += [
        ("inpaint", name, "pnp-hqs", "auto", "") for name in ("euler_grey_eq", "dncnn_colour")
    ]
    cases += [(circular, "wavelet-l1", "auto", "auto", "")]
    cases += [(circular, "tv", "auto", "auto", extra) for extra in ("huber", "kl")]
    cases += [(circular, "euler_colour", "pnp-hqs", "auto", "huber")]
    cases += [(circular, "auto", "auto", "auto", "estimate")]
    cases += [(blur, "euler_colour", s, "auto", "") for blur in BLURS[1:] for s in learned]
    return cases


def _regulariser(solver: str) -> str:
    """Gradient descent wants a smooth one, ISTA one that makes sparse."""
    return {"gradient-descent": "ridge", "ista": "l1"}.get(solver, "tv")


def solve(session: Session, case: Case, device: str) -> Solution:
    kind, name, solver, acceleration, extra = case
    height, width = session.size((16, 24), (72, 96))
    x = picture(height, width, batch=2)
    A, y = operator_of(kind, tuple(x.shape[1:]), device), measured(kind, x).to(device)
    fidelity: Fidelity | None = None
    if extra == "huber":
        fidelity = Huber(A, y, delta=2 * NOISE)
    if extra == "kl":
        y = y.clamp_min(0)
        fidelity = KullbackLeibler(A, y, background=NOISE)
    prior: Any = name
    if name == "tv" and extra:
        prior = TotalVariation(WEIGHT, "vectorial", box=(0.0, 1.0))
    elif name in REGULARISERS and name != "tv":
        prior = REGULARISERS[name].load()(WEIGHT)
    elif name not in ("tv", "auto"):
        prior = model(name, device)
    return reconstruct(
        y,
        A,
        prior,
        fidelity=fidelity,
        noise_level=None if extra == "estimate" else NOISE,
        strength=1,
        solver=solver,
        acceleration=acceleration,
        stopping=Stopping(tol=1e-12, max_iter=session.size(2, 16)),
        allow_uncertified=name.startswith("dncnn"),
    )


def compared(session: Session, case: Case) -> Found:
    """The same number of iterations on the CPU and on the device, in float32."""
    start = time.perf_counter()
    host = solve(session, case, "cpu")
    middle = time.perf_counter()
    with precision("f32"):
        found = solve(session, case, session.device)
        session.sync()
    row = {
        "diff": difference(host.image, found.image),
        "cpu_s": middle - start,
        "dev_s": time.perf_counter() - middle,
        "verdict_same": host.certificate.verdict == found.certificate.verdict,
        "status": [host.status.name, found.status.name],
        "verdict": found.certificate.verdict[:160],
        "on": str(found.image.device),
    }
    if not row["verdict_same"]:
        row["verdict_cpu"] = host.certificate.verdict[:160]
    return row


def to_look_at(row: Any) -> bool:
    """Whether a row is an error, or far from the CPU's, or says something else."""
    if not isinstance(row, dict):
        return False
    return "diff" not in row or row["diff"]["max"] > 1e-3 or not row["verdict_same"]
