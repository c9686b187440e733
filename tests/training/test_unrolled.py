"""Training of unrolled networks: exact resume, seeds, that it learns."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from operators import parallel_beam
from pnp_recon.errors import InputError
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.pictures.sheets import scan_sheet
from pnp_recon.training.trainer import Progress
from pnp_recon.training.unrolled.pairs import simulated_scans
from pnp_recon.training.unrolled.recipe import UnrolledRecipe
from pnp_recon.training.unrolled.scans import SimulatedScans
from pnp_recon.training.unrolled.task import UnrolledTask
from pnp_recon.training.unrolled.trainer import Pairs, UnrolledTrainer
from support.slices import SIDE, save_archive, slices

TINY = UnrolledConfig(group="C4", width=8, depth=2, memory=1, gradient="filtered")
RECIPE = UnrolledRecipe(steps=10, warmup=3, learning_rate=1e-2, bf16=False)


SCANS = parallel_beam(12, SIDE, pixel_mm=256 / SIDE)


def trainer(
    folder: Path,
    recipe: UnrolledRecipe = RECIPE,
    config: UnrolledConfig = TINY,
    training: int = 4,
    checkpointing: bool = False,
) -> UnrolledTrainer:
    A, pairs = simulated_scans(slices(training), SCANS, 1e4)
    _, validation = simulated_scans(slices(2, seed=1), SCANS, 1e4, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = UnrolledNetwork(config)
    network.checkpointing = checkpointing
    return UnrolledTrainer(network, recipe, A, pairs, validation, folder)


def ignore(progress: Progress) -> None:
    pass


def differing(a: UnrolledTrainer, b: UnrolledTrainer) -> list[str]:
    found = []
    for part in ("network", "average"):
        ours, theirs = (getattr(run, part).state_dict() for run in (a, b))
        assert ours.keys() == theirs.keys()
        found += [f"{part}.{key}" for key in ours if not torch.equal(ours[key], theirs[key])]
    return found


def log_without_seconds(run: UnrolledTrainer) -> list[list[str]]:
    rows = [line.split(",") for line in run.log.read_text().splitlines()]
    assert rows[0] == ["step", "loss", "seconds", "psnr_val"]
    return [row[:2] + row[3:] for row in rows]


# --- exact resume ----------------------------------------------------------------------------

CONFIGS = [
    TINY,
    replace(TINY, group="C1", start="zero", gradient="adjoint", steps="fixed"),
    replace(TINY, group="D4", scheme="primal-dual", shared=True),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.group}-{c.scheme}")
def test_an_interrupted_run_gives_the_same_weights_and_log_bit_by_bit(tmp_path, config):
    whole = trainer(tmp_path / "whole", config=config)
    assert whole.run(ignore, every=5)
    first = trainer(tmp_path / "parts", config=config)
    assert not first.run(ignore, every=5, stop=lambda: first.step == 6)
    second = trainer(tmp_path / "parts", config=config)
    assert second.step == 6
    assert second.run(ignore, every=5)
    assert differing(whole, second) == []
    assert log_without_seconds(whole) == log_without_seconds(second)


@pytest.mark.parametrize("forgotten", ["generator", "optimiser", "average", "noise"])
def test_forgetting_a_part_of_the_state_changes_the_weights(tmp_path, forgotten):
    """Twin of the law above: it does see each part of the state, and the fixed noise."""
    whole = trainer(tmp_path / "whole")
    whole.run(ignore, every=100)
    first = trainer(tmp_path / "parts")
    first.run(ignore, every=100, stop=lambda: first.step == 6)
    second = trainer(tmp_path / "parts")
    if forgotten == "generator":
        second.generator.manual_seed(RECIPE.seed)
    elif forgotten == "optimiser":
        second.optimiser.parts["adam"].state.clear()
    elif forgotten == "average":
        second.average = copy.deepcopy(second.network).eval().requires_grad_(False)
    else:
        _, second.training = simulated_scans(slices(4), SCANS, 1e4, seed=9)
    second.run(ignore, every=100)
    assert differing(whole, second)


def test_the_seed_decides_and_checkpointing_does_not(tmp_path):
    recipe = replace(RECIPE, bf16=True)
    whole = trainer(tmp_path / "whole", recipe)
    whole.run(ignore)
    recomputed = trainer(tmp_path / "recomputed", recipe, checkpointing=True)
    recomputed.run(ignore)
    assert differing(whole, recomputed) == []
    other = trainer(tmp_path / "other", replace(recipe, seed=1))
    other.run(ignore)
    assert len(differing(whole, other)) > 10


# --- learning --------------------------------------------------------------------------------


def test_training_lowers_the_loss_and_beats_the_start(tmp_path):
    recipe = replace(RECIPE, steps=80, batch=2, warmup=10)
    run, seen = trainer(tmp_path, recipe, training=8), []
    A, held = run.A, run.validation
    start = run.average.start(held.measurements, A).clamp(0, 1)
    before = float(-10 * (start - held.pictures).square().mean((1, 2, 3)).log10().mean())
    run.run(seen.append, every=40)
    assert seen[-1].loss < 0.8 * seen[0].loss
    assert seen[-1].psnr["psnr_val"] > before + 2


def test_without_learning_the_loss_stays(tmp_path):
    """Twin: the drop above is the training's."""
    recipe = replace(RECIPE, steps=40, batch=2, learning_rate=1e-9)
    run, seen = trainer(tmp_path, recipe, training=8), []
    run.run(seen.append, every=20)
    assert seen[-1].loss == pytest.approx(seen[0].loss, rel=0.1)


