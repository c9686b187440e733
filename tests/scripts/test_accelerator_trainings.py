"""Trainings of shipped models on an accelerator: tiny and resumed; what may replace what."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pnp_recon.benchmark import rows, table
from pnp_recon.files import shipped
from pnp_recon.models.card import read_fields
from pnp_recon.models.store import find_card, shipped_models
from pnp_recon.training.run_file import run_file
from pnp_recon.training.runs import read_run
from scripts.accelerator import replace as replacing
from scripts.accelerator import trainings
from scripts.accelerator.settings import CONFIGS
from support.slices import save_archive

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples"
ABSENT = ("deepinv", "odl", "astra", "imagecodecs", "pywt", "jsonschema", "pydicom", "dask")


@pytest.fixture(autouse=True)
def _rounding_as_before() -> Iterator[None]:
    """A training sets the rounding of products as a process of its own may."""
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True


def tiny(name: str, data: Path, out: Path) -> None:
    assert called(name, data, out) == 0


def called(name: str, data: Path, out: Path) -> int:
    given = [name, "--data", str(data), "--out", str(out), "--device", "cpu", "--tiny"]
    return trainings.main(given)


def test_every_shipped_model_has_its_training() -> None:
    # Patch flows train in minutes of a processor.
    large = [name for name in shipped_models() if not name.startswith("patch_flow")]
    assert sorted(trainings.NAMES) == sorted(large)
    assert set(trainings.NAMES) >= set(CONFIGS)


@pytest.mark.parametrize("name", trainings.PLANS)
def test_a_plan_is_the_shipped_network_but_for_what_it_says(name: str) -> None:
    card, settings = read_fields(find_card(name)), trainings.planned(name, SAMPLES, False)
    plan = trainings.PLANS[name]
    for key, value in card["network"].items():
        if key not in ("class", *plan.network):
            assert getattr(settings.network, key) == value
    assert settings.recipe.batch == plan.recipe["batch"] > card["training"]["recipe"]["batch"]
    assert settings.data.is_absolute()


def test_a_training_goes_on_and_ends_in_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("euler_grey", SAMPLES, tmp_path)
    run = tmp_path / "euler_grey"
    assert read_run(run).recipe.steps == 4
    card = read_fields(tmp_path / "models" / "euler_grey.json")
    assert card["certificate"]["averagedness"] < 1
    assert card["training"]["steps_done"] == 4
    # As if the call had ended sooner, and elsewhere: the next one goes on, with the recipe it had.
    stored = json.loads(run_file(run).read_text())
    stored["recipe"]["steps"] = 6
    stored["data"] = str(tmp_path / "another machine")
    run_file(run).write_text(json.dumps(stored))
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    state["recipe"]["steps"] = 6
    torch.save(state, run / "checkpoint.pt")
    capsys.readouterr()
    tiny("euler_grey", SAMPLES, tmp_path)
    said = capsys.readouterr().out
    assert "step 6" in said
    assert "step 4" not in said
    card = read_fields(tmp_path / "models" / "euler_grey.json")
    assert card["training"]["steps_done"] == 6
    assert card["validation"]["measured_on"].startswith("exported weights")  # it found the pictures


def test_a_call_that_is_over_stops_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = argparse.Namespace(
        data=SAMPLES, out=tmp_path, seconds=0.0, calls=1, device="cpu", tiny=True
    )
    assert not trainings.of_a_task("euler_grey", given)
    assert "stopped at step 1 of 4; the same command goes on" in capsys.readouterr().out
    given.seconds = 1e6
    assert trainings.of_a_task("euler_grey", given)


def test_a_batch_that_does_not_fit_is_halved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = trainings.planned("euler_grey", SAMPLES, True)
    settings = replace(settings, recipe=replace(settings.recipe, batch=8))
    tried = []

    def step(trainer: Any, steps: int) -> float:
        tried.append(trainer.recipe.batch)
        if trainer.recipe.batch > 2:
            raise torch.cuda.OutOfMemoryError
        return 0.1

    monkeypatch.setattr(trainings, "seconds_of_a_step", step)
    found, seconds = trainings.fitted(settings, "cpu", True)
    assert (found.recipe.batch, seconds, tried) == (2, 0.1, [8, 4, 2])
    assert "a batch of 8 does not fit; 4 is tried" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("euler_grey", "/nonexist", "/nonexist is not a folder; BSDS500"),
        ("energy_grey", __file__, f"{__file__} is not a folder; BSDS500"),
        ("unrolled_ct", __file__, "expected a folder of CT slices, or an .npz file"),
        ("unrolled_ct", str(SAMPLES), "slices are to be trained on"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_in_one_line(
    name: str, data: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(name, Path(data), tmp_path) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_an_energy_keeps_its_best_weights_when_it_goes_on(tmp_path: Path) -> None:
    tiny("energy_grey", SAMPLES, tmp_path)
    folder = tmp_path / "energy_grey"
    best = (folder / "energy_grey.best.safetensors").read_bytes()
    record = json.loads((folder / "energy_grey.json").read_text())
    record["best_validation"] = {"5": 99.0}
    (folder / "energy_grey.json").write_text(json.dumps(record))
    tiny("energy_grey", SAMPLES, tmp_path)
    assert (folder / "energy_grey.best.safetensors").read_bytes() == best
    assert (tmp_path / "models" / "energy_grey.json").exists()
    # The twin: where nothing is known of them they are written anew.
    record["best_validation"] = {"5": -99.0}
    (folder / "energy_grey.json").write_text(json.dumps(record))
    tiny("energy_grey", SAMPLES, tmp_path)
    assert (folder / "energy_grey.best.safetensors").read_bytes() != best


def test_networks_for_scans_train_without_a_library_of_tomography(tmp_path: Path) -> None:
    archive = save_archive(tmp_path / "slices.npz")
    code = (
        f"import sys\nfor name in {ABSENT}: sys.modules[name] = None\n"
        "from scripts.accelerator.trainings import main\n"
        f"main(['equivariant_ct', '--data', {str(archive)!r}, '--out', {str(tmp_path)!r}, "
        "'--device', 'cpu', '--tiny'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_fields(tmp_path / "models" / "equivariant_ct.json")["network"]["group"] == "C4"


# ---- what may replace what -----------------------------------------------------------------------


def new_model(folder: Path, psnr: float) -> Path:
    """The shipped `euler_grey` with another hash, and figures that are so much higher."""
    card = read_fields(find_card("euler_grey")) | {"sha256": "new"}
    card["validation"]["psnr_db"] = {
        key: value + psnr for key, value in card["validation"]["psnr_db"].items()
    }
    folder.mkdir()
    (folder / "euler_grey.json").write_text(json.dumps(card))
    weights = shipped("trained_models") / "euler_grey.safetensors"
    shutil.copyfile(weights, folder / "euler_grey.safetensors")
    return folder / "euler_grey.json"


def a_run(folder: Path, gains: dict[str, float]) -> Path:
    """A run of the benchmark in which the new model is so much better on these problems."""
    old = read_fields(find_card("euler_grey"))["sha256"]
    folder.mkdir()
    shared: dict[str, Any] = {"suite": "deblur", "noise": 2.55, "split": "bsd68", "channels": 1}
    found = [
        rows.Row(
            problem=problem,
            picture=picture,
            method=sha256,
            seed=0,
            status="converged",
            psnr=30.0 + (gain if sha256 == "new" else 0.0),
            model_sha256=sha256,
            **shared,
        )
        for problem, gain in gains.items()
        for picture in ("a", "b")
        for sha256 in (old, "new")
    ]
    table.write(folder / "results.csv", found)
    return folder


@pytest.mark.parametrize(
    ("on_card", "gains", "replaced"),
    [
        (0.1, {"motion": 0.1, "disk": 0.0}, True),
        (0.1, {"motion": 0.1, "disk": -0.01}, False),
        (-0.1, {"motion": 0.1, "disk": 0.1}, False),
        (float("nan"), {"motion": 0.1}, False),
        (0.1, {}, False),
    ],
)
def test_a_single_lower_figure_keeps_the_shipped_model(
    tmp_path: Path, on_card: float, gains: dict[str, float], replaced: bool
) -> None:
    card, run = new_model(tmp_path / "new", on_card), a_run(tmp_path / "run", gains)
    to = tmp_path / "to"
    to.mkdir()
    code = replacing.main([str(card), "--runs", str(run), "--to", str(to)])
    assert code == (0 if replaced else 1)
    assert (to / "euler_grey.json").exists() == replaced
    assert (to / "euler_grey.safetensors").exists() == replaced


@pytest.mark.parametrize("ending", ["failed", "diverged", None])
def test_a_picture_on_which_the_new_model_has_no_figure_keeps_the_shipped_one(
    tmp_path: Path, ending: str | None
) -> None:
    card, run = new_model(tmp_path / "new", 0.1), a_run(tmp_path / "run", {"motion": 0.1})
    assert replacing.main([str(card), "--runs", str(run)]) == 0  # the twin
    *held, last = table.read(run / "results.csv")
    assert last.model_sha256 == "new"
    # Not run at all, or ended without a result.
    table.write(run / "results.csv", held + ([replace(last, status=ending)] if ending else []))
    assert replacing.main([str(card), "--runs", str(run)]) == 1


def test_without_a_run_nothing_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replacing.main([str(new_model(tmp_path / "new", 1.0)), "--to", str(tmp_path)]) == 1
    assert "no run was given" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = str(new_model(tmp_path / "new", 0.1))
    for given in ([str(tmp_path / "none.json")], [card, "--runs", str(tmp_path / "none")]):
        assert replacing.main(given) == 2
        assert "cannot be read" in capsys.readouterr().err
