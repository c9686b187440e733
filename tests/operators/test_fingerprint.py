"""What was proven of an operator dies with its coefficients, and nothing else kills it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    Convolution,
    Downsampling,
    Gradient,
    Identity,
    Inpainting,
    LinearOperator,
    OperatorError,
    RayTransform,
    Stacked,
    Sum,
    check_norm,
    from_deepinv,
    parallel_beam,
)

F64 = torch.float64
SHAPE = (1, 7, 8)
every_operator = pytest.mark.parametrize("case", laws.OPERATORS, ids=lambda case: case.label)


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def blur(boundary: str = "circular") -> Convolution:
    return Convolution(laws.random_kernel((3, 5)), SHAPE, boundary)  # type: ignore[arg-type]


def tripled(A: LinearOperator) -> None:
    """Every stored coefficient three times as large, behind the back of tensor versions."""
    for tensor in (*A.parameters(), *A.buffers()):
        if tensor.is_floating_point():
            tensor.data.mul_(3)


def stale(A: LinearOperator, change: Callable[[LinearOperator], None]) -> bool:
    """Whether what was proven before the change is still said after it."""
    before, bound, below = A.fingerprint(), A.norm_bound, A.gram_lower_bound
    A.prox_l2(rand(1, *A.image_shape), rand(1, *A.measurement_shape), 2.0)  # fills the caches
    change(A)
    unseen = A.fingerprint() == before
    kept = A.norm_bound == bound and (below == 0 or A.gram_lower_bound == below)
    return unseen or kept


@every_operator
def test_a_fingerprint_is_that_of_the_coefficients(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    before = A.fingerprint()
    x, y = rand(2, *A.image_shape), rand(2, *A.measurement_shape)
    A.A(x.float()), A.A_adjoint(y), A.initial_guess(y), A.norm_bound, A.gram_lower_bound
    A.prox_l2(x, y, 2.0, max_iter=2)
    A.eval().name = "renamed"
    assert A.fingerprint() == before  # use, mode and name change nothing
    assert case.build(F64).fingerprint() == before


@every_operator
def test_coefficients_changed_in_place_take_their_proofs_along(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    if any(tensor.is_floating_point() for tensor in A.buffers()):
        before, unitary = A.fingerprint(), case.label == "mri-phase"  # of norm 1 whatever it is
        assert not stale(A, tripled) or unitary
        assert A.fingerprint() != before
        check_norm(A)
    else:
        tripled(A)  # nothing to change


def mask_of_ones(A: LinearOperator) -> None:
    A.mask.data.fill_(True)


def negated(A: LinearOperator) -> None:
    A.kernel.data.neg_()


CHANGES: list[tuple[str, Callable[[], LinearOperator], Callable[[LinearOperator], None]]] = [
    ("kernel", blur, tripled),
    ("part", lambda: Inpainting(laws.random_mask(SHAPE)) @ blur("reflect"), tripled),
    ("factor", lambda: 2 * blur(), lambda A: setattr(A, "factor", 10.0)),
    ("inner factor", lambda: Identity(SHAPE) + 2 * blur(), lambda A: _set_inner(A)),
    ("downsampling", lambda: Downsampling(laws.random_kernel((3, 3)), 2, (1, 8, 8)), tripled),
]


def _set_inner(A: LinearOperator) -> None:
    A.parts[1].factor = 10.0


@pytest.mark.parametrize(("build", "change"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_no_proof_is_stale(
    build: Callable[[], LinearOperator], change: Callable[[LinearOperator], None]
) -> None:
    A = build()
    assert not stale(A, change)
    check_norm(A)


class ByVersion(Convolution):
    """The twin: trusts the version of a tensor, as this package once did."""

    def fingerprint(self) -> str:
        return str(self.kernel._version)


def test_a_proof_that_hangs_on_the_version_is_stale() -> None:
    A = ByVersion(laws.random_kernel((3, 5)), SHAPE, method="direct")
    assert stale(A, tripled)
    with pytest.raises(OperatorError, match="is attained"):
        check_norm(A)


def test_transforms_follow_the_next_fingerprint() -> None:
    A = Convolution(laws.random_kernel((7, 7)), (1, 10, 10), method="fft")
    x = rand(1, 1, 10, 10)
    before = A.A(x)
    A.kernel.data.mul_(3)
    A.fingerprint()
    torch.testing.assert_close(A.A(x), 3 * before)


def test_signs_and_forms_follow_the_coefficients() -> None:
    A, small = blur(), Downsampling(laws.random_kernel((3, 3)), 2, (1, 8, 8))
    whole = Stacked([2 * A, A])
    assert A.nonnegative
    assert small.nonnegative
    assert whole.nonnegative
    for part in (A, small):
        negated(part)
    assert not A.nonnegative
    assert not small.nonnegative
    assert not whole.nonnegative
    check_norm(whole)
    full = Inpainting(laws.random_mask(SHAPE))
    assert full.gram_lower_bound == 0
    mask_of_ones(full)
    assert full.gram_lower_bound == 1
    for fixed, name, value in (
        (A, "boundary", "reflect"),
        (A, "center", (0, 0)),
        (small, "factor", 4),
        (Gradient(SHAPE), "spacing", (9.0, 9.0)),
        (RayTransform(parallel_beam(5, (7, 6), pixel_mm=0.2), (1, 7, 6)), "geometry", None),
    ):
        with pytest.raises(AttributeError):
            setattr(fixed, name, value)
    for other in (A, small, Gradient(SHAPE), whole, full, 2 * full):
        with pytest.raises(OperatorError, match="follows from its coefficients"):
            other.nonnegative = True
    part = blur()
    whole = Sum([part, part])
    part.adjoint_matched = False
    assert not whole.adjoint_matched


class Own(LinearOperator):
    """Somebody's operator with a plain tensor and a plain number."""

    def __init__(self) -> None:
        super().__init__("own", SHAPE, SHAPE, nonnegative=True)
        self.weights = rand(*SHAPE)
        self.gain = 2.0
        self.table = [1.0, (2, "a")]

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.gain * self.weights * x

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self._forward_map(y)


@pytest.mark.parametrize(
    "change",
    [
        lambda A: A.weights.data.mul_(3),
        lambda A: setattr(A, "gain", 7.0),
        lambda A: A.table.append(3),
        lambda A: setattr(A, "_forward_map", lambda x: 3 * x),
        lambda A: A.register_buffer("sparse", torch.eye(3).to_sparse()),
        lambda A: A.register_buffer("rows", torch.eye(3, dtype=torch.complex64)),
    ],
)
def test_plain_attributes_count(change: Callable[[LinearOperator], None]) -> None:
    A = Own()
    before = A.fingerprint()
    assert A.fingerprint() == before
    change(A)
    assert A.fingerprint() != before


def test_a_physics_changed_in_place_is_measured_again() -> None:
    from deepinv.physics import Blur

    kernel = torch.full((1, 1, 3, 3), 1 / 9)
    A = from_deepinv(Blur(filter=kernel, padding="circular"), SHAPE, nonnegative=True)
    x, bound = rand(1, *SHAPE), A.norm_bound
    wide = A.A(x)
    A.physics.filter.data.mul_(3)  # type: ignore[attr-defined]
    assert A.norm_bound == pytest.approx(3 * bound, rel=1e-6)
    torch.testing.assert_close(A.A(x), 3 * wide)  # the twin in float64 is another one
    adjoint = A.physics.A_adjoint  # type: ignore[attr-defined]
    A.physics.A_adjoint = lambda y: 0.1 * adjoint(y)  # type: ignore[attr-defined]
    A.fingerprint()
    assert not A.adjoint_matched
