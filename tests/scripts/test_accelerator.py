"""Training of learned energies: a dry run on the CPU, and what survives a phase that goes wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pnp_recon import load_denoiser
from scripts.accelerator import cards, run, train
from scripts.accelerator.data import Patches, split
from scripts.accelerator.files import Files
from scripts.accelerator.losses import ProximalLoss
from scripts.accelerator.optimiser import Optimiser, orthogonalise
from scripts.accelerator.settings import CONFIGS, Settings, parse
from scripts.accelerator.step import Stepper

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"
# What the machine with the GPU lacks.
ABSENT = ("deepinv", "odl", "skimage", "scipy", "jaxtyping", "tifffile", "imagecodecs", "typer")
SMALL = {
    "data": SAMPLES,
    "device": "cpu",
    "batch": 2,
    "patch": 32,
    "every": 2,
    "validation_size": 32,
    "critical_seconds": 0.0,
    "seconds": 1e6,
    "inner": 4,
    "cg": 3,
}


def small(name: str, **changed: Any) -> Settings:
    widths = "2,2,6" if name.startswith("ridge") else "4,6,8"
    return Settings(name, **{**SMALL, "widths": widths, **changed})


@pytest.mark.parametrize("name", CONFIGS)
def test_a_dry_run_ends_in_a_model(name: str, tmp_path: Path) -> None:
    info = train.train(small(name, out=tmp_path, steps=4))
    assert info["steps"] == 4
    assert len(info["validations"]) >= 1
    assert info["sha256"]
    cards.main([str(tmp_path / name), "--to", str(tmp_path / "models"), "--note", "A dry run."])
    denoiser = load_denoiser(str(tmp_path / "models" / name))
    assert denoiser.channels == CONFIGS[name].channels
    card = json.loads((tmp_path / "models" / f"{name}.json").read_text())
    assert card["notes"] == ["A dry run."]
    assert card["training"]["recipe"]["batch"] == 2
    kept = load_file(tmp_path / f"{name}.best.safetensors")
    assert all(torch.equal(v, kept[k]) for k, v in denoiser.function.state_dict().items())


def test_weights_that_were_trained_on_become_a_model(tmp_path: Path) -> None:
    init = str(ROOT / "trained_models" / "ridge_grey.json")
    state = load_denoiser(init).function.state_dict()
    torch.save({"ema": {key: value + 0.01 for key, value in state.items()}}, tmp_path / "run.pt")
    facts = {
        "steps": 7,
        "seconds": 2.0,
        "device": "CPU",
        "recipe": {"rate": 1e-4},
        "bsd68": {"5": 1},
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    call = [str(tmp_path / "run.pt"), "--key", "ema", "--init", init]
    call += ["--to", str(tmp_path / "to")]
    with pytest.raises(SystemExit, match="the facts lack steps"):
        cards.main(call)
    cards.main([*call, "--facts", str(tmp_path / "facts.json")])
    denoiser = load_denoiser(str(tmp_path / "to" / "ridge_grey.json"))
    found = denoiser.function.state_dict()
    assert all(torch.equal(found[key], value + 0.01) for key, value in state.items())
    training = denoiser.card["training"]
    assert [stage["steps"] for stage in training["recipe"]["stages"]] == [780, 7]
    assert training["steps"] == 787
    # Figures of the old weights are not handed down.
    assert set(denoiser.card["figures"]) == {"bsd68", "measured_on"}


def test_a_phase_that_goes_wrong_cannot_touch_the_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper = Stepper(small("energy_grey", out=tmp_path))
    files = Files(stepper)
    good = files.validate(10)
    kept = (tmp_path / "energy_grey.best.safetensors").read_bytes()
    for damage in (0.5, float("nan")):
        for average in stepper.optimiser.average:
            average.add_(damage * torch.randn_like(average))
        assert not files.validate(20) > good
        assert (tmp_path / "energy_grey.best.safetensors").read_bytes() == kept
    files.save(steps=20)
    assert json.loads((tmp_path / "energy_grey.json").read_text())["best_step"] == 10
    # The twin: a driver that keeps whatever comes last would have lost them.
    files.best = -float("inf")
    monkeypatch.setattr(train.evaluate, "denoising", lambda *_: {"5": 1.0})
    files.validate(30)
    assert (tmp_path / "energy_grey.best.safetensors").read_bytes() != kept


def test_a_run_goes_on_from_its_state(tmp_path: Path) -> None:
    first = small("ridge_grey", out=tmp_path / "a", steps=2)
    train.train(first)
    state = tmp_path / "a" / "ridge_grey.state.safetensors"
    again = small("ridge_grey", out=tmp_path / "b", steps=2, resume=str(state), restart=True)
    info = train.train(again)
    assert info["steps"] == 4
    assert info["validations"][0][0] == 2


def test_the_loss_at_critical_points_runs(tmp_path: Path) -> None:
    stepper = Stepper(small("energy_grey", out=tmp_path, critical=0.5))
    plan = train.phases(stepper.settings, cuda=False)
    assert [phase.kind for phase in plan] == ["denoise", "critical"]
    stepper.optimiser.rate.fill_(1.0)
    before = stepper.optimiser.snapshot()["p.exit"]
    stepper.step(plan[1])
    stepper.step(plan[1])
    assert math.isfinite(stepper.mean_loss())
    assert not torch.equal(stepper.optimiser.snapshot()["p.exit"], before)


def proximal_derivative(cg: int) -> tuple[float, float]:
    """The derivative of the loss along a direction of the filters, stated and by differences."""
    stepper = Stepper(small("ridge_grey", patch=16))
    energy: Any = stepper.energy.double()
    with torch.no_grad():
        energy.logit_mu.sub_(2.0)  # well conditioned, so that few iterations are enough
    clean = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    noisy, sigma = clean + 0.1 * torch.randn_like(clean), torch.full((2,), 0.1).double()
    loss = ProximalLoss(energy, 400, cg, torch.device("cpu"))
    (parameter,) = [p for n, p in energy.named_parameters() if n == "rise"]
    direction = torch.randn_like(parameter)
    (found,) = torch.autograd.grad(loss(noisy, clean, sigma)[0], parameter)

    def at(h: float) -> float:
        with torch.no_grad():
            parameter.add_(h * direction)
            value = float(loss_value(loss, noisy, clean, sigma))
            parameter.sub_(h * direction)
        return value

    h = 1e-4
    return float((found * direction).sum()), (at(h) - at(-h)) / (2 * h)


def loss_value(loss: Callable[..., Any], *arguments: Tensor) -> Tensor:
    with torch.enable_grad():
        return loss(*arguments)[1]


def test_proximal_maps_are_differentiated_implicitly() -> None:
    stated, measured = proximal_derivative(60)
    assert stated == pytest.approx(measured, rel=1e-2)
    # The twin: without the inverse of I + ∇²R it is another number.
    stated, measured = proximal_derivative(0)
    assert stated != pytest.approx(measured, rel=1e-2)


def test_updates_skip_what_is_not_finite() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimiser = Optimiser({"a": parameter}, [], 0.1, 0.1)
    optimiser.rate.fill_(1.0)
    optimiser.step([torch.full((3,), float("nan"))], torch.tensor(1.0))
    assert torch.equal(parameter.detach(), torch.ones(3))
    assert float(optimiser.skipped) == 1
    optimiser.step([torch.ones(3)], torch.tensor(1.0))
    assert bool((parameter < 1).all())


def test_orthogonalised_updates_are_nearly_orthogonal() -> None:
    m = torch.randn(2, 6, 9)
    values = torch.linalg.svdvals(orthogonalise(m, torch.float32))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.3
    assert float(torch.linalg.svdvals(m).min()) < 0.6 or float(torch.linalg.svdvals(m).max()) > 1.3


def test_patches_are_cut_from_pictures_that_are_not_held_out() -> None:
    pictures = split(SAMPLES)
    assert not set(pictures.training) & set(pictures.validation)
    patches = Patches(pictures.training, 3, torch.device("cpu")).draw(3, 16)
    assert patches.shape == (3, 3, 16, 16)
    assert 0 <= float(patches.min()) < float(patches.max()) <= 1


def test_every_training_has_its_turn() -> None:
    plan = run.plan(list(CONFIGS), 1000.0, 540.0, 40.0, 0.2, 0.5)
    assert plan["ridge_grey"] == plan["ridge_colour"] == (0.0, 1108.0)
    assert plan["energy_colour"] == (1108.0, 1304.0)
    assert plan["energy_grey"] == (1304.0, 1500.0)
    assert run.plan(["energy_grey"], 1000.0, 540.0, 40.0, 0.2, 0.5) == {
        "energy_grey": (0.0, 1500.0)
    }


def test_flags_are_the_fields() -> None:
    found = parse(["ridge_grey", "--inner", "7", "--restart", "--data", "x"], "")
    assert (found.inner, found.restart, found.data) == (7, True, Path("x"))
    assert (found.batch, Settings("energy_grey").batch) == (48, 64)
    with pytest.raises(ValueError, match="unknown energy"):
        Settings("energy_blue")


@pytest.mark.parametrize(
    ("hidden", "imported", "works"),
    [
        (
            ABSENT,
            "scripts.accelerator.train, scripts.accelerator.run, scripts.accelerator.smoke",
            1,
        ),
        (("deepinv", "odl"), "pnp_recon.models.export, scripts.accelerator.cards", 1),
        (("torch",), "scripts.accelerator.train", 0),
    ],
)
def test_the_trainer_needs_few_libraries(
    hidden: tuple[str, ...], imported: str, works: int
) -> None:
    code = f"import sys\nfor name in {hidden}: sys.modules[name] = None\nimport {imported}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode == 0) == bool(works), done.stderr
