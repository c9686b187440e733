"""The projections on the simplex and its tangent cones, against their optimality conditions."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from pnp_recon.proximal.simplex import (
    project_capped_simplex,
    project_simplex,
    project_tangent,
)


def by_brute_force(v: Tensor) -> Tensor:
    """The nearest of the projections on every face of the simplex that lie in it."""
    best, least = v, float("inf")
    for count in range(1, len(v) + 1):
        for face in itertools.combinations(range(len(v)), count):
            k = torch.zeros_like(v)
            part = v[list(face)]
            k[list(face)] = part - (part.sum() - 1) / count
            distance = float((k - v).norm())
            if float(k.min()) >= 0 and distance < least:
                best, least = k, distance
    return best


def clipped(v: Tensor) -> Tensor:
    """The twin: what is often taken for the projection."""
    return v.clamp_min(0) / v.clamp_min(0).sum()


def draws(count: int = 40) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        (0.1 + i % 4) * torch.randn(1 + i % 6, generator=generator, dtype=torch.float64)
        for i in range(count)
    ]


def test_the_projection_is_the_nearest_point() -> None:
    for v in draws():
        assert torch.allclose(project_simplex(v), by_brute_force(v), atol=1e-12)


def test_clipping_is_not_the_projection() -> None:
    wrong = [not torch.allclose(clipped(v.abs()), by_brute_force(v.abs())) for v in draws()]
    assert any(wrong)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_large_kernels_satisfy_the_variational_inequality(scale: float) -> None:
    """⟨v − k, e − k⟩ ≤ 0 for every vertex e."""
    v = scale * torch.randn(15, 15, generator=torch.Generator().manual_seed(1)).double()
    k = project_simplex(v)
    assert float(k.min()) >= 0
    assert float(k.sum()) == pytest.approx(1, abs=1e-14)
    inner = (v - k) - ((v - k) * k).sum()
    assert float(inner.max()) < 1e-9 * max(scale, 1)


def test_a_point_of_the_simplex_stays() -> None:
    k = torch.tensor([0.2, 0.0, 0.5, 0.3], dtype=torch.float64)
    assert torch.allclose(project_simplex(k), k, atol=1e-15)


def test_the_tangent_projection_is_the_limit_of_projected_steps() -> None:
    """(P(k + td) − k)/t → the projection of d on the tangent cone; not so for d itself."""
    off = 0.0
    for index, d in enumerate(draws()):
        k = by_brute_force(d.flip(0))
        t = 1e-7
        limit = (project_simplex(k + t * d) - k) / t
        assert torch.allclose(project_tangent(d, k), limit, atol=1e-6), index
        off = max(off, float((d - limit).norm()))
    assert off > 0.1


def test_what_is_left_out_is_normal() -> None:
    """Moreau: the parts are orthogonal, and no tangent direction goes along with the rest."""
    for d in draws():
        k = by_brute_force(d.flip(0))
        tangent = project_tangent(d, k)
        normal = d - tangent
        assert abs(float((tangent * normal).sum())) < 1e-12 * max(1.0, float(d.norm() ** 2))
        assert float(tangent.sum()) == pytest.approx(0, abs=1e-12)
        assert float((normal - (normal * k).sum()).max()) < 1e-12 * max(1.0, float(d.norm()))


def excess(v: Tensor, k: Tensor, total: float, cap: float) -> float:
    """max over e of ⟨v − k, e − k⟩, 0 ≤ e ≤ cap, Σe = total: at most 0 at the projection alone.

    The linear programme is solved by filling up the largest coefficients.
    """
    gradient = (v - k).sort(descending=True).values
    room = torch.full_like(gradient, cap)
    best = (gradient * (total - (room.cumsum(0) - room)).clamp(0, cap)).sum()
    return float(best - ((v - k) * k).sum())


def test_the_capped_projection_satisfies_the_variational_inequality() -> None:
    cap, wrong = 0.9, 0
    for index, v in enumerate(draws()):
        total = 0.05 + 0.8 * cap * len(v) * (index % 5) / 5
        k = project_capped_simplex(v, total, cap)
        assert float(k.min()) >= 0
        assert float(k.max()) <= cap
        assert float(k.sum()) == pytest.approx(total, abs=1e-12)
        assert excess(v, k, total, cap) < 1e-12
        clamped = project_simplex(v, total).clamp_max(cap)  # the twin
        short = float(clamped.sum()) < total - 1e-6
        wrong += short or excess(v, clamped, total, cap) > 1e-6
    assert wrong > 0


def test_entries_at_the_bounds_are_there_exactly() -> None:
    v = torch.tensor([3.0, 0.5, -4.0, 0.4], dtype=torch.float64)
    k = project_capped_simplex(v, 1.4, 0.9)
    assert k.tolist()[0] == 0.9
    assert k.tolist()[2] == 0.0
    assert float(k[1] - k[3]) == pytest.approx(0.1)
    assert torch.equal(project_capped_simplex(v, 3.6, 0.9), torch.full_like(v, 0.9))
    # Without a cap that binds it is the projection on the simplex.
    torch.testing.assert_close(project_capped_simplex(v, 1.0, 5.0), project_simplex(v))


@pytest.mark.parametrize("total", [0.0, -1.0, 3.7])
def test_a_sum_that_does_not_fit_is_refused(total: float) -> None:
    with pytest.raises(ValueError, match="expected above 0 and at most"):
        project_capped_simplex(torch.zeros(4), total, 0.9)
