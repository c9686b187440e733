"""Energies as priors: what is refused, what is believed, and how channels are added."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models.load import load_energy
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.priors.energies.base import LearnedEnergy, energy_from
from support.energies import STEP, clean, energy


def squares(x: Tensor) -> Tensor:
    return x.square().flatten(1).sum(1)


@pytest.mark.parametrize(
    ("network", "ours"),
    [(energy("ridge"), True), (GradientStepNet(STEP), True), (energy("step"), False)],
)
def test_classes_of_the_package_are_believed(network: Energy, ours: bool) -> None:
    """What inherits from them elsewhere is looked at like any function, and may be refused."""
    prior = LearnedEnergy(network, "mine", channels=1)
    assert prior.ours is ours
    assert (prior.rough(0.1) == ()) is ours


def test_a_layer_replaced_by_hand_is_no_longer_ours() -> None:
    network = energy("ridge")
    prior = LearnedEnergy(network, "ridge", channels=1)
    assert prior.ours
    network.value = lambda x, sigma: squares(x)  # type: ignore[method-assign]
    assert not prior.ours


def test_one_channel_acts_on_each_and_values_are_added() -> None:
    prior = LearnedEnergy(energy("ridge").double(), "ridge", channels=1)
    x = torch.cat([clean(), clean().flip(0)], 1)
    parts = [prior.value_and_gradient(x[:, i : i + 1], 0.1) for i in range(2)]
    value, gradient = prior.value_and_gradient(x, 0.1)
    torch.testing.assert_close(value, parts[0][0] + parts[1][0])
    torch.testing.assert_close(gradient, torch.cat([part[1] for part in parts], 1))
    torch.testing.assert_close(prior.value(x, 0.1), value)


def test_pictures_of_other_channels_are_refused() -> None:
    prior = LearnedEnergy(energy("ridge"), "mine", channels=3)
    with pytest.raises(InputError, match="mine is for 3 channels, found pictures of 1; use a grey"):
        prior.check_fits(torch.zeros(1, 1, 8, 8))


def test_another_precision_is_refused_with_the_remedy() -> None:
    prior = LearnedEnergy(energy("ridge"), "mine", channels=1)
    prior.check_fits(torch.zeros(1, 1, 8, 8))
    with pytest.raises(InputError, match=r"load it with dtype=torch\.float64"):
        prior.check_fits(torch.zeros(1, 1, 8, 8, dtype=torch.float64))
    prior.in_double().check_fits(torch.zeros(1, 1, 8, 8, dtype=torch.float64))


def test_a_module_without_a_value_is_refused() -> None:
    with pytest.raises(InputError, match="Linear has no value; `energy_from"):
        LearnedEnergy(nn.Linear(2, 2), "none")


def test_the_gradient_of_a_function_is_found_in_inference_mode() -> None:
    prior = energy_from(squares)
    x = clean()
    with torch.inference_mode():
        value, gradient = prior.value_and_gradient(x, 0.1)
    torch.testing.assert_close(value, squares(x))
    torch.testing.assert_close(gradient, 2 * x)
    assert not prior.ours
    assert prior.lipschitz(0.1) is None
    assert prior.weak_convexity(0.1) is None


def test_changed_weights_lose_the_hash_of_their_card() -> None:
    prior = load_energy("energy_grey")
    digest = prior.card["sha256"]
    assert prior.record().sha256 == digest
    assert prior.double().record().sha256 == digest  # the same numbers
    next(prior.network.parameters()).data.mul_(1.01)
    assert prior.record().sha256 is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("euler_grey", "is a denoiser, not an energy: give it to load_denoiser"),
        ("unrolled_ct", "is a reconstruction network, not an energy: give it to load_unrolled"),
    ],
)
def test_another_kind_of_model_is_named(name: str, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        load_energy(name)
