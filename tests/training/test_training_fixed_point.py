"""Training at the fixed point: the implicit gradient, exact resume, the certificate, learning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from operators import Convolution, Inpainting, kernels
from pnp_recon.cli.train import main
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.models.weights import export, load_network
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.pictures.files import write_picture
from pnp_recon.training.denoiser.task import build_network
from pnp_recon.training.fixed_point.equilibrium import fixed_point, implicit_loss
from pnp_recon.training.fixed_point.problems import Problem, blurred, draw, masked, posed
from pnp_recon.training.fixed_point.task import FirstWeights, FixedPointRun, first_weights
from pnp_recon.training.fixed_point.trainer import (
    FixedPointRecipe,
    FixedPointTrainer,
    restoration_psnr,
)
from pnp_recon.training.runs import export_run, start_or_resume

TINY = EulerConfig(width=8, hidden=8, blocks=2)
RECIPE = FixedPointRecipe(
    steps=4,
    batch=2,
    patch=32,
    learning_rate=2e-3,
    warmup=1,
    ema=0.5,
    bf16=False,
    iterations=4,
    terms=2,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(count: int = 2, side: int = 40) -> list[Tensor]:
    """Smooth stripes with a rectangle each, uint8."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    out = []
    for i in range(count):
        stripes = 0.5 + 0.3 * torch.sin(0.3 * rows + 0.2 * (i + 1) * columns)
        stripes[8:20, 4 + 2 * i : 16] = 0.2 + 0.2 * i
        out.append((stripes * 255).to(torch.uint8)[None])
    return out


def clean(side: int = 32) -> Tensor:
    return torch.stack(pictures(side=side)).double() / 255


# Of the pictures at whose fixed points gradients are taken.
SIDE = 16


def problems() -> list[Problem]:
    generator, x = torch.Generator().manual_seed(1), clean(SIDE)
    blur = blurred(x, [kernels.linear_motion(7, 30)], 8 / 255, generator)
    missing = masked(x, [0.5, 0.3], 8 / 255, generator)
    return [posed("blur", blur, 8 / 255), posed("inpainting", missing, 8 / 255)]


def fresh(seed: int) -> EulerNet:
    """With thresholds near the noise: few clips are active, and fixed points are near."""
    network = build_network(TINY, seed)
    with torch.no_grad():
        for block in network.euler_blocks():
            block.threshold.zero_()
            block.threshold[0] = -1.0
    return network


def net(seed: int = 0) -> EulerNet:
    network = fresh(seed).double().eval()
    network.certify()
    return network


# --- problems --------------------------------------------------------------------------------