def test_a_batch_is_drawn_of_training_pairs_only(tmp_path):
    run = trainer(tmp_path)
    run.validation = Pairs(run.validation.measurements * math.nan, run.validation.pictures)
    run.train_step()
    run.training = Pairs(run.training.measurements * math.nan, run.training.pictures)
    with pytest.raises(InputError, match="diverged"):
        run.train_step()


def test_sheets_show_start_restored_truth_and_error(tmp_path):
    run = trainer(tmp_path)
    sheet = run.sheet()
    assert sheet is not None
    assert sheet.shape == (1, 1, 2 * SIDE + 2, 4 * SIDE + 3 * 2)
    assert torch.equal(sheet[0, :, :SIDE, 2 * (SIDE + 2) :][..., :SIDE], run.validation.pictures[0])
    truth = torch.full((1, 1, 4, 4), 0.5)
    cells = scan_sheet(truth * 0, truth + 0.05, truth)
    error = cells[0, 0, :, -4:]
    assert error.unique().tolist() == pytest.approx([0.75])
    run.validation = Pairs(run.validation.measurements[:0], run.validation.pictures[:0])
    assert run.sheet() is None
    assert run.validate() == {}


def test_no_pairs_are_refused(tmp_path):
    run = trainer(tmp_path)
    none = Pairs(run.training.measurements[:0], run.training.pictures[:0])
    with pytest.raises(InputError, match="no training pairs"):
        UnrolledTrainer(run.network, RECIPE, run.A, none, none, tmp_path)


def test_a_run_measures_with_the_same_noise_each_time_it_is_begun(tmp_path):
    run = UnrolledTask(
        name="tiny",
        network=TINY,
        recipe=RECIPE,
        scans=SimulatedScans(views=12, size=SIDE),
        data=save_archive(tmp_path / "a.npz"),
        threads=1,
        description={},
        made_with={},
    )
    first, second = (run.trainer(run.build(), run.load(), tmp_path, "cpu") for _ in range(2))
    for name in ("training", "validation"):
        ours, theirs = getattr(first, name), getattr(second, name)
        assert torch.equal(ours.measurements, theirs.measurements)
    # Twin: fewer photons give other numbers for the same slices.
    dim = replace(run, scans=replace(run.scans, incident=1e3))
    other = dim.trainer(dim.build(), dim.load(), tmp_path, "cpu")
    assert not torch.equal(other.training.measurements, first.training.measurements)
    assert torch.equal(other.training.pictures, first.training.pictures)
    assert first.A.geometry.pixel_mm == 256 / SIDE
