"""Training on the device: steps, two runs with one seed, and a run that is stopped and resumed."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from pnp_recon.networks.configs import EulerConfig, UnrolledConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.fixed_point.recipe import FixedPointRecipe
from pnp_recon.training.fixed_point.trainer import FixedPointTrainer
from pnp_recon.training.trainer import Progress, Trainer
from pnp_recon.training.unrolled.recipe import UnrolledRecipe
from pnp_recon.training.unrolled.trainer import Pairs, UnrolledTrainer
from scripts.accelerator.checks.cases import measured, operator_of, picture
from scripts.accelerator.checks.session import Budget, Found, Session, difference

CASES = (("muon", False, "C1"), ("adam", True, "C1"), ("adam", True, "D4"))


def measure(session: Session, out: Found, budget: Budget) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, (optimiser, bf16, group) in enumerate(session.size(CASES[:1], CASES)):
            case = Case(session, Path(folder) / str(number), optimiser, bf16, group)
            session.attempt(out, f"{optimiser} bf16={bf16} {group}", case.run, budget)
        session.attempt(
            out, "fixed point, 4 steps", lambda: fixed_point(session, Path(folder) / "f"), budget
        )
        session.attempt(
            out, "unrolled, 4 steps", lambda: unrolled(session, Path(folder) / "u"), budget
        )


def pictures(session: Session) -> list[Tensor]:
    height, width = session.size((64, 72), (300, 400))
    return [(255 * picture(height, width)[0]).round().to(torch.uint8)]


def config(session: Session, group: str) -> EulerConfig:
    plain = group == "C1"
    return EulerConfig(
        channels=3,
        activation="ball4" if plain else "clip",
        lifting="haar" if plain else "unshuffle",
        group=group,
        width=session.size(16, 32),
        hidden=session.size(16, 32),
        blocks=session.size(2, 8),
    )


class Case:
    """One way to train a denoiser: the whole run twice, and once in two parts."""

    def __init__(
        self, session: Session, folder: Path, optimiser: str, bf16: bool, group: str
    ) -> None:
        self.session, self.folder, self.group = session, folder, group
        self.recipe = DenoiserRecipe(
            steps=session.size(4, 20),
            batch=session.size(2, 8),
            patch=session.size(32, 64),
            warmup=5,
            optimiser=optimiser,
            learning_rate=0.01 if optimiser == "muon" else 4e-3,
            bf16=bf16,
        )

    def trainer(self, name: str, device: str | None = None) -> DenoiserTrainer:
        network = build_network(config(self.session, self.group), 0)
        held = pictures(self.session)
        device = device or self.session.device
        return DenoiserTrainer(network, self.recipe, held, held, self.folder / name, device)

    def run(self) -> Found:
        ticks: list[float] = []
        whole = self.trainer("whole")
        start = time.perf_counter()
        whole.run(nothing, self.recipe.steps, lambda *_: ticks.append(time.perf_counter()))
        self.session.sync()
        gaps = [1e3 * (b - a) for a, b in pairwise(ticks)]
        row: Found = {
            "seconds": time.perf_counter() - start,
            "loss": whole.loss,
            "psnr": whole.psnr,
            "ms_per_step_median": statistics.median(gaps),
        }
        again = self.trainer("again")
        again.run(nothing, self.recipe.steps)
        row["two_runs_equal"], row["two_runs_diff"] = agreement(whole, again)
        half = self.trainer("parts")
        half.run(nothing, 1000, stop=lambda: half.step >= self.recipe.steps // 2)
        rest = self.trainer("parts")
        row["resumed_at"] = rest.step
        rest.run(nothing, 1000)
        row["resume_equal"], row["resume_diff"] = agreement(whole, rest)
        if not self.recipe.bf16:
            row["certified_alpha"] = certified(whole)
            host = self.trainer("cpu", "cpu")
            host.run(nothing, self.recipe.steps)
            row["vs_cpu_diff"], row["cpu_psnr"] = agreement(whole, host)[1], host.psnr
        return row


def fixed_point(session: Session, folder: Path) -> Found:
    patch, iterations, terms = session.size((32, 2, 1), (64, 6, 4))
    recipe = FixedPointRecipe(
        steps=4, batch=2, patch=patch, warmup=2, iterations=iterations, terms=terms
    )
    network, held = build_network(config(session, "C1"), 0), pictures(session)
    trainer = FixedPointTrainer(network, recipe, held, held, folder, session.device)
    return stepped(session, trainer)


def unrolled(session: Session, folder: Path) -> Found:
    side = session.size(16, 64)
    kind, x = "conv circular motion9", picture(side, side, 1, batch=4)
    A = operator_of(kind, (1, side, side), session.device)
    pairs = Pairs(measured(kind, x), x)
    network = UnrolledNetwork(UnrolledConfig(width=16, depth=2, memory=1))
    recipe = UnrolledRecipe(steps=4, batch=2)
    trainer = UnrolledTrainer(network, recipe, A, pairs, pairs, folder, session.device)
    return stepped(session, trainer)


def stepped(session: Session, trainer: Trainer) -> Found:
    start, losses = time.perf_counter(), []
    for _ in range(session.size(1, 4)):
        trainer.train_step()
        losses.append(trainer.loss)
    return {"losses": losses, "s_per_step": (time.perf_counter() - start) / len(losses)}


def nothing(progress: Progress) -> None:
    """Nobody listens to the reports of these runs."""


def agreement(a: Trainer, b: Trainer) -> tuple[bool, float]:
    """Whether the weights of two runs have the same bits, and how far they are apart."""
    first, second = (
        torch.cat([p.detach().flatten().cpu().double() for p in t.average.parameters()])
        for t in (a, b)
    )
    return torch.equal(first, second), difference(first, second)["max"]


def certified(trainer: DenoiserTrainer) -> float | None:
    """The averagedness that is proven of the weights, on the device."""
    network = cast(EulerNet, copy.deepcopy(trainer.average).eval())
    network.certify()
    return network.check().averagedness
