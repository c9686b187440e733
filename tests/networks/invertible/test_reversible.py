"""Back-propagation by running backwards: the gradients of stored features, in flat memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.networks.invertible.reversible import (
    Shear,
    State,
    _compare,
    exact_range,
    grid_of,
    reversible,
    rounded,
    stored,
    undone,
)

Run = Callable[..., State]


def shear(moves: int, layer: nn.Module, expansion: float = 1.0) -> Shear:
    def change(other: Tensor, context: Tensor) -> Tensor:
        return expansion * torch.tanh(layer(other)) + 0.1 * context * other

    return Shear(moves, change, tuple(layer.parameters()))


def symplectic(moves: int, layer: nn.Linear) -> Shear:
    """q ← q + Aᵀσ(Ap + a), or p ← p − Aᵀσ(Aq + a)."""

    def change(other: Tensor, context: Tensor) -> Tensor:
        sign = 1 - 2 * moves
        return sign * torch.sigmoid(layer(other)) @ layer.weight

    return Shear(moves, change, tuple(layer.parameters()))


def network(
    depth: int, make: Callable[..., Shear] = shear, dtype: torch.dtype = torch.float64
) -> list[Shear]:
    torch.manual_seed(0)
    return [make(k % 2, nn.Linear(6, 6).to(dtype)) for k in range(depth)]


def inputs(dtype: torch.dtype = torch.float64) -> tuple[State, State]:
    draws = torch.Generator().manual_seed(1)
    first, second, context = torch.randn(3, 4, 6, generator=draws, dtype=torch.float64).to(dtype)
    return (first.requires_grad_(), second.requires_grad_()), (context.requires_grad_(),)


def gradients(run: Run, shears: Sequence[Shear], dtype: torch.dtype, grid: float | None) -> Tensor:
    """Of everything: both parts, the context, all parameters."""
    state, context = inputs(dtype)
    a, b = run(shears, state, context, grid)
    loss = (a.float() * b.float().sin()).sum() + a.float().square().sum()
    parameters = [p for s in shears for p in s.parameters]
    wanted = [*state, *context, *dict.fromkeys(parameters)]
    found = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    return torch.cat([slope.flatten().double() for slope in found])


def error(shears: Sequence[Shear], dtype: torch.dtype, grid: float | None) -> float:
    one, other = (gradients(run, shears, dtype, grid) for run in (reversible, stored))
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("make", [shear, symplectic])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_grid_gradients_are_those_of_stored_features(
    make: Callable[..., Shear], dtype: torch.dtype
) -> None:
    shears = network(12, make, dtype)
    one, other = (gradients(run, shears, dtype, grid_of(dtype)) for run in (reversible, stored))
    assert torch.equal(one, other)
    # The twin: a shear that is not undone as it was done.
    wrong = [*shears]
    calls: list[int] = []

    def forgetful(part: Tensor, context: Tensor) -> Tensor:
        calls.append(0)
        return shears[5].change(part, context) * (1 + 1e-3 * len(calls))

    wrong[5] = Shear(1, forgetful, shears[5].parameters)
    with pytest.warns(RuntimeWarning, match="not run backwards exactly"):
        assert error(wrong, dtype, grid_of(dtype)) > 1e-6


def test_a_part_that_is_no_number_is_noticed_wherever_it_stands() -> None:
    whole = (torch.zeros(3), torch.zeros(3))
    spoiled = (torch.zeros(3), torch.tensor([0.0, torch.nan, 0.0]))
    for found in (spoiled, spoiled[::-1]):
        with pytest.warns(RuntimeWarning, match="error nan"):
            _compare(found, whole, 2.0**-16)
    with warnings.catch_warnings():  # the twin
        warnings.simplefilter("error")
        _compare(whole, whole, 2.0**-16)


def test_a_state_beyond_the_exact_range_is_noticed() -> None:
    def far(moves: int, layer: nn.Linear) -> Shear:
        return shear(moves, layer, expansion=9000.3)

    with pytest.warns(RuntimeWarning, match="left the range of ±256"):
        gradients(reversible, network(4, far, torch.float32), torch.float32, 2.0**-16)


# Without a grid: relative errors of gradients after 12 shears, measured 3e-16, 2e-7 and 1e-2.
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-14), (torch.float32, 1e-5), (torch.bfloat16, 5e-2)]
)
def test_without_a_grid_they_agree_up_to_rounding(dtype: torch.dtype, bound: float) -> None:
    assert error(network(12, dtype=dtype), dtype, None) < bound


def test_rounding_errors_grow_where_the_way_back_expands() -> None:
    """And on the grid they do not: nothing is lost."""

    def growing(moves: int, layer: nn.Linear) -> Shear:
        return shear(moves, layer, expansion=8.0)

    shears = network(24, growing, torch.float32)
    state, context = inputs(torch.float32)
    start = tuple(rounded(part.detach(), grid_of(torch.float32)) for part in state)
    gaps = {}
    for grid in (None, grid_of(torch.float32)):
        with torch.no_grad():
            back = undone(shears, stored(shears, start, context, grid), context, grid)
        gaps[grid] = max(float((p - q).abs().max()) for p, q in zip(start, back, strict=True))
    assert gaps[None] > 1e-4
    assert gaps[grid_of(torch.float32)] == 0


def test_sums_are_exact_in_the_range_and_not_beyond() -> None:
    grid = 2.0**-16
    limit = exact_range(torch.float32, grid)
    assert limit == 256
    draws = torch.Generator().manual_seed(0)
    x, f = (rounded(80 * torch.randn(2, 9999, generator=draws), grid)).clamp(-127, 127)
    assert torch.equal((x + f) - f, x)
    assert not torch.equal(((x + 9000) + f) - f, x + 9000)


def kept(run: Run, depth: int) -> int:
    """Numbers that the way back will read, parameters aside."""
    shears, (state, context) = network(depth), inputs()
    own = {p.data_ptr() for s in shears for p in s.parameters}
    saved: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run(shears, state, context)
    return sum(saved)


def test_memory_is_flat_in_depth() -> None:
    assert kept(reversible, 64) == kept(reversible, 8)
    assert kept(stored, 64) > 7 * kept(stored, 8), "the twin keeps everything"


def test_shared_parameters_and_parts_that_rest() -> None:
    layer = nn.Linear(6, 6).double()
    shears = [shear(1, layer) for _ in range(3)]
    one, other = (
        gradients(run, shears, torch.float64, grid_of(torch.float64))
        for run in (reversible, stored)
    )
    assert torch.equal(one, other)
    state, context = inputs()
    resting = reversible(shears, state, context)[0]
    assert torch.equal(resting, state[0])
    assert resting.data_ptr() != state[0].data_ptr()


def test_nothing_is_differentiated_that_needs_no_gradient() -> None:
    shears, ((a, b), (context,)) = network(3), inputs()
    found = reversible(shears, (a.detach(), b), (context.detach(),))[1].sum()
    found.backward()
    assert b.grad is not None
    assert context.grad is None


def test_what_changed_since_is_noticed() -> None:
    shears, (state, context) = network(3), inputs()
    total = reversible(shears, state, context)[0].sum()
    with torch.no_grad():
        shears[0].parameters[0].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_second_derivatives_are_refused() -> None:
    state, context = inputs()
    total = reversible(network(3), state, context)[0].square().sum()
    (slope,) = torch.autograd.grad(total, [state[0]], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_autocast_is_repeated_on_the_way_back() -> None:
    """Also where gradients are asked for inside it, whose cache holds casts without gradients."""
    shears = network(8, dtype=torch.float32)
    found = []
    for run in (reversible, stored):
        with torch.autocast("cpu", torch.bfloat16):
            found.append(gradients(run, shears, torch.float32, grid_of(torch.float32)))
    assert float((found[0] - found[1]).norm() / found[1].norm()) < 1e-2
    plain = gradients(stored, shears, torch.float32, grid_of(torch.float32))
    assert float((found[0] - plain).norm() / plain.norm()) > 1e-5
