"""What is declared of an operator and false is refuted; what is true is not."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    Convolution,
    Gradient,
    Identity,
    Inpainting,
    LinearOperator,
    NormBound,
    OperatorError,
    RayTransform,
    Stacked,
    circular_norm,
    from_deepinv,
    parallel_beam,
)
from operators.checks import Probe, negative_entry, probe
from operators.deadlines import deadline

F32, F64 = torch.float32, torch.float64
SHAPE = (1, 12, 14)
BLUR = laws.random_kernel((3, 5))
SIGNED = laws.random_kernel((3, 5), signed=True)
every_operator = pytest.mark.parametrize("case", laws.OPERATORS, ids=lambda case: case.label)


class Own(LinearOperator):
    """Somebody's circular blur; each fault is a number."""

    def __init__(
        self,
        kernel: Tensor = BLUR,
        *,
        nonnegative: bool = True,
        transpose: float = 1.0,
        share: float | None = None,
        dtype: torch.dtype = F64,
    ) -> None:
        super().__init__("own", SHAPE, SHAPE, nonnegative=nonnegative)
        self.inner = Convolution(kernel, SHAPE)
        self.transpose, self.share, self.dtype = transpose, share, dtype
        self._calls = [0]  # private: no part of what it is

    def _forward_map(self, x: Tensor) -> Tensor:
        self._calls[0] += len(x)
        return self.inner.A(x.to(self.dtype)).to(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.transpose * self.inner.A_adjoint(y.to(self.dtype)).to(y)

    @property
    def has_norm_bound(self) -> bool:
        return super().has_norm_bound or self.share is not None

    def _prove_norm(self) -> NormBound:
        if self.share is None:
            return super()._prove_norm()
        return NormBound(self.share * self.inner.norm_bound, 0.0, "declared", "its author")


class Shifted(Own):
    def _transpose_map(self, y: Tensor) -> Tensor:
        return super()._transpose_map(y).roll(1, -1)


class Infinite(Own):
    def _forward_map(self, x: Tensor) -> Tensor:
        return super()._forward_map(x) / 0


FALSE: list[tuple[str, Callable[[], LinearOperator], str]] = [
    ("0.1", lambda: Own(transpose=0.1), r"mismatch 7.*it is 0\.1 times the transpose"),
    ("2", lambda: Own(transpose=2.0), r"it is 2 times the transpose"),
    ("-1", lambda: Own(SIGNED, nonnegative=False, transpose=-1.0), r"it is -1 times"),
    ("shift", Shifted, r"not the transpose of A \(relative mismatch [^:]*\)$"),
    ("sign", lambda: Own(SIGNED), "declared non-negative"),
    ("norm", lambda: Own(SIGNED, nonnegative=False, share=0.97), "at most .* is attained"),
    ("norm of a blur", lambda: Own(nonnegative=False, share=0.97), "at most .* is attained"),
    ("infinite", Infinite, "not finite|mismatch inf"),
    ("narrow", lambda: Own(dtype=F32), r"set certificate_dtype = torch\.float32"),
    ("in a whole", lambda: Inpainting(laws.random_mask(SHAPE)) @ Own(transpose=0.1), "0.1 times"),
    ("beside", lambda: Stacked([Identity(SHAPE), Own(SIGNED)]), "declared non-negative"),
]


@pytest.mark.parametrize(("build", "words"), [f[1:] for f in FALSE], ids=[f[0] for f in FALSE])
def test_a_false_fact_is_refuted_and_named(build: Callable[[], LinearOperator], words: str) -> None:
    A = build()
    assert (A.transpose_by, A.sign_by, A.norm_by) == ("declaration",) * 3
    refuted = probe(A, norm=True).refuted
    assert refuted is not None
    assert re.search(words, refuted), refuted


TRUE: list[Callable[[], LinearOperator]] = [
    Own,
    lambda: Own(SIGNED, nonnegative=False, share=1.0),
    lambda: Own(nonnegative=False, share=1.0),
    lambda: 2 * Own(),
    lambda: Stacked([Identity(SHAPE), Own()]),
]


@pytest.mark.parametrize("build", TRUE)
def test_a_true_declaration_stands(build: Callable[[], LinearOperator]) -> None:
    """The twin of the above: the probe can pass."""
    A = build()
    found = probe(A, norm=True)
    assert found.refuted is None
    assert found.mismatch is not None
    assert found.gain is not None
    assert 0.97 * A.norm_bound < found.gain <= A.norm_bound


@every_operator
def test_what_is_constructed_here_is_known_and_would_stand(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    assert (A.transpose_by, A.sign_by, A.norm_by) == ("construction",) * 3
    assert probe(A, norm=True) == Probe(A.name, 1e-10)  # nothing was asked

    A._prove_norm = A._prove_norm  # type: ignore[method-assign]  # its own method, but replaced
    assert (A.transpose_by, A.sign_by, A.norm_by) == ("declaration",) * 3
    found = probe(A, norm=True)
    assert found.refuted is None, found.refuted
    assert found.gain is not None
    assert found.gain <= A.norm_bound


def test_a_class_from_elsewhere_and_a_replaced_map_are_declarations() -> None:
    class Renamed(Convolution):
        pass

    assert Renamed(BLUR, SHAPE).transpose_by == "declaration"
    Renamed.__module__ = "operators.convolution"  # it says so, and is not there
    assert Renamed(BLUR, SHAPE).norm_by == "declaration"
    for name in ("A", "A_adjoint", "_forward_map", "_transpose_map", "_prove_norm"):
        A = Convolution(BLUR, SHAPE)
        setattr(A, name, getattr(A, name))
        assert A.transpose_by == "declaration", name
        assert (Identity(SHAPE) @ A).norm_by == "declaration"
    A = Convolution(BLUR, SHAPE)
    A.register_forward_hook(lambda *_: None)
    assert A.norm_by == "declaration"
    with pytest.raises(OperatorError, match="is worked out"):

        class Stated(Convolution):
            transpose_by = "construction"  # type: ignore[assignment]


def test_a_replaced_method_of_the_class_is_a_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    A = Gradient(SHAPE)
    assert A.transpose_by == "construction"
    monkeypatch.setattr(Gradient, "_transpose_map", lambda self, y: y[:, 0])
    assert A.transpose_by == "declaration"
    assert "not the transpose" in str(probe(A, norm=False).refuted)


def test_a_replaced_transpose_is_refuted_after_it_was_right() -> None:
    A = Convolution(BLUR, SHAPE)
    assert probe(A, norm=True).refuted is None
    right = A.A_adjoint
    A.A_adjoint = lambda y: 0.1 * right(y)  # type: ignore[method-assign]
    assert "0.1 times" in str(probe(A, norm=True).refuted)


def test_a_run_probes_once_until_something_changes() -> None:
    A = Own()
    first = probe(A, norm=True)
    spent = A._calls[0]
    assert probe(A, norm=True) is first
    assert A._calls[0] == spent
    A.inner.kernel.data.mul_(-1)
    assert "declared non-negative" in str(probe(A, norm=True).refuted)


def test_a_deadline_ends_the_power_iterations() -> None:
    A = Own(SIGNED, nonnegative=False, share=1.0)
    free = A._calls[0], probe(A, norm=True).refuted
    B = Own(SIGNED, nonnegative=False, share=1.0)
    with deadline(0):
        assert probe(B, norm=True).refuted is None
    assert free[1] is None
    assert B._calls[0] < A._calls[0]


def test_one_negative_entry_in_a_corner_is_seen() -> None:
    for kernel in (BLUR, SIGNED):
        A = Convolution(kernel, SHAPE, "constant")
        seen = negative_entry(A, torch.Generator().manual_seed(3))
        assert (seen is None) == A.nonnegative


@pytest.mark.parametrize("storage", ["matrix", "on_the_fly"])
def test_a_ray_transform_says_how_its_transpose_is_known(storage: str) -> None:
    scan = parallel_beam(5, (7, 6), pixel_mm=0.2)
    A = RayTransform(scan, (1, 7, 6), storage=storage)  # type: ignore[arg-type]
    known = "construction" if storage == "matrix" else "measurement"
    assert (A.transpose_by, A.sign_by, A.norm_by) == (known, "construction", known)
    assert probe(A, norm=True).refuted is None


@pytest.mark.parametrize("kernel", ["box", "sharpening", "random"])
def test_a_false_norm_of_a_deepinv_physics_is_refused(kernel: str) -> None:
    """Ten iterations from one start did not find three percent."""
    from deepinv.physics import Blur

    weights = {
        "box": torch.full((5, 5), 1 / 25),
        "sharpening": torch.tensor([[0, -0.1, 0], [-0.1, 1.4, -0.1], [0, -0.1, 0]]),
        "random": laws.random_kernel((5, 5), signed=True, dtype=F32),
    }[kernel]
    physics = Blur(filter=weights[None, None], padding="circular")
    true = circular_norm(weights, (48, 48)).value
    with pytest.raises(OperatorError, match="is attained"):
        from_deepinv(physics, (1, 48, 48), norm_bound=0.97 * true)
    A = from_deepinv(physics, (1, 48, 48), norm_bound=true)
    assert (A.transpose_by, A.sign_by, A.norm_by) == ("measurement", *("declaration",) * 2)
