"""Laws of the blur kernels: sums, symmetry, moments, convention of the angle."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from operators import kernel_fields
from operators.errors import OperatorError
from operators.kernels import (
    KERNELS,
    disk,
    gaussian,
    linear_motion,
    trajectory,
    uniform,
    validate,
)

ARGUMENTS: dict[str, list[tuple[float, ...]]] = {
    "motion": [(1, 0), (1.5, 20), (9, 0), (15, 30), (25.3, 117.5), (7, -45), (12, 90), (40, 261)],
    "trajectory": [(3, 0), (15, 1), (25, 2), (41, 3)],
    "gaussian": [(0.2,), (1.0,), (2.7,)],
    "disk": [(0.3,), (1.0,), (4.6,)],
    "uniform": [(1,), (5,)],
}
CASES = [(name, values) for name, cases in ARGUMENTS.items() for values in cases]


def axes(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """x to the right and y up, from the centre pixel."""
    height, width = kernel.shape
    x = torch.arange(width, dtype=torch.float64) - width // 2
    y = height // 2 - torch.arange(height, dtype=torch.float64)
    return x[None, :].expand(height, width), y[:, None].expand(height, width)


def moment_errors(kernel: Tensor, length: float, angle: float) -> tuple[float, float]:
    """How far the second moments leave what `linear_motion` proves: (variance, covariance)."""
    x, y = axes(kernel)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = float((kernel * (x * cos + y * sin) ** 2).sum())
    low, high = (length**2 - 1) / 12, (length**2 + 2) / 12
    covariance = float((kernel * x * y).sum())
    return max(low - along, along - high, 0.0), abs(covariance - low * cos * sin)


def test_every_registered_kernel_is_covered() -> None:
    assert set(ARGUMENTS) == set(KERNELS)


@pytest.mark.parametrize(("name", "values"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_kernel_is_odd_nonnegative_and_sums_to_one(
    name: str, values: tuple[float, ...], dtype: torch.dtype
) -> None:
    kernel = KERNELS[name](*values, dtype=dtype)
    assert kernel.dtype == dtype
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert float(kernel.min()) >= 0
    assert float(kernel.double().sum()) == pytest.approx(
        1, abs=1e-6 if dtype.itemsize == 4 else 1e-14
    )
    assert torch.allclose(validate(kernel), kernel, atol=1e-7)


@pytest.mark.parametrize(("name", "values"), CASES)
def test_the_centre_of_mass_is_the_centre_pixel(name: str, values: tuple[float, ...]) -> None:
    kernel = KERNELS[name](*values, dtype=torch.float64)
    x, y = axes(kernel)
    assert abs(float((kernel * x).sum())) < 1e-12
    assert abs(float((kernel * y).sum())) < 1e-12
    if name != "trajectory":
        assert torch.allclose(kernel, kernel.flip(0, 1), rtol=0, atol=1e-15)


def test_motion_has_the_moments_of_its_length_and_angle() -> None:
    draw = random.Random(0)
    for _ in range(300):
        length, angle = draw.uniform(1, 40), draw.uniform(-360, 360)
        kernel = linear_motion(length, angle, dtype=torch.float64)
        variance, covariance = moment_errors(kernel, length, angle)
        assert variance < 1e-10
        assert covariance < 1e-10


def test_the_moment_law_notices_a_flipped_angle_and_a_wrong_length() -> None:
    clockwise = linear_motion(15, -30, dtype=torch.float64)
    assert moment_errors(clockwise, 15, 30)[1] > 1
    shorter = linear_motion(14.5, 30, dtype=torch.float64)
    assert moment_errors(shorter, 15, 30)[0] > 0.5


def test_motion_at_45_degrees_rises_to_the_right() -> None:
    kernel = linear_motion(9, 45)
    assert float(kernel[0, -1] + kernel[1, -2]) > 0
    assert float(kernel[0, 0] + kernel[1, 1]) == 0


@pytest.mark.parametrize("angle", [0, 17, 45, 90, 133.3])
def test_motion_of_length_one_is_the_identity(angle: float) -> None:
    assert torch.equal(linear_motion(1, angle), torch.ones(1, 1))
    assert float(linear_motion(1, angle, size=5)[2, 2]) == 1


def test_motion_is_continuous_and_turns_by_quarter_and_half_turns() -> None:
    for length, angle in [(9.0, 0.0), (14.2, 45.0), (21.0, 72.0)]:
        here = linear_motion(length, angle, 31, dtype=torch.float64)
        near = linear_motion(length + 1e-7, angle - 1e-7, 31, dtype=torch.float64)
        assert float((here - near).abs().max()) < 1e-6
        half_turn = linear_motion(length, angle + 180, 31, dtype=torch.float64)
        quarter_turn = linear_motion(length, angle + 90, 31, dtype=torch.float64)
        assert torch.allclose(half_turn, here, atol=1e-12)
        assert torch.allclose(quarter_turn, torch.rot90(here), atol=1e-12)


def test_a_longer_motion_holds_a_shorter_one() -> None:
    for angle in (0, 33, 90, 101):
        inner = linear_motion(9, angle, 31, dtype=torch.float64) * math.sqrt(9**2 - 1)
        outer = linear_motion(17, angle, 31, dtype=torch.float64) * math.sqrt(17**2 - 1)
        assert bool((outer >= inner - 1e-12).all())


def test_a_size_holds_the_motion_or_is_refused() -> None:
    assert linear_motion(9, 20, size=21).shape == (21, 21)
    assert torch.equal(linear_motion(9, 20, size=21)[5:16, 5:16], linear_motion(9, 20, size=11))
    with pytest.raises(OperatorError, match="cuts a motion of 9 pixels"):
        linear_motion(9, 0, size=7)


def test_the_trajectory_follows_its_seed_and_keeps_inside() -> None:
    again = trajectory(25, torch.Generator().manual_seed(7))
    assert torch.equal(trajectory(25, 7), again)
    assert not torch.equal(trajectory(25, 8), again)
    tight = trajectory(25, 7, extent=0.5)
    assert float(tight[:5].sum() + tight[-5:].sum()) == 0
    assert int((trajectory(25, 7) > 0).sum()) > 25


def test_more_inertia_straightens_the_trajectory() -> None:
    def narrowness(inertia: float) -> float:
        ratios = []
        for seed in range(10):
            kernel = trajectory(41, seed, inertia=inertia, dtype=torch.float64)
            x, y = axes(kernel)
            xx, yy, xy = ((kernel * m).sum() for m in (x * x, y * y, x * y))
            spread = torch.linalg.eigvalsh(torch.stack([xx, xy, xy, yy]).reshape(2, 2))
            ratios.append(float(spread[0] / spread[1]))
        return sorted(ratios)[5]

    assert narrowness(20.0) < narrowness(0.1) / 2


def test_gaussian_disk_and_uniform_have_their_moments() -> None:
    kernel = gaussian(2.0, dtype=torch.float64)
    x, y = axes(kernel)
    assert float((kernel * x * x).sum()) == pytest.approx(4, rel=2e-3)
    kernel = disk(5.3, dtype=torch.float64)
    x, y = axes(kernel)
    # A disc has r²/4 along each axis; the pixel squares add 1/12.
    assert float((kernel * y * y).sum()) == pytest.approx(5.3**2 / 4 + 1 / 12, abs=0.02)
    assert float(kernel[6, 6]) == pytest.approx(1 / (math.pi * 5.3**2), rel=1e-3)
    assert torch.equal(disk(0.5), torch.ones(1, 1))
    assert torch.allclose(uniform(3), torch.full((3, 3), 1 / 9))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear_motion(0.5, 0), "motion length"),
        (lambda: linear_motion(math.nan, 0), "motion length"),
        (lambda: linear_motion(9, math.inf), "motion angle"),
        (lambda: linear_motion(9, 0, size=10), "odd"),
        (lambda: trajectory(2), "trajectory size"),
        (lambda: trajectory(8), "odd"),
        (lambda: trajectory(9, extent=1.5), "extent"),
        (lambda: trajectory(9, inertia=0), "inertia"),
        (lambda: gaussian(0), "Gaussian std"),
        (lambda: disk(-1), "radius"),
        (lambda: uniform(4), "odd"),
        (lambda: uniform(0), "odd"),
    ],
)
def test_parameters_out_of_range_are_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(OperatorError, match=message):
        call()


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (torch.tensor([[1.0, -0.1, 0.2]]), "negative"),
        (torch.zeros(3, 3), "all zero"),
        (torch.tensor([[1.0, math.nan, 1.0]]), "NaN"),
        (torch.tensor([[1.0, math.inf, 1.0]]), "infinite"),
        (torch.ones(4, 3), "no centre"),
        (torch.ones(1, 3, 3), "3 dimensions"),
        (torch.ones(3), "1 dimensions"),
        (torch.ones(0, 3), "empty"),
        (torch.ones(3, 3, dtype=torch.complex64), "complex"),
        (torch.ones(11, 3), "larger than the picture"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel: Tensor, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        validate(kernel, (1, 3, 9, 9))


def test_validate_normalises_without_overflow() -> None:
    assert torch.allclose(validate(torch.full((3, 3), 3e38)), torch.full((3, 3), 1 / 9))
    integers = validate(torch.tensor([[0, 255, 255]], dtype=torch.uint8), (3, 3))
    assert torch.equal(integers, torch.tensor([[0.0, 0.5, 0.5]]))
    assert validate(torch.ones(3, 3), (3, 3)).shape == (3, 3)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda n=n: disk(n) for n in (1e5, 1e9, 1e200, math.inf)),
        *(lambda n=n: linear_motion(n, 20.0) for n in (1e5, 1e9, 1e200)),
        *(lambda n=n: gaussian(n) for n in (1e3, 1e9, 1e308)),
        lambda: uniform(10**9 + 1),
        lambda: trajectory(10**9 + 1),
        lambda: gaussian(2.0, 10**9 + 1),
        lambda: kernel_fields.rotation(2.0, 30, 40, (1e9, 0.0)),
        lambda: kernel_fields.rotation(60.0, 1500, 1500),
    ],
)
def test_a_kernel_that_no_memory_holds_is_refused_before_it_is_made(
    make: Callable[[], Tensor],
) -> None:
    with pytest.raises(OperatorError, match=r"; expected .*"):
        make()


def test_a_wide_disc_is_the_area_that_it_covers() -> None:
    kernel = disk(300.0, dtype=torch.float64)
    assert kernel.shape == (601, 601)
    inside = 1 / (math.pi * 300.0**2)
    assert float(kernel[300, 300]) == pytest.approx(inside, rel=1e-6)
    assert float(kernel[0, 0]) == 0.0
