"""Numbers reach the device without a wait, and with the same bits as by a copy."""

from __future__ import annotations

import pytest
import torch

from operators import Convolution, OperatorError, kernels
from operators.values import are_positive, values_like
from support.waits import waits

NUMBERS = (0.1, 1 / 3, 3, 1e-30, 7.5e-46, 1e300, [0.1, 0.7], torch.tensor([0.3, 0.2]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_numbers_have_the_bits_of_a_copy(number: object, dtype: torch.dtype) -> None:
    like = torch.ones(2, dtype=dtype)
    copied = torch.as_tensor(number, dtype=dtype).flatten()
    assert torch.equal(values_like(number, like), copied)
    # What is filled in on another device is this very number.
    assert torch.equal(torch.full((1,), float(copied[0]), dtype=dtype), copied[:1])


def test_a_number_is_filled_in_on_the_device() -> None:
    like = torch.empty(2, 3, device="meta")
    assert values_like(0.1, like).device == like.device
    assert values_like(0.1, like).shape == (1,)
    assert waits(lambda: values_like(0.1, like)) == []
    assert waits(lambda: are_positive(0.1, like)) == []


def test_a_wait_is_seen() -> None:
    like = torch.empty(2, 3, device="meta")
    assert waits(lambda: torch.as_tensor(0.1, dtype=like.dtype, device=like.device)) == [
        "as_tensor"
    ]
    assert waits(lambda: torch.tensor([0.1]).to(like)) == ["to"]
    assert waits(lambda: bool((like > 0).all())) == ["__bool__"]
    assert waits(lambda: values_like([0.1, 0.2], like)) == ["to"]


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-50])
def test_gamma_is_judged_in_the_dtype_of_the_image(gamma: float) -> None:
    A = Convolution(kernels.uniform(3), (1, 8, 8), "circular")
    z = torch.rand(1, 1, 8, 8)
    assert not are_positive(gamma, z)
    with pytest.raises(OperatorError, match="gamma"):
        A.prox_l2(z, A.A(z), gamma)
    assert are_positive(gamma, z.double()) is (gamma in (1e300, 1e-50))


def test_a_step_with_a_closed_form_does_not_wait() -> None:
    A = Convolution(kernels.uniform(3), (1, 8, 8), "circular").to("meta")
    z = torch.empty(2, 1, 8, 8, device="meta")
    assert waits(lambda: A.prox_l2(z, z, 0.5)) == []
    assert waits(lambda: A.prox_l2(z, z, torch.empty(2, device="meta"))) == ["__bool__"]
