"""The trainer: seeded patches, schedule, exact resume, refusals, and that it learns."""

from __future__ import annotations

import ast
import copy
import math
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pnp_recon.training.trainer as training_module
from pnp_recon.datasets.folders import load_training_data
from pnp_recon.datasets.splits import held_out
from pnp_recon.errors import InputError
from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.pictures.files import read_picture, write_picture
from pnp_recon.pictures.sheets import sample_sheet, write_sheet
from pnp_recon.training.denoiser.task import build_network
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.optimisers import Optimiser, filters_of
from pnp_recon.training.recipe import DenoiserRecipe, learning_rate_factor, random_patches
from pnp_recon.training.trainer import Progress, read_checkpoint
from pnp_recon.training.validation import refreshed, validation_psnr

TINY = EulerConfig(width=8, hidden=8, blocks=2)
RECIPE = DenoiserRecipe(steps=12, batch=2, patch=16, learning_rate=1e-2, warmup=3, bf16=False)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pictures(count: int = 3, channels: int = 1, side: int = 32) -> list[Tensor]:
    """Smooth stripes with a rectangle each, uint8."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    out = []
    for i in range(count):
        stripes = 0.5 + 0.4 * torch.sin(0.2 * rows + 0.1 * (i + 1) * columns)
        stripes[8:20, 4 + 2 * i : 16] = 0.2 + 0.2 * i
        out.append((stripes * 255).to(torch.uint8).repeat(channels, 1, 1))
    return out


def trainer(folder: Path, recipe: DenoiserRecipe = RECIPE, config: EulerConfig = TINY):
    images = pictures(channels=config.channels)
    return DenoiserTrainer(build_network(config, recipe.seed), recipe, images, images[:1], folder)


def ignore(progress: Progress) -> None:
    pass


def weights(done: DenoiserTrainer) -> dict[str, Tensor]:
    own = {f"network.{key}": value for key, value in done.network.state_dict().items()}
    return own | {f"average.{key}": value for key, value in done.average.state_dict().items()}


def differing(a: DenoiserTrainer, b: DenoiserTrainer) -> list[str]:
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    return [key for key in ours if not torch.equal(ours[key], theirs[key])]


# --- patches, schedule, recipe ---------------------------------------------------------------


def test_patches_take_all_eight_symmetries_equally_often():
    picture = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4)
    turned = [torch.rot90(picture, k, (1, 2)) for k in range(4)]
    expected = {tuple(p.flatten().tolist()) for t in turned for p in (t, t.flip(2))}
    generator = torch.Generator().manual_seed(0)
    patches = (random_patches([picture], 800, 4, generator) * 255).round().int()
    found = Counter(tuple(patch.flatten().tolist()) for patch in patches)
    assert set(found) == expected
    # Binomial with mean 100: five standard deviations.
    assert all(abs(count - 100) < 48 for count in found.values())


def test_patches_are_seeded_and_cover_the_picture():
    images = pictures(2, 3)
    draw = [random_patches(images, 6, 8, torch.Generator().manual_seed(s)) for s in (5, 5, 6)]
    assert draw[0].shape == (6, 3, 8, 8)
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    corners = torch.zeros(1, 9, 9, dtype=torch.uint8)
    corners[0, 0, 0] = corners[0, 8, 8] = 255
    hits = random_patches([corners], 200, 8, torch.Generator().manual_seed(0)).amax((1, 2, 3))
    assert 0 < hits.mean() < 1  # the first and the last position are both drawn, and others too


def test_patch_larger_than_a_picture_is_refused():
    with pytest.raises(InputError, match="32×32 is smaller than the patch of 40×40"):
        random_patches(pictures(), 1, 40, torch.Generator())


def test_learning_rate_warms_up_then_falls_to_one_percent():
    recipe = replace(RECIPE, steps=100, warmup=10)
    factors = [learning_rate_factor(step, recipe) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1 * (k + 1) for k in range(10)])
    assert factors[10] == pytest.approx(1.0)
    assert all(a > b for a, b in pairwise(factors[10:]))
    assert factors[100] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sigma_max": 25.0}, "write 25/255, not 25"),
        ({"sigma_min": 0.0}, "sigma-min is 0"),
        ({"sigma_max": math.nan}, "sigma-max is nan"),
        ({"sigma_min": 0.2, "sigma_max": 0.1}, "swap them"),
        ({"steps": 0}, "steps is 0"),
        ({"patch": -1}, "patch is -1"),
        ({"learning_rate": math.inf}, "learning rate inf"),
        ({"ema": 1.0}, "ema 1"),
    ],
)
def test_recipe_refuses_values_outside_their_range(change, words):
    with pytest.raises(InputError, match=words):
        replace(RECIPE, **change)


def test_validation_levels_lie_in_the_trained_range():
    assert RECIPE.validation_levels() == (5 / 255, 15 / 255, 25 / 255)
    narrow = replace(RECIPE, sigma_min=4 / 255, sigma_max=9 / 255)
    assert narrow.validation_levels() == (5 / 255,)
    between = replace(RECIPE, sigma_min=6 / 255, sigma_max=6 / 255)
    assert between.validation_levels() == pytest.approx((6 / 255,))


# --- exact resume ----------------------------------------------------------------------------

CONFIGS = [
    TINY,
    replace(TINY, activation="spline", lifting="haar"),
    replace(TINY, channels=3, width=14, activation="relu", lifting="orthonormal"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.activation}-{c.lifting}")
def test_an_interrupted_run_gives_the_same_weights_bit_by_bit(tmp_path, config):
    whole = trainer(tmp_path / "whole", config=config)
    assert whole.run(ignore, every=100)
    first = trainer(tmp_path / "parts", config=config)
    # Stopped between two validations, and validated more often: neither may matter.
    assert not first.run(ignore, every=5, stop=lambda: first.step == 7)
    second = trainer(tmp_path / "parts", config=config)
    assert second.step == 7
    assert second.run(ignore, every=5)
    assert differing(whole, second) == []
    assert second.loss == whole.loss


@pytest.mark.parametrize("forgotten", ["generator", "optimiser", "average", "vector"])
def test_forgetting_a_part_of_the_state_changes_the_weights(tmp_path, forgotten):
    """Twin of the law above: it does see each part of the state."""
    whole = trainer(tmp_path / "whole")
    whole.run(ignore, every=100)
    first = trainer(tmp_path / "parts")
    first.run(ignore, every=100, stop=lambda: first.step == 7)
    fresh, second = trainer(tmp_path / "fresh"), trainer(tmp_path / "parts")
    if forgotten == "generator":
        second.generator = fresh.generator
    elif forgotten == "optimiser":
        second.optimiser.parts["adam"].state.clear()
    elif forgotten == "average":
        second.average = copy.deepcopy(second.network).eval().requires_grad_(False)
    else:
        for mine, other in zip(second.network.blocks, fresh.network.blocks, strict=True):
            mine.vector.copy_(other.vector)
    second.run(ignore, every=100)
    assert differing(whole, second)


def test_the_log_holds_each_step_once_after_a_kill_between_log_and_checkpoint(tmp_path):
    first = trainer(tmp_path)
    first.run(ignore, every=5, stop=lambda: first.step == 5)
    with first.log.open("a") as file:
        file.write("10,1.0,2.0,30.0,25.0,22.0\r\n11,1.")
    trainer(tmp_path).run(ignore, every=5)
    steps = [line.split(",")[0] for line in first.log.read_text().splitlines()]
    assert steps == ["step", "5", "10", "12"]


def test_another_recipe_is_refused_by_the_name_of_what_differs(tmp_path):
    trainer(tmp_path).run(ignore)
    with pytest.raises(InputError, match=r"another recipe: seed 0 \(now 3\), patch 16 \(now 8\)"):
        trainer(tmp_path, replace(RECIPE, patch=8, seed=3))


def test_another_network_is_refused(tmp_path):
    trainer(tmp_path).run(ignore)
    with pytest.raises(InputError, match="another network"):
        trainer(tmp_path, config=replace(TINY, blocks=3))


@pytest.mark.parametrize("damage", [b"", b"text", None], ids=["empty", "text", "truncated"])
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path, damage):
    run = trainer(tmp_path)
    run.save()
    data = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(data[: len(data) // 2] if damage is None else damage)
    with pytest.raises(InputError, match="is damaged"):
        trainer(tmp_path)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="not a training checkpoint"):
        trainer(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_checkpoint(tmp_path / "none.pt")


# --- learning --------------------------------------------------------------------------------


def test_training_beats_the_noisy_picture(tmp_path):
    recipe = replace(RECIPE, steps=80, warmup=10, batch=4, learning_rate=2e-2)
    run, seen = trainer(tmp_path, recipe), []
    before = run.validate()["psnr_25"]
    run.run(seen.append, every=40)
    noisy = -20 * math.log10(25 / 255)
    assert [progress.step for progress in seen] == [40, 80]
    assert seen[-1].psnr["psnr_25"] > noisy + 3
    assert seen[-1].psnr["psnr_25"] > before + 2
    assert seen[-1].loss < seen[0].loss


def test_bf16_keeps_the_weights_in_float32(tmp_path):
    run = trainer(tmp_path, replace(RECIPE, bf16=True, steps=2))
    seen: list[torch.dtype] = []
    run.network.blocks[0].activation.register_forward_hook(
        lambda module, args, out: seen.append(out.dtype)
    )
    run.run(ignore)
    assert seen == [torch.bfloat16] * 2
    assert {value.dtype for value in weights(run).values()} == {torch.float32}
    assert all(math.isfinite(value) for value in run.psnr.values())


def test_a_diverging_step_changes_nothing_and_says_what_to_do(tmp_path):
    run = trainer(tmp_path)
    run.train_step()
    run.save()
    before = copy.deepcopy(weights(run))
    with torch.no_grad():
        run.network.blocks[0].bias[0] = math.nan
    with pytest.raises(InputError, match=r"diverged at step 1 .* lower learning rate"):
        run.run(ignore)
    saved = read_checkpoint(run.checkpoint)
    assert saved["step"] == 1
    for key, value in saved["network"].items():
        assert torch.equal(value, before[f"network.{key}"])


def test_refreshed_norms_belong_to_the_averaged_weights(tmp_path):
    run = trainer(tmp_path, replace(RECIPE, steps=30))
    run.run(ignore)
    with torch.no_grad():
        for block in run.average.blocks:
            block.weight.mul_(3)
    fresh = refreshed(run.average)
    assert isinstance(fresh, EulerNet)
    assert isinstance(run.average, EulerNet)
    for block, stale in zip(fresh.euler_blocks(), run.average.euler_blocks(), strict=True):
        bound = conv_norm_bound(block.weight)
        assert 0.8 * bound < float(block.norm) < 1.03 * bound
        assert float(stale.norm) < 0.5 * bound  # the original is left alone


def test_validation_noise_does_not_depend_on_the_other_pictures():
    class Identity(nn.Module):
        def forward(self, x: Tensor, sigma: float) -> Tensor:
            return x

    images = pictures(3)
    alone = validation_psnr(Identity(), images[:1], (0.1,))
    assert alone == validation_psnr(Identity(), images[:1], (0.1,))
    assert alone["psnr_25.5"] == pytest.approx(20.0, abs=0.3)
    assert validation_psnr(Identity(), [], (0.1,)) == {}
    assert centre_crop(images[0], 10).shape == (1, 10, 10)
    assert centre_crop(images[0], 100).shape == (1, 32, 32)


# --- data and sheet --------------------------------------------------------------------------


def write_pictures(folder: Path, count: int, side: int = 32) -> None:
    folder.mkdir()
    for index, picture in enumerate(pictures(count, 3, side)):
        write_picture(folder / f"{index:02}.png", picture[None].float() / 255)


def test_held_out_pictures_are_not_trained_on_and_are_described(tmp_path):
    write_pictures(tmp_path / "many", 11)
    data = load_training_data(tmp_path / "many", 1)
    assert (len(data.training), len(data.validation)) == (9, 2)
    assert data.description["validation_pictures"] == ["02.png", "08.png"]
    assert data.description["validation_held_out"]
    kept = {picture.numpy().tobytes() for picture in data.training}
    assert not kept & {picture.numpy().tobytes() for picture in data.validation}
    everything = load_training_data(tmp_path / "many", 1, hold_out=0)
    assert len(everything.training) == 11
    assert not everything.description["validation_held_out"]
    with pytest.raises(InputError, match="expected 0 to 10"):
        load_training_data(tmp_path / "many", 1, hold_out=11)


def test_held_out_indices_are_distinct():
    for count in range(1, 40):
        for number in range(1, count + 1):
            found = held_out(count, number)
            assert len(set(found)) == number
            assert 0 <= found[0] <= found[-1] < count


def test_the_data_hash_sees_a_changed_picture_and_no_names(tmp_path):
    write_pictures(tmp_path / "a", 3)
    key = "sha256_of_sorted_file_hashes"
    before = load_training_data(tmp_path / "a", 1, hold_out=0).description[key]
    (tmp_path / "a" / "02.png").rename(tmp_path / "a" / "99.png")
    assert load_training_data(tmp_path / "a", 1, hold_out=0).description[key] == before
    changed = read_picture(tmp_path / "a" / "99.png").pixels
    changed[0, 0, 0, 0] = 1 - changed[0, 0, 0, 0].round()
    write_picture(tmp_path / "a" / "99.png", changed, overwrite=True)
    assert load_training_data(tmp_path / "a", 1, hold_out=0).description[key] != before


def test_sample_sheet_shows_clean_noisy_denoised(tmp_path):
    class Grey(nn.Module):
        def forward(self, x: Tensor, sigma: float) -> Tensor:
            return torch.full_like(x, 0.25)

    images = [pictures(1, 3, 40)[0], pictures(1, 3, 8)[0]]
    sheet = sample_sheet(Grey(), images, (0.05, 0.1), size=16)
    assert sheet.shape == (1, 3, 2 * 16 + 2, 6 * 16 + 5 * 2)
    cells = sheet[0, :, :16].unfold(2, 16, 18)
    clean = centre_crop(images[0], 16).float() / 255
    assert torch.equal(cells[:, :, 0], clean)
    assert 0.01 < float((cells[:, :, 1] - clean).std()) < 0.06
    assert bool((cells[:, :, 2] == 0.25).all())
    assert bool((sheet[0, :, 18:22, :16] == 1).all())  # a small picture is centred on white
    write_sheet(tmp_path / "new" / "sheet.png", sheet)
    assert read_picture(tmp_path / "new" / "sheet.png").pixels.shape[1] == 3
    with pytest.raises(InputError, match="at least one picture"):
        sample_sheet(Grey(), [], (0.1,))


def test_the_trainer_needs_torch_alone():
    """It runs on a bare machine: read from the source, imports are torch, this package, stdlib."""
    folder = Path(training_module.__file__).parent
    heavy = set()
    for name in ("trainer", "recipe", "validation", "../files", "../errors"):
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            heavy |= {n.split(".")[0] for n in names} - {"torch"}
    known = {"pnp_recon", "__future__"} | set(sys.stdlib_module_names)
    assert heavy <= known


def test_muon_is_refused_where_it_has_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="take adam"):
        Optimiser(torch.nn.Conv2d(1, 1, 3), DenoiserRecipe(optimiser="muon"))
    Optimiser(torch.nn.Conv2d(1, 1, 3), DenoiserRecipe(optimiser="adam"))


def test_muon_moves_tied_filters_as_it_would_move_free_ones() -> None:
    """One step on the numbers is the step on the whole filters, which stay tied."""
    config = EulerConfig(width=16, hidden=16, blocks=1, lifting="unshuffle", group="C4")
    torch.manual_seed(0)
    tied = EulerNet(config)
    free = tied.plain()
    recipe = DenoiserRecipe(optimiser="muon", batch=4)
    x = torch.rand(4, 1, 16, 16)
    # All four turns, so that the free filters' gradient is that of the tied ones.
    turned = torch.cat([torch.rot90(x, turn, (2, 3)) for turn in range(4)])
    for net in (tied, free):
        net.train(False)
        optimiser = Optimiser(net, recipe)
        before = net.euler_blocks()[0].weight.detach().clone()
        (net(turned, 0.1) - 0.5).square().mean().backward()
        optimiser.step(1.0)
        moved = (net.euler_blocks()[0].weight.detach() - before).norm()
        assert float(moved / before.norm()) > 1e-3
    ours, theirs = (net.euler_blocks()[0].weight.detach() for net in (tied, free))
    # Muon orthogonalises in bfloat16: equal to its rounding of a step.
    assert float((ours - theirs).norm()) < 0.02 * float(moved)
    # Without its tie the step goes elsewhere: the gradients of the numbers are no matrix of theirs.
    (found,) = filters_of(EulerNet(config))
    assert found.matrix.shape == (16, 16 * 9)
    assert found.numbers.numel() * 4 == found.matrix.numel()


def test_muon_resumes_exactly_and_keeps_the_size_of_the_filters(tmp_path: Path) -> None:
    recipe = replace(RECIPE, optimiser="muon")
    whole = trainer(tmp_path / "whole", recipe)
    assert whole.run(ignore)
    first = trainer(tmp_path / "parts", recipe)
    assert not first.run(ignore, stop=lambda: first.step == 5)
    rest = trainer(tmp_path / "parts", recipe)
    assert rest.run(ignore)
    assert not differing(whole, rest)
    for block in rest.network.euler_blocks():
        size = float(block.weight.detach().norm()) / block.weight.shape[0] ** 0.5
        assert size == pytest.approx(1.0, abs=1e-5)
    # The comparison can fail: momentum forgotten at the break.
    again = trainer(tmp_path / "again", recipe)
    again.run(ignore, stop=lambda: again.step == 5)
    forgetful = trainer(tmp_path / "again", recipe)
    forgetful.optimiser.parts["muon"].state.clear()
    forgetful.run(ignore)
    assert differing(whole, forgetful)
