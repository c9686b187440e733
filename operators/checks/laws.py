"""The laws that every operator keeps, one function each, measured on small random images.

A law takes an operator and a seed, and returns what it measured, in words. It raises OperatorError
where the law is broken and UndecidedError where it cannot be put to this operator. Tolerances are
those of rounding: they grow with the numbers, and with the conditioning where a system is solved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.checks.measures import (
    ADJOINT_TOLERANCE,
    check_adjoint,
    check_gram,
    check_norm,
    iterated_prox,
    to_matrix,
)
from operators.combined import encloses
from operators.errors import OperatorError
from operators.norms import power_iteration_estimate

F32, F64 = torch.float32, torch.float64

# Entries of a matrix that is written out and decomposed in a second or two.
LARGEST_DENSE = 4_000_000
# The rounding of one application to numbers up to 1.
ROUNDING = {F32: 5e-6, F64: 1e-14}
# The wanted residual of the prox, the distance that has to be reached, and the slack allowed.
PROX = {F32: (1e-4, 2e-3, 1e-3), F64: (1e-9, 2e-9, 1e-12)}
COUPLINGS = (0.3, 2.0, 40.0)
# Beyond this condition number of I + γAᵀA tolerances grow, and an honest early stop is no fault.
PROX_CONDITION = {F32: 1e2, F64: 1e4}
# Beyond this condition number conjugate gradients on AᵀA may miss the pseudo-inverse, rightly.
LARGEST_CONDITION = 1e5


class UndecidedError(Exception):
    """The law cannot be put to this operator; says why."""


@dataclass(frozen=True)
class Law:
    """A law by name, what it says, and the function that measures it."""

    name: str
    statement: str
    check: Callable[[LinearOperator, int], str]


def adjoint(A: LinearOperator, seed: int = 0, *, dtype: torch.dtype = F64) -> str:
    _require_matched(A)
    if dtype not in _dtypes(A):
        raise UndecidedError(f"it computes in {A.certificate_dtype}")
    measured = check_adjoint(A, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return f"relative mismatch {measured:.1e}, allowed {ADJOINT_TOLERANCE[dtype]:.0e}"


def transposed_matrix(A: LinearOperator, seed: int = 0) -> str:
    _require_matched(A)
    matrix = _matrix(A)
    unit = torch.eye(matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
    with torch.no_grad():
        back = A.A_adjoint(unit.reshape(-1, *A.measurement_shape)).reshape(matrix.shape)
    return _close(back, matrix, "A_adjoint", "the transposed matrix")


def nonnegative(A: LinearOperator, seed: int = 0) -> str:
    if not A.nonnegative:
        return "not claimed"
    matrix = _matrix(A)
    smallest, allowed = float(matrix.min()), 0.1 * ROUNDING[matrix.dtype] * _size(matrix)
    if not smallest >= -allowed:
        raise OperatorError(f"'{A.name}' claims entries >= 0, but one is {smallest:.3g}")
    return f"smallest entry {smallest:.3g}"


def norm(A: LinearOperator, seed: int = 0) -> str:
    if not A.has_norm_bound:
        raise UndecidedError("no proven bound of its norm is known")
    if _is_small(A):
        attained = check_norm(A)
    else:
        attained = power_iteration_estimate(A, torch.Generator().manual_seed(seed), iterations=30)
        if not attained <= A.norm_bound:
            raise OperatorError(
                f"norm_bound of '{A.name}' is {A.norm_bound:.12g}, but {attained:.12g} is attained"
            )
    return f"norm_bound {A.norm_bound:.6g}, attained {attained:.6g}"


def gram(A: LinearOperator, seed: int = 0) -> str:
    return f"{A.gram_lower_bound:.6g}, smallest {check_gram(A):.6g}" if len(_matrix(A)) else ""


def fingerprint(A: LinearOperator, seed: int = 0) -> str:
    before, x = A.fingerprint(), _draw(A, seed, 2, A.image_shape)
    with torch.no_grad():
        A.initial_guess(A.A(A.prox_l2(x, A.A(x), 1.0, max_iter=2)))
    if A.fingerprint() != before:
        raise OperatorError(f"the fingerprint of '{A.name}' changes with its use")
    return "stays while it is used"


def linear(A: LinearOperator, seed: int = 0) -> str:
    x = _draw(A, seed, 2, A.image_shape)
    y = _draw(A, seed + 1, 2, A.measurement_shape)
    words = ""
    with torch.no_grad():
        for name, apply, t in (("A", A.A, x), ("A_adjoint", A.A_adjoint, y)):
            whole = apply(2.5 * t[:1] - t[1:])
            parts = 2.5 * apply(t[:1]) - apply(t[1:])
            words = _close(whole, parts, f"{name} of a sum", "the sum", roundings=10)
    return words


def batch(A: LinearOperator, seed: int = 0) -> str:
    x = _draw(A, seed, 3, A.image_shape)
    y = _draw(A, seed + 1, 3, A.measurement_shape)
    words = ""
    with torch.no_grad():
        for name, apply, t in (("A", A.A, x), ("A_adjoint", A.A_adjoint, y)):
            alone = apply(t[1:2])
            words = _close(apply(t)[1:2], alone, f"{name} of a batch", "that of one alone")
    return words


def derivative(A: LinearOperator, seed: int = 0) -> str:
    _require_matched(A)
    x = _draw(A, seed, 3, A.image_shape).requires_grad_()
    v = _draw(A, seed + 1, 3, A.measurement_shape)
    y = A.A(x)
    if not y.requires_grad:
        raise OperatorError(f"A of '{A.name}' is not differentiable")
    (gradient,) = torch.autograd.grad((y * v).sum(), x)
    with torch.no_grad():
        return _close(gradient, A.A_adjoint(v), "the derivative", "A_adjoint", roundings=10)


def form(A: LinearOperator, seed: int = 0) -> str:
    x = _draw(A, seed, 2, A.image_shape)
    answers = []
    with torch.no_grad():
        for dtype in _dtypes(A):
            y = A.A(x.to(dtype))
            back = A.A_adjoint(torch.zeros(2, *A.measurement_shape, dtype=dtype, device=x.device))
            for name, t, shape in (
                ("A", y, A.measurement_shape),
                ("A_adjoint", back, A.image_shape),
            ):
                found = (tuple(t.shape), t.dtype, t.device.type)
                if found != (expected := ((2, *shape), dtype, x.device.type)):
                    raise OperatorError(f"{name} of '{A.name}' gives {found}; expected {expected}")
            answers.append(y.to(x.dtype))
    gap = float((answers[0] - answers[-1]).abs().max())
    if not gap <= 1e-4 * _size(answers[-1]):
        raise OperatorError(f"A of '{A.name}' in float32 is {gap:.1e} off that in float64")
    return f"{' and '.join(str(dtype).removeprefix('torch.') for dtype in _dtypes(A))}"


def call(A: LinearOperator, seed: int = 0) -> str:
    if A.noise_model is not None:
        raise UndecidedError("it has a noise model")
    x = _draw(A, seed, 2, A.image_shape)
    with torch.no_grad():
        if not torch.equal(A(x), A.A(x)):
            raise OperatorError(f"'{A.name}' called is not its A, without a noise model")
    return "the same numbers"


def prox(A: LinearOperator, seed: int = 0) -> str:
    _require_matched(A)
    z = _draw(A, seed, 3, A.image_shape)
    y = _draw(A, seed + 1, 3, A.measurement_shape)
    gamma = torch.tensor(COUPLINGS, dtype=z.dtype, device=z.device)
    tol, reached, _ = PROX[z.dtype]
    with torch.no_grad():
        x, error = A.prox_l2_with_error(z, y, gamma, tol=tol, max_iter=500)
        exact, square, accuracy = _exact_prox(A, z, y, gamma)
    distance = torch.linalg.vector_norm((x - exact).flatten(1), dim=1)
    for d, e, g in zip(distance.tolist(), error.tolist(), COUPLINGS, strict=True):
        condition = 1 + g * square
        strain = max(1.0, condition / PROX_CONDITION[z.dtype])
        if not d <= e + accuracy * strain:
            raise OperatorError(
                f"prox_l2 of '{A.name}' is {d:.1e} off, but the error is said to be {e:.1e}"
            )
        if not d <= reached * strain:
            if strain > 1:
                raise UndecidedError(f"the condition number of I + {g:g} AᵀA is {condition:.1e}")
            raise OperatorError(f"prox_l2 of '{A.name}' is still {d:.1e} off for γ = {g:g}")
    return f"at most {float(distance.max()):.1e} off"


def _exact_prox(
    A: LinearOperator, z: Tensor, y: Tensor, gamma: Tensor
) -> tuple[Tensor, float, float]:
    """The prox, ‖A‖² and how exact the prox is: by a dense solve where the matrix is small.

    Else by conjugate gradients, where there is a formula to compare them with.
    """
    tol, reached, slack = PROX[z.dtype]
    if not _is_small(A):
        if not A.prox_closed_form:
            raise UndecidedError("its matrix is too large for a dense solve")
        bound = A.norm_bound if A.has_norm_bound else 1.0
        return iterated_prox(A, z, y, gamma, tol=tol, max_iter=2000), bound**2, reached
    matrix = _matrix(A)
    unit = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    solved = [
        torch.linalg.solve(unit + g * matrix.T @ matrix, a.flatten() + g * matrix.T @ b.flatten())
        for g, a, b in zip(gamma, z, y, strict=True)
    ]
    square = float(torch.linalg.matrix_norm(matrix, 2)) ** 2
    return torch.stack(solved).reshape(z.shape), square, slack


def pseudo_inverse(A: LinearOperator, seed: int = 0) -> str:
    _require_matched(A)
    if A.certificate_dtype != F64:
        raise UndecidedError(f"it computes in {A.certificate_dtype}")
    matrix = _matrix(A)
    y = _draw(A, seed, 2, A.measurement_shape)
    with torch.no_grad():
        x = A.A_dagger(y, tol=1e-12, max_iter=600).flatten(1)
    exact = y.flatten(1) @ torch.linalg.pinv(matrix, rtol=1e-12).T
    gap = float((x - exact).abs().max())
    if not torch.allclose(x, exact, rtol=1e-5, atol=1e-5):
        singular = torch.linalg.svdvals(matrix)
        kept = singular[singular > 1e-12 * singular[0]]
        if kept.numel() and float(kept[0] / kept[-1]) > LARGEST_CONDITION:
            raise UndecidedError(f"its condition number is {float(kept[0] / kept[-1]):.1e}")
        raise OperatorError(f"A_dagger of '{A.name}' is {gap:.1e} off the pseudo-inverse")
    return f"at most {gap:.1e} off"


def enclosure(A: LinearOperator, seed: int = 0) -> str:
    if not A.nonnegative:
        raise UndecidedError("it does not claim entries >= 0")
    matrix = _matrix(A)
    rounding = 10 * ROUNDING[matrix.dtype]
    # The operator says itself whether its `enclosure` is about what it computes.
    for transpose in (False, True) if encloses(A) else ():
        v = _draw(A, seed, 1, A.measurement_shape if transpose else A.image_shape)
        v[v < 0.3] = 0  # what a mask leaves behind
        with torch.no_grad():
            bounds = A.enclosure(v, transpose=transpose)
        _require_between(A, bounds, (matrix.T if transpose else matrix) @ v.flatten(), rounding)
    v = _draw(A, seed, 1, A.image_shape) + 1e-6
    with torch.no_grad():
        bounds = A.normal_enclosure(v)
    _require_between(A, bounds, matrix.T @ (matrix @ v.flatten()), rounding)
    return "A v, Aᵀ v and AᵀA v lie within" if encloses(A) else "AᵀA v lies within"


def _require_between(
    A: LinearOperator, bounds: tuple[Tensor, Tensor], exact: Tensor, rounding: float
) -> None:
    below, above = (bound.flatten() for bound in bounds)
    slack = rounding * exact + 0.01 * rounding  # of the matrix and of plain sums
    if not bool(((below <= exact + slack) & (exact - slack <= above)).all()):
        raise OperatorError(f"'{A.name}' leaves its enclosure")


def guess(A: LinearOperator, seed: int = 0) -> str:
    y = _draw(A, seed, 2, A.measurement_shape)
    with torch.no_grad():
        start = A.initial_guess(y)
    if start.shape != (2, *A.image_shape) or not bool(torch.isfinite(start).all()):
        raise OperatorError(
            f"initial_guess of '{A.name}' gives {tuple(start.shape)}; expected finite numbers of "
            f"shape {(2, *A.image_shape)}"
        )
    return f"finite, of shape {tuple(start.shape)}"


LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        Law("adjoint-float32", "<A x, y> = <x, Aᵀ y> in float32", partial(adjoint, dtype=F32)),
        Law("adjoint-float64", "<A x, y> = <x, Aᵀ y> in float64", partial(adjoint, dtype=F64)),
        Law("transpose", "the matrix of A_adjoint is that of A, transposed", transposed_matrix),
        Law("nonnegative", "no entry is negative, if that is claimed", nonnegative),
        Law("norm", "lower <= ‖A‖ <= norm_bound", norm),
        Law("gram", "gram_lower_bound ‖x‖² <= ‖A x‖²", gram),
        Law("fingerprint", "no application changes the fingerprint", fingerprint),
        Law("linear", "A and A_adjoint are linear", linear),
        Law("batch", "images of a batch do not mix", batch),
        Law("derivative", "autograd through A gives A_adjoint", derivative),
        Law("form", "shape, dtype and device are as promised", form),
        Law("call", "without a noise model a call is A", call),
        Law("prox", "prox_l2 solves its system to within its stated error", prox),
        Law(
            "pseudo-inverse",
            "A_dagger is the least-squares solution of smallest norm",
            pseudo_inverse,
        ),
        Law("enclosure", "entrywise bounds contain A v, Aᵀ v and AᵀA v", enclosure),
        Law("guess", "initial_guess is a finite image", guess),
    )
}


def _dtypes(A: LinearOperator) -> tuple[torch.dtype, ...]:
    """The precisions that the operator takes."""
    return (F32, F64) if A.certificate_dtype == F64 else (F32,)


def _draw(A: LinearOperator, seed: int, count: int, shape: tuple[int, ...]) -> Tensor:
    """Uniform numbers in [0, 1], on the operator's device, in the precision of its certificate."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(count, *shape, generator=generator, dtype=F64)
    return values.to(A.certificate_start().device, A.certificate_dtype)


def _is_small(A: LinearOperator) -> bool:
    entries = torch.Size(A.measurement_shape).numel() * torch.Size(A.image_shape).numel()
    return entries <= LARGEST_DENSE


def _matrix(A: LinearOperator) -> Tensor:
    if not _is_small(A):
        raise UndecidedError("its matrix is too large to be written out")
    return to_matrix(A)


def _require_matched(A: LinearOperator) -> None:
    if not A.adjoint_matched:
        raise UndecidedError(
            "it says that A_adjoint is not its transpose, so nothing is guaranteed"
        )


def _size(t: Tensor) -> float:
    return max(1.0, float(t.abs().max()))


def _close(found: Tensor, expected: Tensor, what: str, reference: str, roundings: int = 1) -> str:
    allowed = roundings * ROUNDING[expected.dtype] * _size(expected)
    gap = float((found - expected).abs().max())
    if not gap <= allowed:
        raise OperatorError(f"{what} is {gap:.1e} off {reference}, allowed {allowed:.1e}")
    return f"{gap:.1e} off, allowed {allowed:.1e}"
