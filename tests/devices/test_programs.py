"""Trainers and commands on a GPU, or its stand-in: they end as on the CPU.

A step is compared in its loss: what it draws comes from generators of the CPU everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

from operators import parallel_beam
from pnp_recon.datasets.labelled import Labelled
from pnp_recon.networks.classifier import build_classifier
from pnp_recon.networks.configs import ClassifierConfig, PatchFlowConfig, UnrolledConfig
from pnp_recon.networks.energies.patch_flow import PatchFlowNet
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.training.classifier.recipe import ClassifierRecipe
from pnp_recon.training.classifier.trainer import ClassifierTrainer
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.energy.recipe import EnergyRecipe
from pnp_recon.training.energy.trainer import EnergyTrainer
from pnp_recon.training.fixed_point.trainer import FixedPointTrainer
from pnp_recon.training.patch_flow.recipe import PatchFlowRecipe
from pnp_recon.training.patch_flow.trainer import PatchFlowTrainer
from pnp_recon.training.seeding import seeded
from pnp_recon.training.trainer import Trainer
from pnp_recon.training.unrolled.pairs import simulated_scans
from pnp_recon.training.unrolled.recipe import UnrolledRecipe
from pnp_recon.training.unrolled.trainer import UnrolledTrainer
from support import energies, fixed_points, training
from support.blurred import save
from support.devices import installed
from support.slices import SIDE, slices

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("gpu")]

Make = Callable[[Path, str], Trainer]
ENERGY = EnergyRecipe(steps=2, batch=2, patch=24, warmup=1, inner=4, cg=3)
CRITICAL = EnergyRecipe(
    steps=2, batch=2, patch=24, warmup=1, critical=1.0, critical_batch=2, critical_patch=32,
    solve=4, adjoint=3,
)  # fmt: skip


def denoiser(folder: Path, device: str) -> Trainer:
    network = build_network(training.TINY, 0)
    pictures = training.pictures()
    return DenoiserTrainer(network, training.RECIPE, pictures, pictures[:1], folder, device)


def energy(family: str, recipe: EnergyRecipe = ENERGY) -> Make:
    def make(folder: Path, device: str) -> Trainer:
        network, pictures = energies.energy(family), energies.pictures()
        return EnergyTrainer(network, recipe, pictures, pictures[:1], folder, device)

    return make


def fixed_point(folder: Path, device: str) -> Trainer:
    network, pictures = fixed_points.fresh(0), fixed_points.pictures()
    return FixedPointTrainer(network, fixed_points.RECIPE, pictures, pictures[:1], folder, device)


def patch_flow(folder: Path, device: str) -> Trainer:
    with seeded(0):
        network = PatchFlowNet(PatchFlowConfig(size=3, layers=2, hidden=8))
    recipe = PatchFlowRecipe(steps=2, batch=16, patch=3, warmup=1, few=2)
    return PatchFlowTrainer(network, recipe, training.pictures(), [], folder, device)


def unrolled(folder: Path, device: str) -> Trainer:
    scans = parallel_beam(12, SIDE, pixel_mm=256 / SIDE)
    A, pairs = simulated_scans(slices(4), scans, 1e4)
    with seeded(0):
        network = UnrolledNetwork(UnrolledConfig(group="C4", width=8, depth=2, memory=1))
    recipe = UnrolledRecipe(steps=2, batch=2, warmup=1)
    return UnrolledTrainer(network, recipe, A.to(device), pairs, pairs, folder, device)


def classifier(folder: Path, device: str) -> Trainer:
    draws = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (20, 1, 4, 4), generator=draws, dtype=torch.uint8)
    held = Labelled(pictures, torch.arange(20) % 2)
    with seeded(0):
        network = build_classifier(ClassifierConfig("conv", side=4, classes=2, blocks=1, width=2))
    recipe = ClassifierRecipe(steps=2, batch=8, warmup=1, shift=1, flip=True)
    return ClassifierTrainer(network, recipe, held, held, folder, device)


TRAINERS: dict[str, Make] = {
    "denoiser": denoiser,
    "gradient-step energy": energy("gradient-step"),
    "ridge energy": energy("ridge"),
    "at critical points": energy("gradient-step", CRITICAL),
    "at fixed points": fixed_point,
    "patch flow": patch_flow,
    "unrolled": unrolled,
    "classifier": classifier,
}


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_steps_validates_and_goes_on(name: str, tmp_path: Path) -> None:
    here = TRAINERS[name](tmp_path / "here", "cpu")
    there = TRAINERS[name](tmp_path / "there", "cuda")
    assert there.train_step() == pytest.approx(here.train_step(), rel=1e-3)
    assert there.validate() == pytest.approx(here.validate(), abs=1e-2)
    there.sheet()
    there.save()
    again = TRAINERS[name](tmp_path / "there", "cuda")
    assert again.step == 1
    assert {value.device.type for value in again.network.parameters()} == {"cuda"}
    assert again.train_step() == pytest.approx(here.train_step(), rel=1e-3)


# ---- commands -----------------------------------------------------------------------------------

FEW = ["--max-iter", "2", "--tol", "0.9", "--strength", "1"]


def done(name: str, line: list[str], *codes: int) -> None:
    assert import_module(f"pnp_recon.cli.{name}").main([*line, "--device", "cuda"]) in (
        codes or (0,)
    )


@pytest.mark.skipif(
    not (installed("skimage") and installed("jsonschema")), reason="the commands take both"
)
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("deblur", ["--kernel", "motion", "--length", "5", "--angle", "20", "--sigma", "0.02"]),
        ("inpaint", ["--missing", "0.3", "--simulate", "--sigma", "0.02"]),
        ("sr", ["--scale", "2", "--sigma", "0.02"]),
    ],
)
@pytest.mark.parametrize("denoiser", ["euler_grey", "energy_grey", "tv"])
def test_photographs_are_restored_there(
    name: str, more: list[str], denoiser: str, tmp_path: Path
) -> None:
    source = save(tmp_path / "a.png", 1)
    report = [] if denoiser == "tv" else ["--report", str(tmp_path / "report")]
    line = [
        str(source),
        *more,
        *FEW,
        "--denoiser",
        denoiser,
        "-o",
        str(tmp_path / "b.png"),
        *report,
    ]
    done(name, line, 0, 3)
    assert (tmp_path / "b.png").exists()
    if report:
        found = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
        assert found["environment"]["device"].startswith("cuda")
