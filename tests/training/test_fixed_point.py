"""Training at the fixed point: the implicit gradient, exact resume, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.fixed_point.equilibrium import fixed_point, implicit_loss
from pnp_recon.training.fixed_point.exercises import Exercise
from pnp_recon.training.fixed_point.recipe import FixedPointRecipe
from pnp_recon.training.fixed_point.trainer import FixedPointTrainer, restoration_psnr
from support.fixed_points import RECIPE, SIDE, clean, exercises, fresh, net, pictures

# --- the fixed point and its gradient --------------------------------------------------------


@pytest.mark.parametrize("exercise", exercises(), ids=lambda p: p.name)
@torch.no_grad()
def test_acceleration_reaches_the_fixed_point_of_the_plain_iteration(exercise: Exercise) -> None:
    network = net()
    plain = z = exercise.start()
    for _ in range(600):
        plain = exercise.step(network, plain)
    z = fixed_point(lambda z: exercise.step(network, z), z, 100)
    assert (exercise.step(network, plain) - plain).abs().max() < 1e-5
    assert (exercise.image(z) - exercise.image(plain)).abs().max() < 1e-4


def gradient(exercise: Exercise, network: EulerNet, terms: int, direction: list[Tensor]) -> float:
    """Directional derivative of the error at the fixed point, implicitly."""

    def step(z: Tensor) -> Tensor:
        return exercise.step(network, z)

    z = fixed_point(step, exercise.start(), 300)
    loss = implicit_loss(step, z, lambda z: error(exercise, z), terms)
    slopes = torch.autograd.grad(loss, list(network.parameters()))
    return float(sum((s * d).sum() for s, d in zip(slopes, direction, strict=True)))


def error(exercise: Exercise, z: Tensor) -> Tensor:
    return (exercise.image(z) - clean(SIDE)).square().mean()


@torch.no_grad()
def difference(exercise: Exercise, network: EulerNet, direction: list[Tensor]) -> float:
    """The same by central differences of the error at the very fixed points."""
    values, size = [], 1e-5
    for sign in (1, -2):
        for weight, d in zip(network.parameters(), direction, strict=True):
            weight += sign * size * d
        z = fixed_point(lambda z: exercise.step(network, z), exercise.start(), 300)
        values.append(float(error(exercise, z)))
    for weight, d in zip(network.parameters(), direction, strict=True):
        weight += size * d
    return (values[0] - values[1]) / (2 * size)


@pytest.mark.parametrize("exercise", exercises(), ids=lambda p: p.name)
def test_implicit_gradient_is_that_of_the_error_at_the_fixed_point(exercise: Exercise) -> None:
    network = net()
    generator = torch.Generator().manual_seed(2)
    direction = [torch.randn(w.shape, generator=generator).double() for w in network.parameters()]
    expected = difference(exercise, network, direction)
    assert gradient(exercise, network, 80, direction) == pytest.approx(expected, rel=1e-4)
    # Cut off at once it is another number: the test can fail.
    assert gradient(exercise, network, 0, direction) != pytest.approx(expected, rel=1e-2)


def test_terms_are_steps_of_backpropagation() -> None:
    exercise, network = exercises()[0], net()
    parameters = list(network.parameters())
    z = fixed_point(lambda z: exercise.step(network, z), exercise.start(), 300)
    loss = implicit_loss(
        lambda z: exercise.step(network, z), z, lambda z: error(exercise, z), terms=3
    )
    unrolled = z
    for _ in range(4):
        unrolled = exercise.step(network, unrolled)
    assert float(loss.detach()) == pytest.approx(float(error(exercise, unrolled).detach()))
    pairs = zip(
        torch.autograd.grad(loss, parameters),
        torch.autograd.grad(error(exercise, unrolled), parameters),
        strict=True,
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-10)


# --- training --------------------------------------------------------------------------------


def trainer(folder: Path, recipe: FixedPointRecipe = RECIPE) -> FixedPointTrainer:
    images = pictures()
    return FixedPointTrainer(fresh(0), recipe, images, images[:1], folder)


def test_resumed_run_gives_the_same_weights_bit_by_bit(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run(lambda line: None, every=4)
    parted = trainer(tmp_path / "parted")
    parted.run(lambda line: None, every=4, stop=lambda: parted.step == 2)
    again = trainer(tmp_path / "parted")
    assert again.step == 2
    again.run(lambda line: None, every=4)
    for ours, theirs in ((whole.network, again.network), (whole.average, again.average)):
        held = theirs.state_dict()
        assert all(torch.equal(value, held[key]) for key, value in ours.state_dict().items())
    assert whole.psnr == again.psnr
    assert set(whole.psnr) == {
        "psnr_5", "psnr_15", "psnr_25", "psnr_motion", "psnr_gaussian", "psnr_inpainting",
    }  # fmt: skip


def test_the_fixed_point_gets_better(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=25, weight=1.0, learning_rate=1e-2, ema=0.9)
    running = trainer(tmp_path, recipe)
    before = restoration_psnr(running.network.eval(), running.validation)
    running.network.train()
    running.run(lambda line: None, every=25)
    gains = [running.psnr[key] - value for key, value in before.items()]
    assert all(gain > 3 for gain in gains)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patch": 24}, "patch is 24"),
        ({"iterations": 0}, "iterations 0"),
        ({"terms": -1}, "terms -1"),
        ({"weight": 1.5}, "weight is 1.5"),
        ({"inpainting": -0.1}, "inpainting is -0.1"),
    ],
)
def test_recipe_refuses_values_outside_their_range(change, words) -> None:
    with pytest.raises(InputError, match=words):
        replace(RECIPE, **change)
