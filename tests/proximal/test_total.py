"""Projections onto the box and a plane: laws, brute force, operators, totals, twins."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from laws.networks import random_tensor
from laws.proximal import firmness_defect, inputs, moreau_defect
from operators import Convolution, kernels
from operators.matrix import MatrixOperator
from pnp_recon.errors import InputError
from pnp_recon.proximal import BoxTotal

SHAPE = (2, 4, 5)
NORMALS = {
    "ones": torch.ones(SHAPE),
    "uneven": 0.1 + random_tensor(*SHAPE, seed=1).abs(),
    "signed": random_tensor(*SHAPE, seed=2),
    "unseen": (random_tensor(*SHAPE, seed=3) > 0).double(),  # zeros among ones
}
every_normal = pytest.mark.parametrize("name", NORMALS)
# One plane, and one for each channel.
every_count = pytest.mark.parametrize("parts", [1, 2])


def plane(name: str, parts: int) -> BoxTotal:
    normal = NORMALS[name].double()
    inside = 0.2 + 0.6 * random_tensor(3, *SHAPE, seed=4).abs().clamp(0, 1)
    return BoxTotal(normal, (inside * normal).reshape(3, parts, -1).sum(2))


@every_count
@every_normal
def test_is_firmly_nonexpansive_and_the_nearest_point(name: str, parts: int) -> None:
    g, x = plane(name, parts), inputs(SHAPE)
    assert firmness_defect(lambda z: g.prox(z, 1.0), x, 0.0) < 1e-12
    assert moreau_defect(g, x, 0.7) < 1e-12
    once = g.prox(x, 1.0)[0]
    assert torch.allclose(g.prox(once, 3.0)[0], once, atol=1e-12)
    assert bool((g.value(once) == 0).all())
    assert angle(g, x, once) < 1e-11


def angle(g: BoxTotal, x: Tensor, found: Tensor) -> float:
    """⟨x − u, v − u⟩ at worst, at most 0 for the nearest point u of x, for any v of the set."""
    rivals = [g.prox(found + 0.3 * random_tensor(*x.shape, seed=k), 1.0)[0] for k in range(6)]
    apart = [((x - found) * (v - found)).flatten(1).sum(1).max() for v in rivals]
    return float(max(apart))


@every_normal
def test_by_brute_force(name: str) -> None:
    """Dykstra's method, which goes from the box to the plane and back."""
    g, x = plane(name, 1), inputs(SHAPE)
    normal, z, rest = g.normal, x, torch.zeros_like(x)
    for _ in range(20000):
        boxed = (z + rest).clamp(0, 1)
        rest = z + rest - boxed
        lack = (g.total[:, 0] - (boxed * normal).flatten(1).sum(1)) / normal.square().sum()
        z = boxed + lack[:, None, None, None] * normal
    assert torch.allclose(g.prox(x, 1.0)[0], z, atol=1e-6)


def test_twins_are_caught() -> None:
    g, x = plane("uneven", 1), inputs(SHAPE)
    steps = (lambda z: g.prox(z, 1.0)[0], lambda z: z.clamp(0, 1), shifted_then_clamped(g))
    found = [float(g.deviation(step(x)).max()) for step in steps]
    assert found[0] <= 1
    assert min(found[1:]) > 1e6
    assert bool(torch.isinf(g.value(found_beside(g, x))).all())
    # In the set, but not the nearest point.
    assert angle(g, x, g.prox(x.flip(-1), 1.0)[0]) > 1e-2


def found_beside(g: BoxTotal, x: Tensor) -> Tensor:
    return g.prox(x, 1.0)[0] + 1e-3


def shifted_then_clamped(g: BoxTotal):  # type: ignore[no-untyped-def]
    """The plane first and the box afterwards: the sum that is clipped is lost."""

    def step(z: Tensor) -> Tensor:
        lack = (g.total[:, 0] - (z * g.normal).flatten(1).sum(1)) / g.normal.square().sum()
        return (z + lack[:, None, None, None] * g.normal).clamp(0, 1)

    return step


def test_pictures_in_float32_keep_it_to_their_rounding() -> None:
    g = BoxTotal(torch.ones(1, 64, 64), torch.tensor([[2000.0]]))
    found = g.prox(torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)), 1.0)[0]
    assert found.dtype == torch.float32
    assert abs(float(found.double().sum()) - 2000) < 1e-3
    assert bool(torch.isnan(g.prox(torch.full((1, 1, 64, 64), torch.inf), 1.0)[0]).all())


def test_ends_of_the_range_are_reached() -> None:
    for total in (0.0, 6.0):
        g = BoxTotal(torch.ones(1, 2, 3), torch.tensor([[total]]))
        found = g.prox(random_tensor(2, 1, 2, 3), 1.0)[0]
        assert torch.equal(found, torch.full_like(found, total / 6))
    with pytest.raises(InputError, match="do without keep_total"):
        BoxTotal(torch.ones(1, 2, 3), torch.tensor([[6.1]]))


def test_the_plane_of_an_operator_and_its_data() -> None:
    x = 0.2 + 0.5 * random_tensor(2, 3, 8, 9).abs().clamp(0, 1)
    A = Convolution(kernels.linear_motion(3, 30).double(), (3, 8, 9))
    g = BoxTotal.of(A, A.A(x))
    assert g.total.shape == (2, 3)  # a mean grey value for each channel
    assert float(g.deviation(x).max()) <= 1
    assert float((g.prox(x, 1.0)[0] - x).abs().max()) < 1e-12
    # Channels that are mixed have one total; a map that is no transpose has none.
    matrix = random_tensor(12, 12, seed=5).abs()
    mixed = MatrixOperator(matrix, (3, 2, 2), (3, 2, 2))
    small = x[..., :2, :2]
    g = BoxTotal.of(mixed, mixed.A(small))
    assert g.total.shape == (2, 1)
    rounding = g.rounding(small, (24, torch.float64))
    assert float(g.off(mixed.A(g.prox(small + 0.1, 1.0)[0]), rounding).max()) <= 1
    assert float(replace(g, total=g.total + 1e-6).off(mixed.A(small), rounding).max()) > 1
    mixed.adjoint_matched = False
    with pytest.raises(InputError, match="not the transpose"):
        BoxTotal.of(mixed, mixed.A(small))
