"""Training of energies: derivatives at critical points, exact resume, that it learns, models."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from operators import kernels
from pnp_recon import load_denoiser
from pnp_recon.errors import InputError
from pnp_recon.models.load import family_of
from pnp_recon.models.store import find_card, read_card
from pnp_recon.networks.configs import GradientStepConfig, RidgeConfig
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.ridge import RidgeNet
from pnp_recon.training.energy.critical import (
    Effort,
    adjoint,
    continuation,
    critical_point,
    dots,
    loss_at,
    reached,
)
from pnp_recon.training.energy.network import Architecture
from pnp_recon.training.energy.problems import Circular, Pixels, Restoration, draw
from pnp_recon.training.energy.recipe import EnergyRecipe
from pnp_recon.training.energy.task import EnergyTask
from pnp_recon.training.energy.trainer import EnergyTrainer
from pnp_recon.training.fixed_point.exercises import blurred, masked
from pnp_recon.training.runs import export_run, start_or_resume
from pnp_recon.training.seeding import seeded
from support.samples import noise

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
SIDE = 16
# Whatever a small run takes; both phases, the last step at a critical point.
SMALL = EnergyRecipe(
    steps=4, batch=2, patch=24, warmup=1, inner=6, cg=4, critical=0.25, critical_batch=2,
    critical_patch=32, solve=6, adjoint=4,
)  # fmt: skip
RIDGE = RidgeConfig(widths=(2, 3, 6), size=3)
STEP = GradientStepConfig(widths=(4, 6, 8), embedding=6)


class Steep(GradientStepNet):
    """Drawn weights bend more than trained ones."""

    def bend(self, sigma: Tensor) -> Tensor:
        return torch.full_like(sigma, 4.0)


def energy(family: str) -> Energy:
    with seeded(3):
        if family == "ridge":
            return RidgeNet(RIDGE)
        net = Steep(STEP)
        with torch.no_grad():
            net.exit.mul_(4)  # what is learned weighs something beside the high-pass
        return net


def clean(channels: int = 1, side: int = SIDE) -> Tensor:
    """Smooth pictures, in float64."""
    rows = torch.linspace(0, 4, side, dtype=torch.float64)
    waves = (rows[:, None] + 1.7 * rows.square()).sin() * (1.3 * rows).cos()
    return (0.5 + 0.3 * torch.stack([waves, waves.T])[:, None]).expand(-1, channels, -1, -1)


def pictures(count: int = 2) -> list[Tensor]:
    found = clean(side=40)[:, 0]
    return [(255 * found[i % 2]).round().to(torch.uint8)[None] for i in range(count)]


def problem(kind: str, level: float = 0.05, weight: float = 0.8) -> Restoration:
    x, generator = clean(), torch.Generator().manual_seed(4)
    data: Circular | Pixels
    if kind == "blur":
        data = Circular(blurred(x, [kernels.gaussian(0.8).double()], level, generator))
    else:
        data = Pixels(masked(x, [0.4, 0.2], level, generator))
    return Restoration(data, x.new_full((2,), level), x.new_full((2, 1, 1, 1), weight))


# ---- the derivative at a critical point ----------------------------------------------------------


def converged(net: Energy, posed: Restoration, start: Tensor | None = None) -> Tensor:
    start = continuation(net, posed) if start is None else start
    return critical_point(net, posed, start, 4000, change=1e-14)


def identity_for_the_hessian(net: Energy, posed: Restoration, x: Tensor) -> Tensor:
    """What is differentiated with (AᵀA + λ)v = dloss/dx."""
    error = x - clean()
    slope = error / error.square().mean((1, 2, 3), keepdim=True) / error[0].numel()
    v = posed.data.inverse(slope, posed.weight)
    return -(net.gradient(x, posed.level) * posed.weight * v).sum() / len(x)


def half_log(x: Tensor) -> float:
    return float(0.5 * (x - clean()).square().mean((1, 2, 3)).log().mean())


def derivatives(family: str, kind: str) -> tuple[float, float, float]:
    """Along a random direction of the weights: stated, with the identity, and by differences."""
    net, posed = energy(family).double(), problem(kind)
    x = converged(net, posed)
    weights = list(net.parameters())
    directions = [noise(p) * p.detach().abs().mean() for p in weights]

    def along(differentiated: Tensor) -> float:
        slopes = torch.autograd.grad(differentiated, weights, allow_unused=True)
        pairs = zip(slopes, directions, strict=True)
        return float(sum((s * d).sum() for s, d in pairs if s is not None))

    stated = along(loss_at(net, posed, x, clean(), 400, 1e-26)[0])
    wrong = along(identity_for_the_hessian(net, posed, x))
    values, size = [], 1e-5
    for sign in (1, -2):
        with torch.no_grad():
            for p, d in zip(weights, directions, strict=True):
                p += sign * size * d
        values.append(half_log(converged(net, posed, x)))
    return stated, wrong, (values[0] - values[1]) / (2 * size)


@pytest.mark.parametrize("kind", ["blur", "missing"])
@pytest.mark.parametrize("family", ["gradient-step", "ridge"])
def test_the_derivative_at_a_critical_point_is_that_of_the_loss(family: str, kind: str) -> None:
    stated, wrong, found = derivatives(family, kind)
    # A ridge energy has kinks in its gradient, which a difference quotient may step over.
    assert stated == pytest.approx(found, rel=1e-6 if family == "gradient-step" else 1e-2)
    # The twin: with the identity in place of the Hessian it is not.
    assert wrong != pytest.approx(found, rel=0.1)


@pytest.mark.parametrize("kind", ["blur", "missing"])
@torch.no_grad()
def test_a_critical_point_is_one(kind: str) -> None:
    net, posed = energy("gradient-step").double(), problem(kind)
    x = converged(net, posed)
    slope = posed.data.gram(x) - posed.data.back + posed.weight * net.gradient(x, posed.level)
    assert float(slope.abs().max()) < 1e-9
    # The twin: the continuation alone is no critical point.
    x = continuation(net, posed)
    slope = posed.data.gram(x) - posed.data.back + posed.weight * net.gradient(x, posed.level)
    assert float(slope.abs().max()) > 1e-4


@pytest.mark.parametrize("kind", ["blur", "missing"])
def test_the_normal_operator_and_its_inverse_belong_together(kind: str) -> None:
    posed = problem(kind)
    x, y = noise(clean()), noise(clean(), 1)
    shift = torch.full((2, 1, 1, 1), 0.3, dtype=torch.float64)
    back = posed.data.inverse(posed.data.gram(x) + shift * x, shift)
    assert torch.allclose(back, x, atol=1e-12)
    assert torch.allclose(dots(posed.data.gram(x), y), dots(x, posed.data.gram(y)), atol=1e-12)


def test_a_picture_at_a_saddle_is_left_out() -> None:
    """Where the curvature is negative there is no implicit function to follow."""

    class Concave(Energy):
        def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
            return self.value_and_gradient(x, sigma)[0]

        def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
            return -5 * x.square().sum((1, 2, 3)), -10 * x

        def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
            return x - self.gradient(x, sigma)

    posed = problem("missing")
    found = adjoint(Concave(), posed, clean(), noise(clean()), 20)
    assert not found.solved.any()
    assert not found.solution.any()
    kept = adjoint(energy("gradient-step").double(), posed, clean(), noise(clean()), 60)
    assert kept.solved.all()


# ---- runs ----------------------------------------------------------------------------------------


def trainer(folder: Path, family: str, recipe: EnergyRecipe = SMALL) -> EnergyTrainer:
    return EnergyTrainer(energy(family), recipe, pictures(), pictures(1), folder)


MUON = replace(SMALL, optimiser="muon")


@pytest.mark.parametrize(
    ("family", "recipe"), [("ridge", SMALL), ("gradient-step", SMALL), ("gradient-step", MUON)]
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path, family: str, recipe: EnergyRecipe
) -> None:
    whole = trainer(tmp_path / "whole", family, recipe)
    assert whole.run(lambda _: None, every=2)
    first = trainer(tmp_path / "parts", family, recipe)
    first.run(lambda _: None, every=2, stop=lambda: first.step == 3)
    assert first.step == 3
    second = trainer(tmp_path / "parts", family, recipe)
    assert second.at_critical_points
    assert second.best["step"] == 2
    assert second.run(lambda _: None, every=2)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[key]), key
    assert whole.best["score"] == second.best["score"]


def test_the_best_weights_are_kept_apart(tmp_path: Path) -> None:
    run = trainer(tmp_path, "gradient-step")
    run.psnr = run.validate()
    kept = {key: value.clone() for key, value in run.best["average"].items()}
    for damage in (0.5, float("nan")):
        for value in run.average.parameters():
            value.add_(damage * noise(value))
        run.validate()
        assert all(torch.equal(kept[key], value) for key, value in run.best["average"].items())
    # The twin: a score that any validation beats keeps the damage.
    run.best["score"] = -1e9
    run.average.load_state_dict({key: value + 0.01 for key, value in kept.items()})
    run.validate()
    assert not torch.equal(kept["exit"], run.best["average"]["exit"])


@pytest.mark.parametrize(
    ("family", "rate", "critical"),
    [("ridge", 3e-2, 0.0), ("gradient-step", 1e-2, 0.0), ("gradient-step", 3e-3, 1.0)],
)
def test_training_lowers_its_loss(
    tmp_path: Path, family: str, rate: float, critical: float
) -> None:
    recipe = replace(
        SMALL, steps=25, learning_rate=rate, critical=critical, critical_rate=1.0, solve=12
    )
    run = trainer(tmp_path, family, recipe)
    start = run.generator.get_state()

    def loss() -> float:
        now = run.generator.get_state()
        run.generator.set_state(start)
        found = sum(float(run.objective().detach()) for _ in range(4)) / 4
        run.generator.set_state(now)
        return found

    before = loss()
    while run.step < 24:
        run.train_step()
    assert loss() < before - 0.02


def test_levels_jitter_and_kinds_are_drawn_from_the_generator() -> None:
    x = clean(side=32).float()
    drawn = [draw(x, SMALL, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0].data.back, drawn[1].data.back)
    assert not torch.equal(drawn[0].level, drawn[2].level)
    kinds = {type(draw(x, SMALL, torch.Generator().manual_seed(s)).data) for s in range(12)}
    assert kinds == {Circular, Pixels}


def test_the_coarse_beginning_leaves_no_trace() -> None:
    net, posed = energy("gradient-step"), problem("blur")
    posed = Restoration(
        Circular(blurred(clean().float(), [kernels.gaussian(0.8)], 0.05, torch.Generator())),
        posed.level.float(), posed.weight.float(),
    )  # fmt: skip
    fine = reached(net, posed, Effort(200, 1))
    coarse = reached(net, posed, Effort(200, 1, coarse=True))
    assert net.compute_dtype is None
    assert float((fine - coarse).abs().max()) < 2e-2


# ---- tasks and models ----------------------------------------------------------------------------


def task(data: Path, **fields: Any) -> EnergyTask:
    widths = {"ridge": "2,3,6", "gradient-step": "4,6,8"}[fields.get("family", "ridge")]
    network = {"widths": widths, "family": fields.pop("family", "ridge")}
    values: dict[str, Any] = {
        "name": "small", "network": network, "recipe": asdict(SMALL), "data": data, "threads": 1,
        "description": {}, "made_with": {}, "hold_out": 1,
    }  # fmt: skip
    return EnergyTask.of({**values, **fields})


@pytest.mark.parametrize("family", ["ridge", "gradient-step"])
def test_a_run_becomes_a_model_that_is_true_and_can_be_trained_on(
    tmp_path: Path, family: str
) -> None:
    run, _ = start_or_resume(tmp_path / "run", task(SAMPLES, family=family), "cpu")
    assert isinstance(run, EnergyTrainer)
    run.run(lambda _: None, every=4)
    card = export_run(tmp_path / "run", tmp_path, "small")
    denoiser = load_denoiser(str(card))
    kept = run.best["average"]
    assert all(torch.equal(v, kept[k]) for k, v in denoiser.function.state_dict().items())
    assert denoiser.card["training"]["best_step"] == 4
    found = read_card(find_card(str(card)))
    assert family_of(found).verify(found, attack_steps=0).problems == []

    given = EnergyTask.completed({"beginning": {"model": str(card)}, "recipe": asdict(SMALL)})
    assert EnergyTask.defaults(given)["name"] == "small_trained"
    again, _ = start_or_resume(
        tmp_path / "again", task(SAMPLES, network=given["network"], beginning=given["beginning"]),
        "cpu",
    )  # fmt: skip
    for key, value in again.network.state_dict().items():
        assert torch.equal(value, kept[key])
    checkpoint = str(tmp_path / "run" / "checkpoint.pt")
    assert EnergyTask.completed({"beginning": {"model": checkpoint}})["network"]["family"] == family


def test_what_begins_with_an_energy_has_its_network() -> None:
    model = str(SAMPLES.parents[1] / "trained_models" / "energies" / "ridge_grey.json")
    with pytest.raises(InputError, match=r"widths is that of .*; leave it out"):
        EnergyTask.completed({"beginning": {"model": model}, "network": {"widths": "2,2,2"}})
    with pytest.raises(InputError, match="EulerNet is no learned energy"):
        EnergyTask.completed({"beginning": {"model": "euler_grey"}})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"family": "spline"}, "unknown energy 'spline'; known: ridge, gradient-step"),
        ({"widths": "4,8"}, "expected three widths"),
        ({"widths": "4,x,8"}, "there is no such energy"),
        ({"channels": 2}, "expected 1 .grey. or 3"),
    ],
)
def test_networks_that_there_are_not(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Architecture(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"critical": 1.5}, "critical is 1.5; expected 0 to 1"),
        ({"solve": 0}, "solve is 0; expected at least 1"),
        ({"strength": 0.0}, "strength is 0; expected a positive number"),
        ({"denoising": -1.0}, "denoising is -1; expected 0 or more"),
        ({"critical": 0.5, "critical_patch": 24}, "expected at least 31"),
    ],
)
def test_recipes_that_there_are_not(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        EnergyRecipe(**fields)


def test_muon_is_for_gradient_step_energies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="take adam"):
        trainer(tmp_path, "ridge", MUON)
