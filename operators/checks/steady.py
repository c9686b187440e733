"""Does an operator still answer as it did? Code that this package cannot read may keep a state.

What was measured of it, its transpose and that it is linear, is about the answers that it gave
then. A few numbers of two answers are kept with the other facts, and compared after a run. This
refutes, and proves nothing: a state that comes and goes is not seen.
"""

from __future__ import annotations

import torch

from operators.base import LinearOperator

# How far two answers to one question may be apart, relative: rounding in another order.
SAME = {torch.float32: 1e-4, torch.float64: 1e-9}


def remember(A: LinearOperator) -> tuple[float, ...]:
    """What it answered when it was first asked, since its coefficients are what they are."""
    found: tuple[float, ...] = A._keep("answers", lambda: _answers(A))
    return found


def strayed(A: LinearOperator) -> bool:
    """Whether it answers otherwise than `remember` says."""
    before, now = remember(A), _answers(A)
    tolerance = SAME[A.certificate_dtype]
    # Norm and inner product of one answer: both are held against the norm.
    sizes = (before[0], before[0], before[2], before[2])
    return not all(
        abs(new - old) <= tolerance * size
        for old, new, size in zip(before, now, sizes, strict=True)
    )


def _answers(A: LinearOperator) -> tuple[float, ...]:
    """‖A x‖, ⟨A x, y⟩/‖y‖ and the same of Aᵀ y, for seeded x and y."""
    seeded, device = torch.Generator().manual_seed(0), A.certificate_start().device
    x, y = (
        torch.randn(1, *shape, generator=seeded, dtype=torch.float64).to(
            device=device, dtype=A.certificate_dtype
        )
        for shape in (A.image_shape, A.measurement_shape)
    )
    found = []
    with torch.no_grad():
        for answer, beside in (
            (A.A(x).double(), y.double()),
            (A.A_adjoint(y).double(), x.double()),
        ):
            found += [float(answer.norm()), float((answer * beside).sum() / beside.norm())]
    return tuple(found)
