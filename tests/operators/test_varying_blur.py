"""Blur that changes across the picture, and the kernels of a rotation, beyond the laws of all."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from laws.operators import random_field
from operators import BOUNDARIES, Boundary, Convolution, OperatorError, VaryingBlur, kernels
from operators.checks import LAWS, to_matrix
from operators.kernel_fields import rotation, rotation_grid
from operators.windows import hats, require_partition

F64 = torch.float64


def rand(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def by_definition(A: VaryingBlur, x: Tensor) -> Tensor:
    """Whole convolutions, each under its window."""
    total = torch.zeros(len(x), *A.measurement_shape, dtype=x.dtype)
    for i, row in enumerate(A.row_windows):
        for j, column in enumerate(A.column_windows):
            blur = Convolution(A.kernels[i, j], A.image_shape, A.boundary, center=A.center)
            total += row[:, None] * column * blur.A(x)
    return total


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [(3, 3), (5, 7)])
def test_pieces_are_whole_convolutions_under_windows(
    boundary: Boundary, size: tuple[int, int]
) -> None:
    A = VaryingBlur(random_field((3, 4), size), (2, 17, 19), boundary)
    x = rand(2, 2, 17, 19)
    torch.testing.assert_close(A.A(x), by_definition(A, x), rtol=0, atol=1e-13)
    one = VaryingBlur(random_field((1, 1), size).expand(3, 4, *size), (2, 17, 19), boundary)
    plain = Convolution(one.kernels[0, 0], (2, 17, 19), boundary)
    torch.testing.assert_close(one.A(x), plain.A(x), rtol=0, atol=1e-13)
    torch.testing.assert_close(one.mean_kernel(), plain.kernel, rtol=0, atol=1e-15)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_bound_is_not_above_that_of_schur_and_a_colour_stays(boundary: Boundary) -> None:
    A = VaryingBlur(random_field((3, 3), (5, 5)), (1, 14, 15), boundary)
    matrix = to_matrix(A)
    rows, columns = matrix.sum(1), matrix.sum(0)
    assert A.norm_bound <= math.sqrt(float(rows.max() * columns.max())) * (1 + 1e-12)
    largest = float(torch.linalg.matrix_norm(matrix, 2))
    assert A.norm_certificate.lower <= largest <= A.norm_bound <= 1.01 * largest
    if boundary != "constant":
        torch.testing.assert_close(rows, torch.ones_like(rows), rtol=0, atol=1e-12)


def test_a_field_is_kept_whole_and_a_changed_one_is_another() -> None:
    A = VaryingBlur(random_field((2, 2), (3, 3)), (1, 9, 9), "replicate")
    B = VaryingBlur(random_field((2, 2), (3, 3), seed=5), (1, 9, 9), "replicate")
    x, before = rand(1, 1, 9, 9), B.norm_bound
    assert A.fingerprint() != B.fingerprint()
    assert not torch.allclose(A.A(x), B.A(x))
    B.load_state_dict(A.state_dict())
    torch.testing.assert_close(A.A(x), B.A(x), rtol=0, atol=0)
    assert A.fingerprint() == B.fingerprint()
    assert B.norm_bound == A.norm_bound != before
    with torch.no_grad():
        B.kernels[0, 0, 0, 0] = -1
    assert not B.has_norm_bound
    with pytest.raises(OperatorError, match=r"no proven bound|non-negative"):
        _ = B.norm_bound


# ---- what is no blur, and twins that are caught -------------------------------------------------


class WindowsLast(VaryingBlur):
    """A transpose that weighs where it arrives, and not where it starts."""

    def _transpose_map(self, y: Tensor) -> Tensor:
        total = torch.zeros(len(y), *self.image_shape, dtype=y.dtype)
        for i, row in enumerate(self.row_windows):
            for j, column in enumerate(self.column_windows):
                blur = Convolution(self.kernels[i, j], self.image_shape, self.boundary)
                total += row.to(y)[:, None] * column.to(y) * blur.A_adjoint(y)
        return total


class LostPiece(VaryingBlur):
    def _transpose_map(self, y: Tensor) -> Tensor:
        y = y.clone()
        y[..., -1, -1] = 0
        return super()._transpose_map(y)


@pytest.mark.parametrize("law", ["adjoint-float32", "adjoint-float64"])
@pytest.mark.parametrize("twin", [WindowsLast, LostPiece])
def test_a_wrong_transpose_is_caught(twin: type[VaryingBlur], law: str) -> None:
    field = random_field((3, 3), (3, 3))
    assert LAWS[law].check(VaryingBlur(field, (1, 9, 9)), 0)
    with pytest.raises(OperatorError, match="not the transpose"):
        LAWS[law].check(twin(field, (1, 9, 9)), 0)


def squared(count: int, length: int) -> tuple[Tensor, Tensor]:
    """Windows that are smooth and add up to less than one between the middles."""
    return hats(count, length) ** 2, hats(count, length)


def test_windows_have_to_add_up_to_one() -> None:
    for count, length in ((1, 1), (1, 7), (3, 3), (4, 11), (5, 64)):
        require_partition(hats(count, length), count, length)
    smooth = torch.sin(math.pi / 2 * hats(3, 9)) ** 2
    assert VaryingBlur(random_field((3, 3), (3, 3)), (1, 9, 9), windows=(smooth, smooth))
    with pytest.raises(OperatorError, match=r"add up to one up to 0\.44"):
        VaryingBlur(random_field((3, 3), (3, 3)), (1, 9, 9), windows=squared(3, 9))
    signed = torch.tensor([[1.5, 1.0], [-0.5, 0.0]])
    with pytest.raises(OperatorError, match="negative"):
        require_partition(signed, 2, 2)
    with pytest.raises(OperatorError, match=r"shape \(3, 9\)"):
        VaryingBlur(random_field((3, 3), (3, 3)), (1, 9, 9), "valid", windows=squared(3, 9))
    with pytest.raises(OperatorError, match="10 kernels"):
        hats(10, 9)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (torch.ones(3, 3), r"\(gh, gw, kh, kw\)"),
        (torch.ones(2, 2, 3, 4), "no middle"),
        (torch.ones(2, 2, 11, 3), "larger than the image"),
        (torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1), "zero everywhere"),
        (torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1), "negative weights"),
        (torch.tensor([1.0, math.nan]).reshape(1, 2, 1, 1), "not finite"),
    ],
)
def test_what_is_no_field_is_refused(field: Tensor, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        VaryingBlur(field, (1, 9, 9))


# ---- rotation ----------------------------------------------------------------------------------


def turned(x: Tensor, angle: float, centre: tuple[float, float], margin: int) -> Tensor:
    """The mean of many rotations about (x, y) of the part of x within a margin."""
    side, steps, total = x.shape[-1] - 2 * margin, 200, torch.zeros(())
    offsets = torch.arange(side, dtype=F64)
    down, across = torch.meshgrid(offsets - centre[1], offsets - centre[0], indexing="ij")
    for step in range(steps):
        t = math.radians(angle) * ((step + 0.5) / steps - 0.5)
        column = math.cos(t) * across - math.sin(t) * down + centre[0] + margin
        row = math.sin(t) * across + math.cos(t) * down + centre[1] + margin
        place = 2 * torch.stack([column, row], -1)[None] / (x.shape[-1] - 1) - 1
        seen = functional.grid_sample(x, place, mode="bicubic", align_corners=True)
        total = total + seen / steps
    return total


@pytest.mark.parametrize("centre", [(15.5, 15.5), (-20.0, 12.0)])
def test_kernels_of_a_rotation_are_those_of_a_rotation(centre: tuple[float, float]) -> None:
    angle, side = 40.0, 32
    field = rotation(angle, side, side, centre, dtype=F64)
    margin = field.shape[-1] // 2
    x = functional.interpolate(rand(1, 1, 12, 12), side + 2 * margin, mode="bicubic")
    truth = turned(x, angle, centre, margin)

    def error(kernels: Tensor) -> float:
        return float((VaryingBlur(kernels, x.shape[1:], "valid").A(x) - truth).norm())

    straight = float((x[..., margin:-margin, margin:-margin] - truth).norm())
    assert error(field) < 0.1 * straight
    for twin in (field.flip(-2, -1), field.flip(0, 1), field.transpose(0, 1)):
        assert error(twin) > 2 * error(field)  # bent the other way; the cells in another order


def test_far_from_the_centre_a_rotation_is_a_straight_motion() -> None:
    field = rotation(0.5, 1, 1, (-1000.0, 0.0), (1, 1), dtype=F64)
    motion = kernels.linear_motion(1000 * math.radians(0.5), 90, field.shape[-1], dtype=F64)
    assert float((field[0, 0] - motion).abs().max()) < 2e-3
    near = rotation(5, 101, 101, grid=(3, 3), dtype=F64)
    assert near[1, 1, near.shape[-2] // 2, near.shape[-1] // 2] == 1
    torch.testing.assert_close(near, rotation(-5, 101, 101, grid=(3, 3), dtype=F64))
    torch.testing.assert_close(near.sum((-2, -1)), torch.ones(3, 3, dtype=F64))
    assert rotation_grid(5, 100, 2000) == (9, 24)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angle": 0.0}, "rotation by 0"),
        ({"angle": math.nan}, "rotation by nan"),
        ({"angle": 91.0}, "rotation by 91"),
        ({"angle": 5.0, "centre": (math.inf, 0.0)}, "centre"),
        ({"angle": 5.0, "size": 3}, "kernel size 3"),
    ],
)
def test_what_is_no_rotation_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        rotation(height=100, width=120, **arguments)
