"""Every registered operator keeps every law of `operators.checks`; broken twins are caught."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws import operators as cases
from operators import (
    Convolution,
    Inpainting,
    LinearOperator,
    NormBound,
    OperatorError,
    Stacked,
)
from operators.checks import (
    LAWS,
    UndecidedError,
    adjoint_mismatch,
    check_adjoint,
    to_matrix,
)

F32, F64 = torch.float32, torch.float64
SHAPE = (1, 7, 8)
ADJOINT = {"adjoint-float32": F32, "adjoint-float64": F64}
every_operator = pytest.mark.parametrize("case", cases.OPERATORS, ids=lambda case: case.label)
every_device = pytest.mark.parametrize("device", cases.DEVICES)


@every_operator
@pytest.mark.parametrize("law", [name for name in LAWS if name not in ADJOINT])
def test_every_operator_keeps_every_law(case: cases.OperatorCase, law: str) -> None:
    A = case.build(F64)
    if law == "enclosure" and not A.nonnegative:
        with pytest.raises(UndecidedError, match="does not claim"):
            LAWS[law].check(A, 1)
    else:
        assert LAWS[law].check(A, 1)  # raises where it is broken or cannot be asked


@every_device
@every_operator
@pytest.mark.parametrize(("law", "dtype"), ADJOINT.items())
def test_adjoints_are_transposes(
    case: cases.OperatorCase, law: str, dtype: torch.dtype, device: str
) -> None:
    assert LAWS[law].check(case.build(dtype).to(device), 0)


@every_operator
def test_a_sign_is_claimed_wherever_it_holds(case: cases.OperatorCase) -> None:
    A = case.build(F64)
    matrix = to_matrix(A)
    assert A.nonnegative == bool((matrix > -1e-15).all())


# ---- the twins: each law has an operator that breaks it ----


class Broken(Convolution):
    """A blur; each twin below breaks one thing."""

    def __init__(self) -> None:
        super().__init__(cases.random_kernel((3, 5)), SHAPE, "replicate")


class WrongAdjoint(Broken):
    """Convolves where it should correlate."""

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self._forward_map(y)


class LossyAdjoint(Broken):
    """Forgets to fold a part of one row of the border back."""

    def _transpose_map(self, y: Tensor) -> Tensor:
        x = super()._transpose_map(y).clone()
        x[..., 0, :] *= 0.9
        return x


class FalseSign(LinearOperator):
    """Claims entries >= 0 of a difference."""

    def __init__(self) -> None:
        super().__init__("difference", SHAPE, SHAPE, nonnegative=True)

    def _forward_map(self, x: Tensor) -> Tensor:
        return x - 0.5 * x.roll(1, -1)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return y - 0.5 * y.roll(-1, -1)


class Understated(Broken):
    def _prove_norm(self) -> NormBound:
        return NormBound(super()._prove_norm().lower * 0.9, 0.0, "wishful", "none")


class OverstatedGram(Broken):
    @property
    def gram_lower_bound(self) -> float:
        return 0.5


class Counting(Broken):
    """Says of itself how often it was applied."""

    applied = 0

    def _forward_map(self, x: Tensor) -> Tensor:
        self.applied = self.applied + 1
        return super()._forward_map(x)


class Affine(Broken):
    def _forward_map(self, x: Tensor) -> Tensor:
        return super()._forward_map(x) + 1e-6


class AffineAdjoint(Broken):
    def _transpose_map(self, y: Tensor) -> Tensor:
        return super()._transpose_map(y) + 1e-6


class Mixing(Broken):
    """Images of a batch lend each other light."""

    def _forward_map(self, x: Tensor) -> Tensor:
        y = super()._forward_map(x)
        return y + 1e-6 * (y.mean(0) - y)


class MixingAdjoint(Broken):
    def _transpose_map(self, y: Tensor) -> Tensor:
        x = super()._transpose_map(y)
        return x + 1e-6 * (x.mean(0) - x)


class Detached(Broken):
    def _forward_map(self, x: Tensor) -> Tensor:
        return super()._forward_map(x).detach()


class HalfGradient(Broken):
    """Autograd sees one half of A."""

    def _forward_map(self, x: Tensor) -> Tensor:
        y = super()._forward_map(x)
        return 0.5 * y + 0.5 * y.detach()


class Widening(Broken):
    def _forward_map(self, x: Tensor) -> Tensor:
        return super()._forward_map(x.double())


class FlatAdjoint(Broken):
    def _transpose_map(self, y: Tensor) -> Tensor:
        return super()._transpose_map(y).flatten(1)


class Elsewhere(Broken):
    def _forward_map(self, x: Tensor) -> Tensor:
        return super()._forward_map(x).to("meta")


class Coarse(Broken):
    """Worse in float32 than rounding explains."""

    def _forward_map(self, x: Tensor) -> Tensor:
        y = super()._forward_map(x)
        return y if x.dtype == F64 else (y * 256).round() / 256


class Noisy(Broken):
    def forward(self, x: Tensor) -> Tensor:
        return self.A(x) * 1.001


class Boastful(Broken):
    """Stops early and says that it did not."""

    def prox_l2_with_error(self, *arguments, **options):  # type: ignore[no-untyped-def]
        x, error = super().prox_l2_with_error(*arguments, **{**options, "max_iter": 3})
        return x, 0 * error


class Lazy(Broken):
    """Stops early and says so."""

    def prox_l2_with_error(self, *arguments, **options):  # type: ignore[no-untyped-def]
        return super().prox_l2_with_error(*arguments, **{**options, "max_iter": 3})


class WrongFormula(Inpainting):
    def __init__(self) -> None:
        super().__init__(cases.random_mask(SHAPE))

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        return super()._closed_prox(z, y, 1.01 * step)

    def A_dagger(self, y: Tensor, tol: float = 1e-6, max_iter: int = 200) -> Tensor:
        return y


class Narrow(Broken):
    def enclosure(self, v: Tensor, *, transpose: bool = False) -> tuple[Tensor, Tensor]:
        below, above = super().enclosure(v, transpose=transpose)
        return below, above * 0.999999


class NarrowNormal(Broken):
    def normal_enclosure(self, v: Tensor) -> tuple[Tensor, Tensor]:
        below, above = super().normal_enclosure(v)
        return below * 1.000001, above


class NoGuess(Broken):
    def initial_guess(self, y: Tensor) -> Tensor:
        return super().initial_guess(y) / 0


TWINS: list[tuple[str, Callable[[], LinearOperator], str]] = [
    ("adjoint-float32", WrongAdjoint, "not the transpose"),
    ("adjoint-float32", LossyAdjoint, "not the transpose"),
    ("adjoint-float64", WrongAdjoint, "not the transpose"),
    ("adjoint-float64", LossyAdjoint, "not the transpose"),
    ("transpose", LossyAdjoint, "A_adjoint is .* off the transposed matrix"),
    ("nonnegative", FalseSign, "one is -0.5"),
    ("norm", Understated, "is attained"),
    ("gram", OverstatedGram, "gram_lower_bound of .* is 0.5, but"),
    ("fingerprint", Counting, "changes with its use"),
    ("linear", Affine, "A of a sum"),
    ("linear", AffineAdjoint, "A_adjoint of a sum"),
    ("batch", Mixing, "A of a batch"),
    ("batch", MixingAdjoint, "A_adjoint of a batch"),
    ("derivative", Detached, "not differentiable"),
    ("derivative", HalfGradient, "the derivative is"),
    ("form", Widening, "torch.float64"),
    ("form", FlatAdjoint, "A_adjoint of .* gives"),
    ("form", Elsewhere, "meta"),
    ("form", Coarse, "float32 is"),
    ("call", Noisy, "called is not its A"),
    ("prox", Boastful, "said to be 0"),
    ("prox", Lazy, "still"),
    ("prox", WrongFormula, "still .* off"),
    ("pseudo-inverse", WrongFormula, "off the pseudo-inverse"),
    ("enclosure", Narrow, "leaves its enclosure"),
    ("enclosure", NarrowNormal, "leaves its enclosure"),
    ("guess", NoGuess, "expected finite"),
]


@pytest.mark.parametrize(("law", "twin", "message"), TWINS)
def test_what_breaks_a_law_is_caught(
    law: str, twin: Callable[[], LinearOperator], message: str
) -> None:
    with pytest.raises(OperatorError, match=message):
        LAWS[law].check(twin(), 1)


def test_every_law_has_a_twin() -> None:
    assert {law for law, _, _ in TWINS} == set(LAWS)


def test_a_false_enclosure_of_a_part_is_caught() -> None:
    mask = Inpainting(cases.random_mask(SHAPE))
    for A in (mask @ Narrow(), Stacked([mask, Narrow()])):
        with pytest.raises(OperatorError, match="leaves its enclosure"):
            LAWS["enclosure"].check(A, 1)


def test_small_mismatches_are_seen_at_the_size_of_pictures() -> None:
    kernel = cases.random_kernel((3, 3))

    class Lost(Convolution):
        def _transpose_map(self, y: Tensor) -> Tensor:
            x = super()._transpose_map(y).clone()
            x[..., 0, :] *= 0.9
            return x

    for dtype in (F32, F64):
        with pytest.raises(OperatorError, match="not the transpose"):
            check_adjoint(Lost(kernel, (1, 64, 64), "replicate"), dtype=dtype)
    good = Convolution(kernel, (1, 64, 64), "replicate")
    assert adjoint_mismatch(good, torch.Generator().manual_seed(3)) < 1e-15
