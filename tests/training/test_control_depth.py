"""Weights as functions of depth: a norm that no refinement changes, and limits of depth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.fields import LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.training.control.depth import depth_norm, distance, refined


def flow(layers: int = 5) -> Flow:
    """Weights that go slowly with depth."""
    torch.manual_seed(0)
    ends = [LayerField(3).double() for _ in range(2)]
    fields = []
    for k in range(layers):
        made = LayerField(3).double()
        with torch.no_grad():
            for p, a, b in zip(*(f.parameters() for f in (made, *ends)), strict=True):
                p.copy_(torch.lerp(a, b, k / layers))
        fields.append(made)
    return Flow(fields, "euler", [1 / layers] * layers)


def layers(made: Flow) -> list[nn.Module]:
    return list(made.fields)


@torch.no_grad()
def norm(made: Flow) -> float:
    return float(depth_norm(layers(made)))


def test_the_norm_is_the_same_on_a_finer_grid() -> None:
    made = flow()
    value = norm(made)
    for _ in range(3):
        made = refined(made)
        assert norm(made) == pytest.approx(value, rel=1e-13)


@torch.no_grad()
def test_without_the_factor_or_with_repeated_layers_it_is_not() -> None:
    """The twins: differences that are not divided by their step, and weights that jump."""
    made = flow()

    def unscaled(fields: Sequence[nn.Module]) -> float:
        first = float(depth_norm(fields[:1]))
        return (float(depth_norm(fields)) - first) / len(fields)

    assert unscaled(layers(refined(made))) == pytest.approx(unscaled(layers(made)) / 2)
    first = float(depth_norm(layers(made)[:1]))
    twice = [field for field in made.fields for _ in range(2)]
    rough, smooth = float(depth_norm(twice)) - first, norm(made) - first
    assert rough == pytest.approx(2 * smooth)


def test_a_refined_network_is_nearly_the_same() -> None:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    made, changes = flow(), []
    for _ in range(4):
        finer = refined(made)
        changes.append(float((finer(x) - made(x)).norm().detach()))
        assert distance(made, finer) < 0.5
        made = finer
    assert all(b < 0.6 * a for a, b in itertools.pairwise(changes))


def test_distances_are_those_of_step_functions() -> None:
    made = flow(2)
    other = flow(2)
    with torch.no_grad():
        for p in other.fields[1].parameters():
            p.add_(1.0)
    assert distance(made, other) == pytest.approx(math.sqrt(12 / 2))
    assert distance(made, refined(made)) == distance(refined(made), made) > 0


def test_layers_of_other_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="different shapes"):
        depth_norm([LayerField(3), LayerField(2)])
    with pytest.raises(InputError, match="a layer at least"):
        depth_norm([])


# ---- limits that are known ------------------------------------------------------------------


def quadratic_minimiser(count: int, weight: float, target: float = 1.0) -> Tensor:
    """θ (K,) of least (mean θ − c)² + λ(θ₀² + KΣ(θ_{k+1} − θ_k)²): ż = θ, from 0 towards c."""
    mean = torch.full((1, count), 1 / count, dtype=torch.float64)
    eye = torch.eye(count, dtype=torch.float64)
    slopes = count**0.5 * (eye[1:] - eye[:-1])
    rows = torch.cat([mean, weight**0.5 * eye[:1], weight**0.5 * slopes])
    right = torch.zeros(len(rows), dtype=torch.float64)
    right[0] = target
    return torch.linalg.lstsq(rows, right[:, None]).solution[:, 0]


def limit(count: int, weight: float, target: float = 1.0) -> Tensor:
    """The minimiser over H¹, r(1 + t − t²/2) with r = c/(λ + 4/3), at t = k/K."""
    t = torch.arange(count, dtype=torch.float64) / count
    return target / (weight + 4 / 3) * (1 + t - t**2 / 2)


def test_minimisers_converge_with_depth_to_the_known_limit() -> None:
    errors = []
    for count in (4, 8, 16, 32, 64):
        off = quadratic_minimiser(count, 0.1) - limit(count, 0.1)
        errors.append(float(off.square().mean().sqrt()))
    assert all(b < 0.6 * a for a, b in itertools.pairwise(errors))
    assert errors[-1] < 0.02


def test_without_a_norm_minimisers_need_not_converge() -> None:
    """The twin, λ = 0: 1 + A(−1)^k has the mean 1, and is a minimiser for every A and even K."""
    for count in (4, 64):
        rough = 1 + 5 * (-1.0) ** torch.arange(count, dtype=torch.float64)
        assert float((rough.mean() - 1) ** 2) == 0
    # Between K and 2K such minimisers stay as far apart as they were: no Cauchy sequence.
    fine = 1 + 5 * (-1.0) ** torch.arange(128, dtype=torch.float64)
    coarse = (1 + 5 * (-1.0) ** torch.arange(64, dtype=torch.float64)).repeat_interleave(2)
    assert float((fine - coarse).square().mean().sqrt()) > 5


def descended(weight: float, steps: int) -> float:
    """b after gradient descent on (tanh b − 1)² + λb², from 0."""
    b = 0.0
    for _ in range(steps):
        tanh = math.tanh(b)
        b -= 0.5 * (2 * (tanh - 1) * (1 - tanh**2) + 2 * weight * b)
    return b


def test_a_training_without_minimiser_runs_away() -> None:
    """(tanh b − 1)² falls for every b and reaches 0 at none; λ > 0 gives it a minimiser."""
    runaway = [descended(0.0, 10**k) for k in (2, 3, 4, 5)]
    # e^{4b} grows like the steps: b by ln(10)/4 with each factor of ten.
    for a, b in itertools.pairwise(runaway):
        assert b - a == pytest.approx(math.log(10) / 4, abs=0.02)
    held = [descended(1e-3, 10**k) for k in (4, 5)]
    assert abs(held[1] - held[0]) < 1e-6
