"""The rounding of a classifier's logits, against exact rational arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.classifier import (
    Classifier,
    ConvClassifier,
    DenseClassifier,
    build_classifier,
)
from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.networks.decisions import Rounding, decisions, sizes
from pnp_recon.networks.flows.fields import OrthogonalField
from pnp_recon.networks.flows.integrators import RungeKutta
from pnp_recon.networks.flows.tableaux import Tableau

Vector = list[Fraction]
Matrix = list[Vector]

CONFIGS = {
    "dense": ClassifierConfig(side=3, classes=3, blocks=3, width=12),
    "leaky": ClassifierConfig(side=3, classes=3, blocks=2, activation="leaky_relu"),
    "rk4": ClassifierConfig(side=2, classes=3, blocks=2, integrator="rk4", activation="clip"),
    "unshuffle": ClassifierConfig("conv", side=4, classes=3, blocks=1, width=2),
    "pool": ClassifierConfig(
        "conv", 1, 4, 3, width=2, blocks=1, halving="pool", integrator="improved_euler"
    ),
}


def made(name: str) -> Classifier:
    torch.manual_seed(3)
    network = build_classifier(CONFIGS[name]).eval().requires_grad_(False)
    nn.init.normal_(network.head.weight)
    for key, value in network.named_parameters():
        if key.endswith("bias"):
            value.copy_(0.3 * torch.randn(value.shape))
    network.certify()
    return network.double()


def pictures(network: Classifier, count: int = 4) -> Tensor:
    config = network.config
    shape = (count, config.channels, config.side, config.side)
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)).double()


# ---- exact arithmetic -------------------------------------------------------------------------


def exact(values: Tensor) -> Vector:
    return [Fraction(value) for value in values.detach().double().flatten().tolist()]


def rows(matrix: Tensor) -> Matrix:
    return [exact(row) for row in matrix]


def product(matrix: Matrix, x: Vector) -> Vector:
    return [sum((a * b for a, b in zip(row, x, strict=True) if a), Fraction(0)) for row in matrix]


def transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def act(name: str, z: Fraction) -> Fraction:
    if name == "clip":
        return min(max(z, Fraction(-1)), Fraction(1))
    return max(z, Fraction(0 if name == "relu" else 0.1) * z)


def step(
    tableau: Tableau, h: float, weight: Matrix, bias: Vector, scale: Vector, kind: str, x: Vector
) -> Vector:
    """x by one exact step of −Wᵀ t σ(Wx/t + b)."""
    back, slopes = transposed(weight), []

    def along(row: tuple[Fraction, ...]) -> Vector:
        out = list(x)
        for w, slope in zip(row, slopes, strict=False):
            out = [a + Fraction(h) * w * b for a, b in zip(out, slope, strict=True)]
        return out

    for row in tableau.matrix:
        z = product(weight, along(row))
        kept = [t * act(kind, a / t + b) for a, b, t in zip(z, bias, scale, strict=True)]
        slopes.append([-value for value in product(back, kept)])
    return along(tableau.weights)


def dense_features(network: DenseClassifier, x: Vector) -> Vector:
    method = cast(RungeKutta, network.flow.method)
    x = x + [Fraction(0)] * (network.width - len(x))
    for field, h in zip(network.flow.fields, network.flow.sizes(torch.float64), strict=True):
        field = cast(OrthogonalField, field)
        bias = exact(field.bias)
        ones = [Fraction(1)] * len(bias)
        kind = network.config.activation
        x = step(method.tableau, float(h), rows(field.weight), bias, ones, kind, x)
    return x


def as_matrix(block: FlowBlock, side: int) -> Matrix:
    """V = W/n on pictures of that side, its entries exact."""
    channels = block.weight.shape[1]
    basis = torch.eye(channels * side**2).double().view(-1, channels, side, side)
    columns = F.conv2d(basis, block.weight, padding=block.weight.shape[-1] // 2)
    norm = Fraction(float(block.norm))
    return [[entry / norm for entry in row] for row in rows(columns.flatten(1).T)]


def conv_features(network: ConvClassifier, x: Vector) -> Vector:
    side, config = network.config.side, network.config
    for index, (stage, width) in enumerate(zip(network.stages, network.widths, strict=True)):
        if index:
            order = torch.arange(len(x)).view(1, -1, side, side).double()
            picked = F.pixel_unshuffle(order, 2).long()
            side //= 2
            if config.halving == "pool":  # a mean of the four, times two
                groups = picked.view(-1, 4, side**2).transpose(1, 2).reshape(-1, 4).tolist()
                x = [sum((x[i] for i in group), Fraction(0)) / 2 for group in groups]
            else:
                x = [x[i] for i in picked.flatten().tolist()]
        x = x + [Fraction(0)] * (width * side**2 - len(x))
        for block in cast(list[FlowBlock], list(cast(nn.ModuleList, stage))):
            tableau = block.integrator.tableau
            h = 2 * tableau.radius * float(block.relative_step)
            bias = exact(block.bias.repeat_interleave(side**2))
            scale = exact(block.scale(network.level)[0].repeat_interleave(side**2))
            x = step(tableau, h, as_matrix(block, side), bias, scale, config.activation, x)
    return x


def exact_logits(network: Classifier, x: Tensor) -> Vector:
    features = (
        dense_features(network, exact(x))
        if isinstance(network, DenseClassifier)
        else conv_features(cast(ConvClassifier, network), exact(x))
    )
    head = rows(F.normalize(network.head.weight, dim=1))
    return [a + b for a, b in zip(product(head, features), exact(network.head.bias), strict=True)]


def errors(network: Classifier, x: Tensor, computed: Tensor) -> list[float]:
    """The largest error of a logit, for each picture."""
    return [
        max(
            float(abs(Fraction(a) - b))
            for a, b in zip(row.tolist(), exact_logits(network, p), strict=True)
        )
        for p, row in zip(x, computed, strict=True)
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_no_logit_is_off_by_more_than_is_proven(name: str) -> None:
    network = made(name)
    x = pictures(network)
    allowed = network.rounding().at(sizes(x)).tolist()
    for found, bound in zip(errors(network, x, network(x)), allowed, strict=True):
        assert 0 < found <= bound
        assert bound < 1e5 * found  # it is a bound of this error, and not of anything
    # Arithmetic with fewer digits breaks it.
    coarse = made(name).float()(x.float()).double()
    assert min(e / b for e, b in zip(errors(network, x, coarse), allowed, strict=True)) > 1


def test_large_pictures_are_allowed_more() -> None:
    network = made("dense")
    x = 1e6 * pictures(network)
    allowed = network.rounding().at(sizes(x)).tolist()
    found = errors(network, x, network(x))
    assert all(e <= b for e, b in zip(found, allowed, strict=True))
    at_zero = network.rounding().at_zero  # which is not enough for them
    assert max(found) > at_zero


def test_rounding_is_taken_off_the_lead_and_added_to_the_constant() -> None:
    logits = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    constants = torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=torch.float64)
    held = decisions(logits, constants, Rounding(0.1, 0.05), torch.tensor([2.0]))
    assert float(held.radii) == pytest.approx((2 - 4 * 0.2) / (2 + 0.1), rel=1e-6)
    blurred = decisions(logits, constants, Rounding(1.0, 0.0))
    assert float(blurred.radii) == 0
    assert float(decisions(logits, constants).radii) == pytest.approx(1.0)


def test_what_nothing_is_proven_of_is_refused() -> None:
    config = CONFIGS["dense"]
    for changed, word in (
        (replace(config, activation="tanh"), "rounding of tanh"),
        (replace(config, integrator="implicit_midpoint"), "implicit_midpoint"),
    ):
        network = build_classifier(changed).double().eval()
        with pytest.raises(ValueError, match=word):
            network.rounding()
