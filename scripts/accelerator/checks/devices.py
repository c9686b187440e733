"""What users get wrong: parts of a problem on different devices, other dtypes, generators.

An error is what is measured here: whether it says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from operators import GaussianNoise, adjoint_mismatch, power_iteration_estimate
from operators.masks import random_pixels
from pnp_recon import Stopping, reconstruct
from pnp_recon.estimation.motion import estimate_motion
from pnp_recon.estimation.noise import estimate_noise_level
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.report.document import environment, peak_memory
from scripts.accelerator.checks.cases import NOISE, measured, model, operator_of, picture
from scripts.accelerator.checks.session import Budget, Found, Session, difference, precision

KINDS = ("conv circular motion9", "conv valid motion9", "inpaint", "down2")


def measure(session: Session, out: Found, budget: Budget) -> None:
    with precision("f32"):
        for key, run in {**mixtures(session), **tools(session)}.items():
            session.attempt(out, key, run, budget)
    out["errors"] = [key for key, row in out.items() if isinstance(row, dict) and "error" in row]


def mixtures(session: Session) -> dict[str, Callable[[], object]]:
    """Runs whose parts do not fit together."""
    on = session.device
    x = picture(*session.size((24, 32), (72, 96)))
    blur = KINDS[0]

    def run(
        kind: str,
        operator: str = on,
        data: str = on,
        denoiser: str = on,
        dtype: torch.dtype = torch.float32,
        **more: object,
    ) -> str:
        found = reconstruct(
            measured(kind, x).to(data, dtype),
            operator_of(kind, tuple(x.shape[1:]), operator, dtype),
            model("euler_colour", denoiser, dtype=dtype),
            noise_level=NOISE,
            strength=1,
            stopping=Stopping(tol=1e-12, max_iter=3),
            **more,  # type: ignore[arg-type]
        )
        return f"ran on {found.image.device} in {found.image.dtype}"

    def moved() -> str:
        A = operator_of(blur, tuple(x.shape[1:]), "cpu").to(on)
        few = Stopping(tol=1e-12, max_iter=3)
        y = measured(blur, x).to(on)
        found = reconstruct(y, A, "euler_colour", noise_level=NOISE, strength=1, stopping=few)
        return str(found.image.device)

    def mixed_types() -> str:
        A, y = operator_of(blur, tuple(x.shape[1:]), on), measured(blur, x).to(on).double()
        few = Stopping(tol=1e-12, max_iter=3)
        denoiser = model("euler_colour", on)
        found = reconstruct(y, A, denoiser, noise_level=NOISE, strength=1, stopping=few)
        return str(found.image.dtype)

    runs: dict[str, Callable[[], object]] = {}
    for kind in session.size(KINDS[:1], KINDS):
        runs[f"{kind}: all on device"] = partial(run, kind)
        runs[f"{kind}: operator on cpu"] = partial(run, kind, operator="cpu")
        runs[f"{kind}: measurements on cpu"] = partial(run, kind, data="cpu")
        runs[f"{kind}: float64 on device"] = partial(run, kind, dtype=torch.float64)
    return runs | {
        "denoiser on cpu": lambda: run(blur, denoiser="cpu"),
        "denoiser by name, operator moved by .to()": moved,
        "float32 denoiser, float64 data": mixed_types,
        "start on cpu": lambda: run(blur, start=x),
        "reference on cpu": lambda: run(blur, reference=x),
    }


def tools(session: Session) -> dict[str, Callable[[], object]]:
    """What takes tensors or generators, beside whole runs."""
    on = session.device
    x = picture(*session.size((24, 32), (72, 96)))
    blur, valid = KINDS[:2]

    def seeded(device: str) -> torch.Generator:
        return torch.Generator(device).manual_seed(0)

    def gradients() -> object:
        found = []
        for device in (on, "cpu"):
            A = operator_of(valid, tuple(x.shape[1:]), device)
            t = x.clone().to(device).requires_grad_()
            found.append(torch.autograd.grad(A.A(t).square().sum(), t)[0])
        return difference(*found)

    def inverses() -> object:
        y = measured(valid, x)
        host, there = (operator_of(valid, tuple(x.shape[1:]), d) for d in ("cpu", on))
        return difference(there.A_dagger(y.to(on)), host.A_dagger(y))

    def metrics() -> object:
        a, b = x.to(on), (x + 0.01).to(on)
        return {"psnr": str(psnr(a, b)), "ssim": str(ssim(a, b))}

    def estimates() -> object:
        y = measured(blur, x)
        return [estimate_noise_level(y.to(on)), estimate_noise_level(y)]

    A = operator_of(blur, tuple(x.shape[1:]), on)
    return {
        "noise level estimated on device": estimates,
        "GaussianNoise, cpu generator": lambda: str(
            GaussianNoise(0.1, seeded("cpu"))(x.to(on)).device
        ),
        "GaussianNoise, device generator": lambda: str(
            GaussianNoise(0.1, seeded(on))(x.to(on)).device
        ),
        "random_pixels, device generator": lambda: str(
            random_pixels((8, 8), 0.5, seeded(on)).device
        ),
        "adjoint_mismatch, device generator": lambda: adjoint_mismatch(A, seeded(on)),
        "power iteration, device generator": lambda: power_iteration_estimate(A, seeded(on)),
        "A_dagger valid on device": inverses,
        "autograd through A": gradients,
        "motion estimated on device": lambda: str(estimate_motion(measured(blur, x).to(on))),
        "metrics on device": metrics,
        "report environment": lambda: [
            environment(torch.device(on), torch.float32),
            peak_memory(torch.device(on)),
        ],
    }
