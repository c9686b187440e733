"""One operator per channel, beyond the laws that every operator obeys."""

from __future__ import annotations

import pytest
import torch

from laws.operators import random_kernel, random_mask
from operators import Channelwise, Convolution, Gradient, Identity, Inpainting, OperatorError

F64 = torch.float64


def rand(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("boundary", ["circular", "valid", "reflect"])
def test_equal_channels_are_one_convolution(boundary: str) -> None:
    kernel = random_kernel((3, 5), dtype=F64)
    whole = Convolution(kernel, (3, 9, 8), boundary)
    A = Channelwise([Convolution(kernel, (1, 9, 8), boundary) for _ in range(3)])
    assert (A.image_shape, A.measurement_shape) == (whole.image_shape, whole.measurement_shape)
    x, y = rand(2, *whole.image_shape), rand(2, *whole.measurement_shape, seed=2)
    torch.testing.assert_close(A.A(x), whole.A(x))
    torch.testing.assert_close(A.A_adjoint(y), whole.A_adjoint(y))
    torch.testing.assert_close(A.initial_guess(y), whole.initial_guess(y))
    options = {"tol": 1e-11}
    torch.testing.assert_close(
        A.prox_l2(x, y, 3.0, **options), whole.prox_l2(x, y, 3.0, **options), rtol=0, atol=1e-9
    )
    assert A.prox_closed_form == whole.prox_closed_form
    assert A.norm_bound == pytest.approx(whole.norm_bound, rel=1e-3)


def test_the_norm_is_that_of_the_largest_channel() -> None:
    parts = [Identity((1, 4, 5)), Convolution(3 * torch.ones(1, 1), (1, 4, 5))]
    A = Channelwise(parts)
    assert A.norm_bound == pytest.approx(3)
    assert A.gram_lower_bound == pytest.approx(1)
    assert Channelwise([Inpainting(random_mask((4, 5))), parts[0]]).gram_lower_bound == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "no operators"),
        ([Identity((1, 4, 5)), Identity((1, 4, 6))], "image_shape"),
        ([Identity((3, 4, 5))], "one channel each"),
        ([Gradient((1, 4, 5))], "one channel each"),
    ],
)
def test_what_is_no_channel_is_refused(parts: list, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        Channelwise(parts)
