"""Proven radii of classifiers: formulas, refusals, and attacks that catch a false constant."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.networks.classifier import (
    Classifier,
    ConvClassifier,
    DenseClassifier,
    build_classifier,
)
from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.networks.decisions import decisions
from scripts.studies.robust.attacks import attack, foolbox_attack, norms
from scripts.studies.robust.measure import broken

CONFIGS = {
    "dense": ClassifierConfig(side=4, classes=4, blocks=3, width=20),
    "rk4": ClassifierConfig(side=4, classes=4, blocks=2, integrator="rk4", activation="clip"),
    "unshuffle": ClassifierConfig("conv", side=4, classes=4, blocks=1, width=3),
    "pool": ClassifierConfig("conv", 2, 4, 4, width=4, blocks=1, halving="pool"),
}


def made(name: str, seed: int = 0) -> Classifier:
    """A certified network, float64, whose functionals are far from each other."""
    torch.manual_seed(seed)
    network = build_classifier(CONFIGS[name]).eval().requires_grad_(False)
    nn.init.normal_(network.head.weight)
    network.certify()
    return network.double()


def pictures(network: Classifier, count: int = 60) -> Tensor:
    torch.manual_seed(1)
    config = network.config
    return torch.rand(count, config.channels, config.side, config.side).double()


@pytest.mark.parametrize("name", CONFIGS)
def test_no_attack_succeeds_within_a_radius(name: str) -> None:
    network = made(name)
    x = pictures(network)
    held = network.decide(x)
    assert float(held.radii.min()) >= 0
    assert bool(torch.isfinite(held.radii).all())
    for radius in held.radii.quantile(torch.tensor([0.3, 0.7]).double()).tolist():
        found = attack(
            network, x, held.classes, radius, torch.Generator().manual_seed(0), 15, restarts=4
        )
        assert float(norms(found.points - x).max()) <= radius * (1 + 1e-9)
        assert broken(held, held.classes, found, radius) == 0
    # The attack is able: far enough out nearly every decision changes.
    far = 30 * float(held.radii.max())
    found = attack(network, x, held.classes, far, torch.Generator().manual_seed(0), 15, 4)
    assert int(found.fooled.sum()) > 30


@pytest.mark.parametrize("name", ["dense"])
def test_a_constant_declared_half_is_caught(name: str) -> None:
    network = made(name)
    x = pictures(network)
    held = decisions(network(x), network.pair_constants() / 2)
    caught = 0
    for radius in held.radii.quantile(torch.tensor([0.2, 0.5, 0.8]).double()).tolist():
        generator = torch.Generator().manual_seed(0)
        found = attack(network, x, held.classes, radius, generator, 15, restarts=4)
        caught += broken(held, held.classes, found, radius)
    assert caught > 0


@pytest.mark.filterwarnings("ignore")  # of foolbox
def test_an_attack_by_other_hands_agrees() -> None:
    network = made("dense")
    x = pictures(network)
    held = network.decide(x)
    radius = float(held.radii.median())
    (found,) = foolbox_attack(network, x, held.classes, [radius], steps=10)
    assert broken(held, held.classes, found, radius) == 0
    doubled = replace(held, radii=2.5 * held.radii)  # as a constant too small gives them
    (found,) = foolbox_attack(network, x, held.classes, [2 * radius], steps=30)
    assert broken(doubled, held.classes, found, 2 * radius) > 0


def test_radii_are_leads_over_pair_constants() -> None:
    network = made("dense")
    x = pictures(network, 5)
    logits, held = network(x), network.decide(x)
    rows = nn.functional.normalize(network.head.weight, dim=1)
    constant = network.check().lipschitz
    assert constant is not None
    for k in range(5):
        own = int(logits[k].argmax())
        others = [
            float((logits[k, own] - logits[k, j]) / ((rows[own] - rows[j]).norm() * constant))
            for j in range(4)
            if j != own
        ]
        assert float(held.radii[k]) == pytest.approx(min(others), rel=1e-6)
        assert float(held.radii[k]) <= min(others)
        # Never below the radius of one constant for all pairs.
        margin = float(logits[k].topk(2).values.diff().abs())
        norm = float(torch.linalg.matrix_norm(rows, 2))
        assert float(held.radii[k]) >= margin / (2**0.5 * norm * constant) * (1 - 1e-6)


def test_ties_and_twin_functionals() -> None:
    logits = torch.tensor([[1.0, 1.0, 0.0], [2.0, 1.0, 0.5]], dtype=torch.float64)
    constants = torch.tensor([[0.0, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=torch.float64)
    held = decisions(logits, constants)
    assert float(held.radii[0]) == 0
    assert float(held.radii[1]) == pytest.approx(1.5)  # class 1 never overtakes class 0


def test_lifts_keep_distances_and_pooling_makes_none_larger() -> None:
    dense, pool, unshuffle = made("dense"), made("pool"), made("unshuffle")
    assert isinstance(dense, DenseClassifier)
    assert isinstance(pool, ConvClassifier)
    assert isinstance(unshuffle, ConvClassifier)
    x = pictures(dense, 3)
    torch.testing.assert_close(norms(dense.lift(x)), norms(x))
    torch.testing.assert_close(norms(unshuffle.halved(x)), norms(x))
    assert bool((norms(pool.halved(x)) <= norms(x)).all())
    flat = torch.ones(1, 1, 4, 4).double()  # where it is attained
    torch.testing.assert_close(norms(pool.halved(flat)), norms(flat))


def test_dense_blocks_hardly_lose_a_gradient() -> None:
    network = made("dense")
    x = pictures(network, 1).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda z: network.features(z)[0], x).view(20, 16)
    values = torch.linalg.svdvals(jacobian)
    assert float(values.max()) <= 1 + 1e-12
    assert float(values.min()) > 0.97


def test_refusals() -> None:
    with pytest.raises(ValueError, match="expected at least 64"):
        ClassifierConfig(width=10)
    with pytest.raises(ValueError, match="cannot be halved"):
        ClassifierConfig("conv", side=6, stages=3)
    with pytest.raises(ValueError, match="unknown architecture"):
        ClassifierConfig("round")
    with pytest.raises(ValueError, match="call double"):
        made("dense").float().decide(torch.zeros(1, 1, 4, 4))
    torch.manual_seed(0)
    training = build_classifier(CONFIGS["pool"]).double()
    with pytest.raises(ValueError, match="estimate"):
        training.decide(torch.zeros(1, 2, 4, 4))
