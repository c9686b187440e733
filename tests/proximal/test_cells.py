"""Projections onto the cells of a JPEG file: laws, brute force, subsampled planes, twins."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from laws.networks import random_tensor
from laws.proximal import Broken, firmness_defect, improvement, inputs, moreau_defect
from operators.jpeg import Component, JPEGCoefficients
from pnp_recon.errors import InputError
from pnp_recon.proximal.cells import Cells, outside

COMPONENTS = {
    "grey": [Component((1, 2))],
    "4:4:4": [Component((1, 1))] * 3,
    "4:2:2": [Component((1, 2)), *[Component((1, 1), (1, 2))] * 2],
    # The luma of an odd number of blocks covers less than the chroma.
    "4:2:0": [Component((1, 1)), *[Component((1, 1), (2, 2))] * 2],
}
every_layout = pytest.mark.parametrize("layout", COMPONENTS)


def cells(layout: str) -> Cells:
    A = JPEGCoefficients(COMPONENTS[layout], colour=False)
    middle = A.A(0.4 + 0.3 * random_tensor(1, *A.image_shape, seed=5))
    half = 0.02 + 0.3 * random_tensor(1, *A.measurement_shape, seed=6).abs()
    return Cells(A, middle - half, middle + half)


@every_layout
def test_is_firmly_nonexpansive_and_the_nearest_point(layout: str) -> None:
    g = cells(layout)
    x = inputs(g.A.image_shape)
    assert firmness_defect(lambda z: g.prox(z, 1.0), x, 0.0) < 1e-12
    assert improvement(g, x, 0.7) <= 1e-9
    assert moreau_defect(g, x, 0.7) < 1e-12
    once = g.prox(x, 1.0)[0]
    assert torch.allclose(g.prox(once, 3.0)[0], once, atol=1e-13)
    assert bool((g.value(once) == 0).all())


@every_layout
def test_by_brute_force(layout: str) -> None:
    """Hildreth's method, which knows of no basis: one half space after the other."""
    g = cells(layout)
    x = 0.5 + random_tensor(1, *g.A.image_shape, seed=1)
    found = g.prox(x, 1.0)[0]
    rows = g.A.A_adjoint(torch.eye(g.A.measurement_shape[0], dtype=torch.float64)).flatten(1)
    z = x.flatten().clone()
    for row, low, high in zip(rows, g.low[0], g.high[0], strict=True):
        v = float(row @ z)
        z += (min(max(v, float(low)), float(high)) - v) / float(row @ row) * row
    assert torch.allclose(found.flatten(), z, atol=1e-12)


def test_twins_are_caught() -> None:
    g = cells("4:2:0")
    x = inputs(g.A.image_shape)
    # A projection that forgets the area of subsampled planes does not reach its cells.
    v = g.A.A(x)
    short = x + g.A.A_adjoint(torch.minimum(torch.maximum(v, g.low), g.high) - v)
    assert int(outside(g.A.A(short), g.low - 1e-9, g.high + 1e-9).min()) > 0
    reflected = Broken(g, lambda u: 2 * u - x)
    assert firmness_defect(lambda z: (2 * g.prox(z, 1.0)[0] - z, 0 * z[:, 0, 0, 0]), x, 0.0) > 0.1
    assert improvement(reflected, x, 0.7) > 1e-3
    # Cells that are smaller by a hair: the nearest point of others.
    smaller = replace(g, high=g.high - 0.01)
    assert float((smaller.prox(x, 1.0)[0] - g.prox(x, 1.0)[0]).abs().max()) > 1e-3


def test_what_lies_outside_is_counted() -> None:
    low, high = torch.zeros(1, 4), torch.ones(1, 4)
    v: Tensor = torch.tensor([[0.0, 1.0, 1.0 + 1e-6, float("nan")], [0.5, 0.2, 0.3, 0.4]])
    assert outside(v, low, high).tolist() == [2, 0]


def test_refuses_what_has_no_closed_projection() -> None:
    A = JPEGCoefficients(COMPONENTS["4:4:4"])
    ends = torch.zeros(1, *A.measurement_shape)
    with pytest.raises(InputError, match="colour=False"):
        Cells(A, ends, ends)
    planes = JPEGCoefficients(COMPONENTS["4:4:4"], colour=False)
    with pytest.raises(InputError, match="cell is empty"):
        Cells(planes, ends + 1, ends)
    with pytest.raises(InputError, match="cells have shapes"):
        Cells(planes, ends[:, :1], ends[:, :1])
    with pytest.raises(InputError, match="cell is empty"):
        Cells(planes, ends + float("inf"), ends + float("inf"))


def test_a_bright_picture_makes_no_room_for_another() -> None:
    A = JPEGCoefficients(COMPONENTS["grey"])
    g = Cells(A, -torch.ones(1, *A.measurement_shape), torch.ones(1, *A.measurement_shape))
    x = torch.full((2, *A.image_shape), 100.0)
    x[0, 0, 0, 0] = 1e10
    assert bool(torch.isinf(g.value(x)).all())


def test_the_bracket_of_the_norm_holds_where_luma_is_subsampled() -> None:
    A = JPEGCoefficients([Component((1, 1), (2, 2)), Component((1, 1)), Component((1, 1))])
    basis = torch.eye(3 * 256, dtype=torch.float64).reshape(-1, *A.image_shape)
    norm = float(torch.linalg.matrix_norm(A.A(basis).double(), 2))
    bound = A.norm_certificate
    assert bound.lower <= norm * (1 + 1e-12)
    assert norm <= bound.value