def test_proximal_maps_are_those_of_the_fidelity() -> None:
    x, z = clean(), torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    kernel = kernels.trajectory(9, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    blur = blurred(x, [kernel], 0.0, generator)
    A = Convolution(kernel, (1, 32, 32))
    torch.testing.assert_close(blur.y, A.A(x))
    expected, _ = LeastSquares(A, blur.y).prox(z, 3.0)
    torch.testing.assert_close(blur.prox(z, 3.0), expected)
    missing = masked(x, [0.4, 0.4], 0.0, generator)
    for i in range(2):
        mask = Inpainting(missing.mask[i, 0], (1, 32, 32))
        y = mask.A(x[i : i + 1])
        expected, _ = LeastSquares(mask, y).prox(z[i : i + 1], 3.0)
        torch.testing.assert_close(missing.prox(z, 3.0)[i : i + 1], expected)


def test_every_picture_has_its_own_kernel() -> None:
    x = clean()
    two = [kernels.gaussian(1.2), kernels.linear_motion(9, 70)]
    both = blurred(x, two, 0.0, torch.Generator())
    for i, kernel in enumerate(two):
        torch.testing.assert_close(
            both.y[i], blurred(x[i : i + 1], [kernel], 0.0, torch.Generator()).y[0]
        )
    with pytest.raises(InputError, match="33×33 does not fit"):
        blurred(x, [kernels.gaussian(4)], 0.0, torch.Generator())


def test_draws_follow_from_the_seed_and_cover_all_kinds() -> None:
    found = [draw(clean(), 0.3, torch.Generator().manual_seed(seed)) for seed in range(40)]
    assert {p.name for p in found} == {"motion", "trajectory", "gaussian", "inpainting"}
    again = draw(clean(), 0.3, torch.Generator().manual_seed(7))
    assert torch.equal(again.data.y, found[7].data.y)
    assert again.level == found[7].level
    blurs = [p for p in found if p.name != "inpainting"]
    assert all(1.99 < 255 * p.noise_level < 15.01 for p in blurs)
    # γ = c (level/σ)², whatever the strength.
    assert all(p.coupling == pytest.approx(5.5 * (p.level / p.noise_level) ** 2) for p in blurs)
    assert min(p.noise_level for p in found) == 0.0
    drawn = draw(clean(), 1.0, torch.Generator().manual_seed(0))
    assert drawn.solver == "pnp-drs"
    assert 0 <= drawn.start().min() <= drawn.start().max() <= 1


# --- the fixed point and its gradient --------------------------------------------------------


@pytest.mark.parametrize("problem", problems(), ids=lambda p: p.name)
@torch.no_grad()
def test_acceleration_reaches_the_fixed_point_of_the_plain_iteration(problem: Problem) -> None:
    network = net()
    plain = z = problem.start()
    for _ in range(600):
        plain = problem.step(network, plain)
    z = fixed_point(lambda z: problem.step(network, z), z, 100)
    assert (problem.step(network, plain) - plain).abs().max() < 1e-5
    assert (problem.image(z) - problem.image(plain)).abs().max() < 1e-4


def gradient(problem: Problem, network: EulerNet, terms: int, direction: list[Tensor]) -> float:
    """Directional derivative of the error at the fixed point, implicitly."""

    def step(z: Tensor) -> Tensor:
        return problem.step(network, z)

    z = fixed_point(step, problem.start(), 300)
    loss = implicit_loss(step, z, lambda z: error(problem, z), terms)
    slopes = torch.autograd.grad(loss, list(network.parameters()))
    return float(sum((s * d).sum() for s, d in zip(slopes, direction, strict=True)))


def error(problem: Problem, z: Tensor) -> Tensor:
    return (problem.image(z) - clean(SIDE)).square().mean()


@torch.no_grad()
def difference(problem: Problem, network: EulerNet, direction: list[Tensor]) -> float:
    """The same by central differences of the error at the very fixed points."""
    values, size = [], 1e-5
    for sign in (1, -2):
        for weight, d in zip(network.parameters(), direction, strict=True):
            weight += sign * size * d
        z = fixed_point(lambda z: problem.step(network, z), problem.start(), 300)
        values.append(float(error(problem, z)))
    for weight, d in zip(network.parameters(), direction, strict=True):
        weight += size * d
    return (values[0] - values[1]) / (2 * size)


@pytest.mark.parametrize("problem", problems(), ids=lambda p: p.name)
def test_implicit_gradient_is_that_of_the_error_at_the_fixed_point(problem: Problem) -> None:
    network = net()
    generator = torch.Generator().manual_seed(2)
    direction = [torch.randn(w.shape, generator=generator).double() for w in network.parameters()]
    expected = difference(problem, network, direction)
    assert gradient(problem, network, 80, direction) == pytest.approx(expected, rel=1e-4)
    # Cut off at once it is another number: the test can fail.
    assert gradient(problem, network, 0, direction) != pytest.approx(expected, rel=1e-2)


def test_terms_are_steps_of_backpropagation() -> None:
    problem, network = problems()[0], net()
    parameters = list(network.parameters())
    z = fixed_point(lambda z: problem.step(network, z), problem.start(), 300)
    loss = implicit_loss(
        lambda z: problem.step(network, z), z, lambda z: error(problem, z), terms=3
    )
    unrolled = z
    for _ in range(4):
        unrolled = problem.step(network, unrolled)
    assert float(loss.detach()) == pytest.approx(float(error(problem, unrolled).detach()))
    pairs = zip(
        torch.autograd.grad(loss, parameters),
        torch.autograd.grad(error(problem, unrolled), parameters),
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


# --- runs ------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return export(fresh(5), tmp_path / "models", "first", (1 / 255, 50 / 255), {})


def settings(tmp_path: Path, model: Path) -> FixedPointRun:
    folder = tmp_path / "pictures"
    folder.mkdir(exist_ok=True)
    for i, picture in enumerate(pictures()):
        write_picture(folder / f"{i}.png", picture[None].float() / 255, overwrite=True)
    network, sha256, _ = first_weights(str(model))
    return FixedPointRun(
        name="tiny",
        network=EulerConfig(**network),
        recipe=replace(RECIPE, steps=2),
        hold_out=None,
        beginning=FirstWeights(str(model), sha256),
        data=folder,
        threads=1,
        description={},
        made_with={},
    )


def test_a_run_begins_with_the_model_and_exports_its_own_certificate(
    tmp_path: Path, model: Path
) -> None:
    run = settings(tmp_path, model)
    first = first_weights(str(model))[2]
    running, run = start_or_resume(tmp_path / "run", run, "cpu")
    held = running.network.state_dict()
    assert all(torch.equal(held[key], value) for key, value in first.items())
    running.run(lambda line: None, every=2)
    card_path = export_run(tmp_path / "run", tmp_path / "out")
    card = json.loads(card_path.read_text())
    trained, _ = load_network(str(card_path))
    # Proven anew for the weights that came out, which are not those that it began with.
    alpha = card["certificate"]["averagedness"]
    assert trained.check().averagedness == pytest.approx(alpha, abs=1e-9)
    assert 0 < alpha < 1
    assert alpha != json.loads(model.read_text())["certificate"]["averagedness"]
    assert card["began_with"]["model"] == "first"
    assert {"psnr_15", "psnr_motion", "psnr_inpainting"} <= set(card["validation"]["psnr_db"])
    # On from the run's own checkpoint: its averaged weights.
    network, _, state = first_weights(str(tmp_path / "run" / "checkpoint.pt"))
    assert EulerConfig(**network) == TINY
    average = running.average.state_dict()
    assert all(torch.equal(state[key], value) for key, value in average.items())


def test_what_is_no_beginning_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(InputError, match="has no certificate"):
        first_weights("dncnn_grey")
    with pytest.raises(InputError, match="does not exist"):
        first_weights(str(tmp_path / "checkpoint.pt"))
    run = settings(tmp_path, model)
    export(fresh(6), model.parent, "first", (1 / 255, 50 / 255), {})
    with pytest.raises(InputError, match="no longer the model"):
        start_or_resume(tmp_path / "run", run, "cpu")


def test_the_command_trains_resumes_and_says_what_is_missing(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = settings(tmp_path, model).data
    run = ["fixed-point", "-o", str(tmp_path / "run"), "--quiet", "--no-tensorboard"]
    assert main([*run, "--data", str(data)]) == 2
    assert "--init" in capsys.readouterr().err
    options = ["--batch", "1", "--patch", "32", "--iterations", "4", "--terms", "1"]
    options += ["--steps", "2", "--threads", "1", "--name", "tiny"]
    assert main([*run, "--data", str(data), "--init", str(model), *options]) == 0
    assert (tmp_path / "run" / "tiny.json").exists()
    assert list((tmp_path / "run" / "samples").glob("*.png"))
    assert main(run) == 0
    assert main([*run, "--terms", "2"]) == 2
    assert "terms 1 (now 2)" in capsys.readouterr().err
