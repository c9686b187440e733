"""Unrolled networks: what they are without updates, on every operator, and when they turn along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from operators import Identity, Inpainting, LinearOperator, RayTransform, parallel_beam
from pnp_recon import Stopping, reconstruct
from pnp_recon.errors import InputError
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.unrolled import UnrolledNetwork
from support.unrolled import (
    GREY,
    OPERATORS,
    half_mask,
    random_network,
    small,
    symmetric_operators,
    turning_error,
)


def silent(network: UnrolledNetwork) -> UnrolledNetwork:
    """With updates that are zero."""
    with torch.no_grad():
        for update in network.updates:
            for weights in update.layers[-1].parameters():
                weights.zero_()
    return network


def data(A: LinearOperator, count: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(count, *A.image_shape, generator=generator, dtype=dtype)
    y = A.A(x)
    return y + 0.05 * torch.randn(y.shape, generator=generator, dtype=dtype)


# ---- without updates --------------------------------------------------------------------------


def descent(A: LinearOperator, y: Tensor, x: Tensor, steps: int, size: float = 1.0) -> Tensor:
    for _ in range(steps):
        x = x - size * (A.A_adjoint(A.A(x) - y) / A.norm_bound**2)
    return x


@pytest.mark.parametrize("name", ["blur", "inpainting", "rays"])
@pytest.mark.parametrize(("group", "start"), [("C1", "zero"), ("C4", "guess"), ("C4", "zero")])
def test_without_updates_it_is_gradient_descent(name: str, group: str, start: str) -> None:
    A = OPERATORS[name](torch.float64)
    y = data(A)
    x = A.initial_guess(y) if start == "guess" else torch.zeros(2, *GREY, dtype=y.dtype)
    network = random_network(small(group=group, depth=5, steps="fixed", start=start))
    with torch.no_grad():
        # The twins: with updates, and with another step, it is something else.
        assert float((network(y, A) - descent(A, y, x, 5)).norm()) > 1e-2
        found = silent(network)(y, A)
        assert torch.equal(found, descent(A, y, x, 5))
        if start == "zero":
            assert float((found - descent(A, y, x, 5, 0.9)).norm()) > 1e-6
    step = 1 / A.norm_bound**2
    few = Stopping(tol=1e-300, max_iter=5)
    plain = reconstruct(y, A, solver="landweber", step=step, start=x, stopping=few)
    assert plain.certificate.holds
    torch.testing.assert_close(found, plain.image, rtol=0, atol=1e-12)


def test_learned_steps_scale_the_gradient() -> None:
    A = OPERATORS["blur"](torch.float64)
    y = data(A)
    network = silent(random_network(small(depth=1)))
    with torch.no_grad():
        network.steps.fill_(0.3)
        torch.testing.assert_close(
            network(y, A), descent(A, y, A.initial_guess(y), 1, 0.3), rtol=0, atol=1e-15
        )


# ---- every operator ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["proximal-gradient", "primal-dual"])
@pytest.mark.parametrize("name", OPERATORS)
def test_it_runs_on_every_operator_and_gradients_flow(name: str, scheme: str) -> None:
    dtype = torch.float32 if name == "mri" else torch.float64
    A = OPERATORS[name](dtype)
    network = random_network(small(scheme=scheme, channels=A.image_shape[0]), dtype)
    found = network(data(A, dtype=dtype), A)
    assert found.shape == (2, *A.image_shape)
    found.square().mean().backward()
    for key, weights in network.named_parameters():
        assert weights.grad is not None, key
        assert bool(torch.isfinite(weights.grad).all()), key
        # The memory that the last iteration writes is never read, but its filters are in one
        # tensor with those of the picture.
        assert float(weights.grad.norm()) > 0, key


@pytest.mark.parametrize("name", ["rays", "fan"])
def test_filtered_gradients(name: str) -> None:
    A = OPERATORS[name](torch.float64)
    network = random_network(small(gradient="filtered"))
    network(data(A), A).sum().backward()
    assert float(network.updates[0].layers[0].parametrizations.weight.original.grad.norm()) > 0
    blur = OPERATORS["blur"](torch.float64)
    y = data(blur)
    with pytest.raises(InputError, match="no filtered adjoint"):
        network(y, blur)


def test_the_gradient_is_the_derivative() -> None:
    """One weight, against a difference quotient."""
    A = OPERATORS["rays"](torch.float64)
    y, network = data(A, 1), random_network()
    weights = network.updates[1].layers[1].parametrizations.weight.original
    network(y, A).square().sum().backward()
    values = []
    for shift in (1e-5, -1e-5):
        with torch.no_grad():
            weights[0, 0, 0] += shift
            values.append(float(network(y, A).square().sum()))
            weights[0, 0, 0] -= shift
    assert float(weights.grad[0, 0, 0]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    A = OPERATORS["blur"](torch.float64)
    y = data(A)
    network = random_network(small(start="zero"))
    with pytest.raises(InputError, match=r"shape \(2, 1, 1, 12\); .* gives \(B, 1, 12, 12\)"):
        network(y[:, :, :1], A)  # it would be broadcast
    with pytest.raises(InputError, match="3 channels"):
        random_network(small(channels=3))(y, A)
    volume = RayTransform(replace(parallel_beam(4, 12), kind="parallel_3d"), (2, 12, 12))
    stack = data(volume)
    random_network(small(channels=2))(stack, volume)
    network = random_network(small(channels=2, scheme="primal-dual"))
    network(stack, volume)


def test_iterates_end_with_the_output() -> None:
    A = OPERATORS["rays"](torch.float64)
    y, network = data(A), random_network()
    with torch.no_grad():
        iterates = list(network.iterates(y, A))
        assert len(iterates) == 4
        assert torch.equal(iterates[0], A.initial_guess(y))
        assert torch.equal(iterates[-1], network(y, A))


# ---- memory and parameters --------------------------------------------------------------------


def gradients_and_saved(network: UnrolledNetwork, y: Tensor, A: LinearOperator) -> tuple:
    saved: list[int] = []

    def pack(t: Tensor) -> Tensor:
        saved.append(t.numel())
        return t

    network.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = network(y, A).square().mean()
    kept = sum(saved)
    loss.backward()
    return [p.grad.clone() for p in network.parameters()], kept


@pytest.mark.parametrize("scheme", ["proximal-gradient", "primal-dual"])
@pytest.mark.parametrize("shared", [False, True])
def test_checkpointing_gives_the_same_gradients_and_keeps_less(scheme: str, shared: bool) -> None:
    A = OPERATORS["rays"](torch.float64)
    y = data(A)
    network = random_network(small(scheme=scheme, shared=shared, depth=4))
    plain, kept = gradients_and_saved(network, y, A)
    network.checkpointing = True
    again, kept_less = gradients_and_saved(network, y, A)
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    assert kept_less < kept / 5
    # The twin: with checkpointing switched off all of it is kept again.
    network.checkpointing = False
    assert gradients_and_saved(network, y, A)[1] == kept


def count(config: UnrolledConfig) -> int:
    network = UnrolledNetwork(config)
    return sum(p.numel() for p in network.parameters()) - config.depth


def test_parameter_counts() -> None:
    """Celledoni et al. 2021 count 754 992 for the ordinary network, with output biases (6 · 8)."""
    ordinary = UnrolledConfig(group="C1", width=96, depth=8, memory=5)
    assert count(ordinary) == 754_944 == 8 * 94_368 == 754_992 - 6 * 8
    assert count(replace(ordinary, group="C4")) == 754_944 // 4
    assert count(replace(ordinary, group="D4", shared=True)) == 94_368 // 8
    assert count(replace(ordinary, shared=True)) == 94_368


# ---- equivariance of the whole network ----------------------------------------------------------


EXACT = 1e-10


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("scheme", ["proximal-gradient", "primal-dual"])
@pytest.mark.parametrize("name", symmetric_operators(12))
def test_it_turns_along_where_the_operator_does(name: str, scheme: str, side: int) -> None:
    A = symmetric_operators(side)[name]
    # The guess of an inpainting operator fills holes by a pyramid, which does not turn along on
    # odd grids.
    chosen = small(scheme=scheme, depth=2, start="zero" if name == "mask" else "guess")
    assert turning_error(random_network(chosen), A) < EXACT
    assert turning_error(random_network(replace(chosen, group="D4")), A, flip=True) < EXACT
    # The twins: no group, and flips where the group has none.
    assert turning_error(random_network(replace(chosen, group="C1")), A) > 1e-2
    assert turning_error(random_network(chosen), A, flip=True) > 1e-3


@pytest.mark.parametrize("scheme", ["proximal-gradient", "primal-dual"])
def test_it_does_not_turn_along_where_the_operator_does_not(scheme: str) -> None:
    """The counter-example: the left half is known, and a turn brings other pixels into it."""
    network = random_network(small(scheme=scheme))
    A = Inpainting(half_mask(12), GREY)
    assert turning_error(network, Identity(GREY)) < EXACT
    assert turning_error(network, A) > 0.1


def ray_error(network: UnrolledNetwork, views: int) -> float:
    return turning_error(network, RayTransform(parallel_beam(views, 13), (1, 13, 13)))


SCHEMES: dict[str, Callable[[], UnrolledNetwork]] = {
    scheme: lambda scheme=scheme: random_network(small(scheme=scheme))
    for scheme in ("proximal-gradient", "primal-dual")
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rays_turn_along_up_to_the_projector(scheme: str) -> None:
    """50 views over half a turn: a turn by 90° permutes them, up to how rays cross pixels."""
    network = SCHEMES[scheme]()
    assert ray_error(network, 50) < 1e-5
    # The twins: an odd number of views, and a network without a group.
    assert ray_error(network, 7) > 1e-2
    assert ray_error(random_network(small(scheme=scheme, group="C1")), 50) > 1e-2


def test_networks_check_their_learned_maps() -> None:
    config = UnrolledConfig(group="C4", width=8, depth=2, memory=1)
    report = UnrolledNetwork(config).check_equivariance()
    assert {row.angle for row in report.rows} == {0, 90, 180, 270}
    assert report.worst < 1e-10
    ordinary = UnrolledNetwork(replace(config, group="C1"))
    assert ordinary.check_equivariance([90], False).worst > 1e-2
    flipped = UnrolledNetwork(config).check_equivariance([0], True)
    assert flipped.worst > 1e-2  # C4 has no flips
