"""The reversible unrolled network: without learned maps, exact gradients, flat memory."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from operators import Identity, LinearOperator, RayTransform, parallel_beam
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.invertible.reversible import exact_range, grid_of, rounded
from pnp_recon.networks.invertible.unrolled import ReversibleNetwork, unrolled_network
from support.unrolled import GREY, OPERATORS, SIDE, small, symmetric_operators, turning_error


def network(dtype: torch.dtype = torch.float64, size: float = 3.0, **changes: Any) -> Any:
    """Untrained; its learned maps are multiplied, zero or about as large as the picture."""
    torch.manual_seed(0)
    made = unrolled_network(small(**{"cell": "reversible", "depth": 4, **changes}))
    with torch.no_grad():
        for update in made.updates:
            for weights in update.layers[-1].parameters():
                weights.mul_(size)
    return made.to(dtype)


def data(A: LinearOperator, dtype: torch.dtype = torch.float64) -> Tensor:
    draws = torch.Generator().manual_seed(3)
    y = A.A(torch.rand(2, *A.image_shape, generator=draws, dtype=dtype))
    return y + 0.05 * torch.randn(y.shape, generator=draws, dtype=dtype)


def gradients(made: ReversibleNetwork, y: Tensor, A: LinearOperator) -> Tensor:
    made.zero_grad()
    made(y, A).square().mean().backward()
    # The velocity's memory after the last shear is read by nobody, but shares its filters.
    return torch.cat([p.grad.flatten() for p in made.parameters()])  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "mri"])
def test_gradients_are_those_of_stored_features_on_every_operator(name: str) -> None:
    A = OPERATORS[name](torch.float64)
    y, made = data(A), network()
    found = gradients(made, y, A)
    made.reversing = False
    assert torch.equal(found, gradients(made, y, A))
    assert float(found.norm()) > 0


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("group", ["C1", "C4"])
def test_float32_and_bfloat16_gradients(group: str, shared: bool) -> None:
    A = RayTransform(parallel_beam(7, SIDE), GREY)
    y, made = data(A, torch.float32), network(torch.float32, group=group, shared=shared, depth=12)
    for mixed in (False, True):
        found = []
        for made.reversing in (True, False):
            with torch.autocast("cpu", torch.bfloat16, mixed):
                found.append(gradients(made, y, A))
        assert torch.equal(*found)
    # The twin of the comparison: another step size has another gradient.
    with torch.no_grad():
        made.steps[0] += 1e-2
    assert not torch.equal(found[0], gradients(made, y, A))


def test_it_is_run_backwards_exactly() -> None:
    A = OPERATORS["rays"](torch.float64)
    for dtype in (torch.float32, torch.float64):
        y, made = data(A, dtype), network(dtype, depth=16)
        with torch.no_grad():
            first = tuple(rounded(part, grid_of(dtype)) for part in made.first(y, A))
            last = made.last_state(y, A)
            again = made.first_again(last, y, A)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert max(float(part.abs().max()) for part in last) < exact_range(
            dtype, grid_of(dtype) or 0
        )
        assert float((last[0] - first[0]).norm()) > 0.1


def test_the_gradient_is_the_derivative() -> None:
    """One weight, against a difference quotient; the grid of 2⁻⁴⁰ is far below the step."""
    A = OPERATORS["rays"](torch.float64)
    y, made = data(A), network()
    weights = made.updates[2].layers[1].parametrizations.weight.original
    made(y, A).square().sum().backward()
    values = []
    for shift in (1e-4, -1e-4):
        with torch.no_grad():
            weights[0, 0, 0] += shift
            values.append(float(made(y, A).square().sum()))
            weights[0, 0, 0] -= shift
    assert float(weights.grad[0, 0, 0]) == pytest.approx((values[0] - values[1]) / 2e-4, rel=1e-4)


def kept(made: ReversibleNetwork, y: Tensor, A: LinearOperator) -> int:
    """Numbers saved for the way back, the network's own weights aside."""
    own = {p.data_ptr() for p in [*made.parameters(), *made.buffers()]}
    saved: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        made(y, A)
    return sum(saved)


def test_memory_is_flat_in_depth() -> None:
    A = OPERATORS["rays"](torch.float64)
    y, found = data(A), {}
    for depth in (2, 16):
        made = network(depth=depth)
        for made.reversing, made.checkpointing in ((True, False), (False, True), (False, False)):
            found[depth, made.reversing, made.checkpointing] = kept(made, y, A)
    assert found[2, True, False] == found[16, True, False]
    # The twins: stored features, and checkpoints that keep the states, grow.
    assert found[16, False, False] > 7 * found[2, False, False]
    assert found[16, False, True] > 3 * found[2, False, True]
    assert found[16, True, False] < found[16, False, True] < found[16, False, False] / 5


def test_without_learned_maps_it_is_a_quarter_of_an_oscillation() -> None:
    """Where AᵀA is the identity, e_k = cos(hk·…)e_0 arrives at zero, and the faster the finer."""
    A, y = Identity(GREY), data(Identity(GREY))
    errors = []
    for depth in (8, 16, 32):
        made = network(size=0.0, depth=depth, start="zero", steps="fixed")
        with torch.no_grad():
            iterates = list(made.iterates(y, A))
        errors.append(float((iterates[-1] - y).norm() / y.norm()))
        half = float((iterates[depth // 2] - y).norm() / y.norm())
        assert half == pytest.approx(math.cos(math.pi / 4), abs=1.6 / depth)
    assert errors[0] < 0.2
    for coarse, fine in pairwise(errors):
        assert fine == pytest.approx(coarse / 2, rel=0.1), "symplectic Euler is of order 1"


def test_iterates_end_with_the_output() -> None:
    A = OPERATORS["rays"](torch.float64)
    y, made = data(A), network()
    with torch.no_grad():
        iterates = list(made.iterates(y, A))
        assert len(iterates) == 5
        assert torch.equal(iterates[0], rounded(A.initial_guess(y), grid_of(y.dtype)))
        assert torch.equal(iterates[-1], made(y, A))
    assert torch.equal(iterates[-1], made(y, A).detach())


@pytest.mark.parametrize("side", [8, 9])
def test_it_turns_along_where_the_operator_does(side: int) -> None:
    """Up to the grid of 2⁻⁴⁰, on which a sum may fall to either side."""
    A = symmetric_operators(side)["blur"]
    assert turning_error(network(depth=2), A) < 1e-9
    assert turning_error(network(depth=2, group="D4"), A, flip=True) < 1e-9
    assert turning_error(network(depth=2, group="C1"), A) > 1e-2
    assert network(depth=2).check_equivariance(sizes=((8, 8),)).worst < 1e-10


def test_without_gradients_of_the_network_nothing_is_kept() -> None:
    A = OPERATORS["blur"](torch.float64)
    made = network().requires_grad_(False)
    assert not made(data(A), A).requires_grad
    y = data(A).requires_grad_()
    made(y, A).sum().backward()
    assert y.grad is not None
    made.reversing = False
    other = y.detach().clone().requires_grad_()
    made(other, A).sum().backward()
    torch.testing.assert_close(y.grad, other.grad, rtol=0, atol=1e-12)


def test_the_cell_is_for_proximal_gradient() -> None:
    with pytest.raises(ValueError, match="is for the scheme 'proximal-gradient' alone"):
        small(cell="reversible", scheme="primal-dual")
    with pytest.raises(ValueError, match="known: plain, reversible"):
        small(cell="leapfrog")
    assert not isinstance(unrolled_network(UnrolledConfig(width=8)), ReversibleNetwork)
