"""The ray transform on the device: its matrix, and ASTRA's projectors for CUDA.

A parallel beam's matrix is made by the package itself; the others need ODL and ASTRA, whose wheel
may be carried along.
"""

from __future__ import annotations

from functools import partial

import torch

from operators import OperatorError, RayTransform, cone_beam, fan_beam, parallel_beam
from operators.checks import adjoint_mismatch
from scripts.accelerator.checks.session import Budget, Found, Session, difference

KINDS = ("parallel", "fan_flat", "parallel_3d", "cone")


def measure(session: Session, out: Found, budget: Budget) -> None:
    out.setdefault("matrix", {})
    for kind in KINDS[:2]:
        session.attempt(out["matrix"], kind, partial(from_matrix, session, kind), budget)
    out.setdefault("astra_cuda", {})
    for kind in KINDS:
        session.attempt(out["astra_cuda"], kind, partial(by_astra, session, kind), budget)


def scan(kind: str, side: int) -> tuple[object, tuple[int, int, int]]:
    """A scan and the shape of its picture, or volume."""
    far = 2 * side
    depth = side // 2 if kind in ("parallel_3d", "cone") else 1
    shape = (depth, side, side)
    geometry = {
        "parallel": lambda: parallel_beam(side, side),
        "parallel_3d": lambda: parallel_beam(side, side, slices=True),
        "fan_flat": lambda: fan_beam(side, side, far, far),
        "cone": lambda: cone_beam(side, shape, far, far),
    }[kind]()
    return geometry, shape


def built(kind: str, side: int, backend: str) -> RayTransform:
    """The operator.

    Raises:
        ImportError: a library that it needs is missing; `Session.attempt` keeps that as a reason.
    """
    geometry, shape = scan(kind, side)
    try:
        return RayTransform(geometry, shape, backend=backend)  # type: ignore[arg-type]
    except OperatorError as error:
        raise ImportError(str(error)) from error


def from_matrix(session: Session, kind: str) -> Found:
    A = built(kind, session.size(12, 128), "auto")
    x = torch.rand(2, *A.image_shape, generator=torch.Generator().manual_seed(0))
    row: Found = {"vs_cpu": difference(A.A(x.to(session.device)), A.A(x))["max"]}
    row["largest"] = float(A.A(x).max())
    y = A.A(x)
    row["transpose_vs_cpu"] = difference(A.A_adjoint(y.to(session.device)), A.A_adjoint(y))["max"]
    there = x.to(session.device)
    row["ms"] = session.timed(lambda: A.A(there), 10, 2)["ms"]
    return row


def by_astra(session: Session, kind: str) -> Found | str:
    if not session.cuda:
        return "skipped: no CUDA"
    A = built(kind, 96, "astra_cuda")
    x = torch.rand(2, *A.image_shape, generator=torch.Generator().manual_seed(0)).to(session.device)
    row: Found = {
        "adjoint": adjoint_mismatch(A, torch.Generator().manual_seed(0), 2, dtype=torch.float32),
        "matched": A.adjoint_matched,
        "ms": session.timed(lambda: A.A(x), 10, 2)["ms"],
    }
    if kind != "cone":
        row["vs_matrix"] = difference(A.A(x), built(kind, 96, "auto").A(x.cpu()))["max"]
    return row
