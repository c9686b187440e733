"""The trainer: exact resume, refusals, and that it learns."""

from __future__ import annotations

import ast
import copy
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pnp_recon.training.trainer as training_module
from pnp_recon.errors import InputError
from pnp_recon.training.trainer import read_checkpoint
from support.training import RECIPE, TINY, differing, ignore, trainer, weights

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
