"""The gradient of a picture: its formula, its border, its exact norm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import Gradient, NormBound, OperatorError, check_norm

F64 = torch.float64


def rand(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("shape", [(1, 6, 7), (3, 2, 5), (2, 1, 4), (1, 5, 1), (1, 1, 1)])
def test_forward_differences_with_repeated_border(shape: tuple[int, int, int]) -> None:
    x = rand(2, *shape)
    y = Gradient(shape, (2.0, 0.5)).A(x)
    picture = np.pad(x.numpy(), [(0, 0), (0, 0), (0, 1), (0, 1)], mode="edge")
    np.testing.assert_allclose(y[:, 0], np.diff(picture, axis=2)[..., :-1] / 2)
    np.testing.assert_allclose(y[:, 1], np.diff(picture, axis=3)[..., :-1, :] / 0.5)
    v = rand(2, *y.shape[1:], seed=2)  # not zero where A x always is
    pulled = Gradient(shape, (2.0, 0.5)).A_adjoint(v)
    assert float((y * v).sum()) == pytest.approx(float((x * pulled).sum()), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("shape", [(1, 6, 7), (1, 2, 9), (1, 1, 8), (1, 1, 1)])
@pytest.mark.parametrize("spacing", [1.0, (0.5, 3.0)])
def test_norm_is_exact(shape: tuple[int, int, int], spacing: float | tuple[float, float]) -> None:
    A = Gradient(shape, spacing)
    attained = check_norm(A)
    assert A.norm_bound == pytest.approx(attained, rel=1e-14, abs=1e-100)
    assert A.norm_certificate.looseness < 1 + 1e-14 or attained == 0


def test_norm_of_a_photograph_is_attained_by_its_eigenvector() -> None:
    A = Gradient((3, 321, 481))
    i, j = (
        torch.cos(math.pi * (n - 1) * (torch.arange(n, dtype=F64) + 0.5) / n) for n in (321, 481)
    )
    wave = (i[:, None] * j).expand(1, 3, 321, 481)
    gain = float(A.A(wave).norm() / wave.norm())
    assert A.norm_bound == pytest.approx(gain, rel=1e-12)
    assert A.norm_bound < math.sqrt(8)  # the bound that holds for every size


def test_slices_are_a_third_axis_where_they_are_seen() -> None:
    shape = (4, 5, 6)
    x, A = rand(2, *shape), Gradient(shape, (2.0, 0.5), 0.8)
    y = A.A(x)
    assert A.measurement_shape == (3, *shape)
    assert torch.equal(y[:, :2], Gradient(shape, (2.0, 0.5)).A(x))
    picture = np.pad(x.numpy(), [(0, 0), (0, 1), (0, 0), (0, 0)], mode="edge")
    np.testing.assert_allclose(y[:, 2], np.diff(picture, axis=1) / 0.8)
    assert A.norm_bound == pytest.approx(check_norm(A), rel=1e-14)
    assert Gradient((64, 64, 64), 1.0, 1.0).norm_bound < math.sqrt(12)
    assert torch.autograd.gradcheck(A.A, x[:1].clone().requires_grad_())
    with pytest.raises(OperatorError, match="slice_spacing"):
        Gradient(shape, 1.0, 0.0)


def test_a_norm_that_forgets_the_slices_is_caught() -> None:
    class Flat(Gradient):
        def _prove_norm(self) -> NormBound:
            return Gradient(self.image_shape).norm_certificate

    with pytest.raises(OperatorError, match="is attained"):
        check_norm(Flat((5, 6, 7), 1.0, 1.0))


def test_a_norm_that_forgets_an_axis_is_caught() -> None:
    class OneAxis(Gradient):
        def _prove_norm(self) -> NormBound:
            return NormBound(2.0, 0.0, "rows alone", "none")

    with pytest.raises(OperatorError, match="is attained"):
        check_norm(OneAxis((1, 6, 7)))


def test_differentiable_twice_whatever_the_memory_layout() -> None:
    A = Gradient((2, 4, 5), (1.0, 0.5))
    x, y = rand(2, 2, 4, 5).requires_grad_(), rand(2, 2, 2, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(A.A, x)
    assert torch.autograd.gradcheck(A.A_adjoint, y)
    assert torch.autograd.gradgradcheck(A.A, x)
    assert torch.autograd.gradgradcheck(A.A_adjoint, y)
    assert torch.equal(A.A(x.contiguous(memory_format=torch.channels_last)), A.A(x))
    swapped = y.detach().transpose(-1, -2).contiguous().transpose(-1, -2)
    before = swapped.clone()
    assert torch.equal(A.A_adjoint(swapped), A.A_adjoint(y))
    assert torch.equal(swapped, before)  # nothing is scaled in place


@pytest.mark.parametrize("device", laws.DEVICES)
def test_on_every_device(device: str) -> None:
    A = Gradient((1, 8, 9))
    x = rand(1, 1, 8, 9)
    y = A.A(x.to(device))
    assert y.device.type == device
    assert torch.equal(y.cpu(), A.A(x))
    assert torch.equal(A.A_adjoint(y).cpu(), A.normal(x))


@pytest.mark.parametrize("spacing", [0.0, -1.0, math.nan, (1.0, math.inf), (1.0, 1.0, 1.0), "one"])
def test_bad_spacing_is_refused(spacing: float) -> None:
    with pytest.raises(OperatorError, match="spacing"):
        Gradient((1, 4, 4), spacing)
