"""Forward operators on the device: transposes, norms and enclosures, against those on the CPU."""

from __future__ import annotations

import time
from functools import partial

import torch

from operators import Gradient, LinearOperator, power_iteration_estimate
from operators.checks import ADJOINT_TOLERANCE, LAWS, adjoint_mismatch, check_operator
from scripts.accelerator.checks.cases import operator_of
from scripts.accelerator.checks.session import Budget, Found, Session, difference, precision

BORDERS = ("circular", "valid", "replicate", "reflect", "constant")
KINDS = (
    *(f"conv {border} {kernel}" for border in BORDERS for kernel in ("motion9", "gauss5")),
    "inpaint",
    "down2",
    "compose",
    "gradient",
)

# These blurs are so ill-conditioned that no device attains their pseudo-inverse.
ASKED = tuple(law for law in LAWS.values() if law.name != "pseudo-inverse")


def measure(session: Session, out: Found, budget: Budget) -> None:
    kinds = session.size(("conv circular motion9", "down2", "gradient"), KINDS)
    for kind in kinds:
        session.attempt(out, kind, partial(compared, session, kind), budget)
    rows = {key: out[key] for key in kinds if isinstance(out[key], dict)}
    out["tolerance_broken"] = [key for key, row in rows.items() if row.get("broken")]
    out["errors"] = [key for key, row in rows.items() if "error" in row]


def build(kind: str, device: str, height: int, width: int) -> LinearOperator:
    if kind == "gradient":
        return Gradient((3, height, width))
    even = (height // 2 * 2, width // 2 * 2) if kind == "down2" else (height, width)
    return operator_of(kind, (3, *even), device)


def compared(session: Session, kind: str) -> Found:
    size = session.size((13, 18), (155, 240))
    A, host = build(kind, session.device, *size), build(kind, "cpu", *size)
    row: Found = {"start_on": str(A.certificate_start().device)}
    broken = []
    for dtype in (torch.float32, torch.float64):
        tag = str(dtype).removeprefix("torch.")
        x = torch.rand(2, *A.image_shape, generator=seeded(), dtype=dtype)
        for mode in session.modes if dtype == torch.float32 else ("f32",):
            if mode == "bf16":
                continue
            with precision(mode), torch.no_grad():
                gap = adjoint_mismatch(A, seeded(), 2, dtype=dtype)
                row[f"A_{tag}_{mode}_vs_cpu"] = difference(A.A(x.to(session.device)), host.A(x))[
                    "max"
                ]
            row[f"adjoint_{tag}_{mode}"] = gap
            broken += [f"adjoint {tag} {mode}"] * (gap > ADJOINT_TOLERANCE[dtype])
        row[f"adjoint_{tag}_cpu"] = adjoint_mismatch(host, seeded(), 2, dtype=dtype)
    start = time.perf_counter()
    bound = A.norm_certificate
    row["norm_s_device"] = time.perf_counter() - start
    row["norm_device"], row["norm_cpu"] = bound.value, host.norm_certificate.value
    row["norm_equal_rel"] = bound.value / host.norm_certificate.value - 1
    row["method"] = bound.method
    row["power_iteration"] = power_iteration_estimate(A, generator=seeded())
    broken += ["norm"] * (row["power_iteration"] > bound.value)
    with precision("f32"):
        report = check_operator(build(kind, session.device, 12, 14), ASKED)
    row["laws"] = {finding.law.name: str(finding.kept) for finding in report.findings}
    broken += [str(finding) for finding in report.broken]
    if broken:
        row["broken"] = broken
    return row


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
