"""Two stages: the steps on a simplex, then what is left of the network with free steps."""

from __future__ import annotations

from pathlib import Path

from pnp_recon.datasets.folders import TrainingData
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.trainer import Progress
from scripts.studies.depth.networks import ShareNet

# Of the rates of a training from nothing: the networks begin trained.
GENTLE = 0.3


class GentleTrainer(DenoiserTrainer):
    """A `DenoiserTrainer` at a fraction of the rates."""

    def __init__(
        self, network: EulerNet, recipe: DenoiserRecipe, data: TrainingData, folder: Path
    ) -> None:
        super().__init__(network, recipe, data.training, data.validation, folder)

    def rate(self) -> float:
        return GENTLE * super().rate()


class SimplexTrainer(GentleTrainer):
    """With the projection of the shares after each step; the weight average sees them projected."""

    network: ShareNet

    def __init__(
        self,
        network: ShareNet,
        recipe: DenoiserRecipe,
        data: TrainingData,
        folder: Path,
        total: float,
    ) -> None:
        self.total = total
        network.project(total)
        super().__init__(network, recipe, data, folder)

    def _update_average(self) -> None:
        self.network.project(self.total)
        super()._update_average()


def recipe(steps: int) -> DenoiserRecipe:
    """That of `euler_grey`, shorter."""
    warmup = min(200, steps // 4)
    return DenoiserRecipe(steps=steps, optimiser="muon", learning_rate=0.01, warmup=warmup)


def told(name: str, network: EulerNet, progress: Progress) -> None:
    scores = " ".join(f"{key} {value:.2f}" for key, value in progress.psnr.items())
    steps = " ".join(f"{float(b.relative_step.detach()):.3f}" for b in network.flow_blocks())
    print(
        f"{name}: step {progress.step}, loss {progress.loss:.4f}, {scores} dB, steps {steps}, "
        f"{progress.seconds:.0f} s",
        flush=True,
    )


def on_simplex(
    network: ShareNet, total: float, steps: int, data: TrainingData, folder: Path
) -> SimplexTrainer:
    trainer = SimplexTrainer(network, recipe(steps), data, folder, total)
    trainer.run(lambda p: told(folder.name, network, p), every=max(1, steps // 6))
    return trainer


def freed(network: EulerNet, steps: int, data: TrainingData, folder: Path) -> GentleTrainer:
    trainer = GentleTrainer(network, recipe(steps), data, folder)
    trainer.run(lambda p: told(folder.name, network, p), every=max(1, steps // 5))
    return trainer


def from_nothing(
    network: EulerNet, steps: int, data: TrainingData, folder: Path
) -> DenoiserTrainer:
    """The recipe of `euler_grey` as it is."""
    whole = DenoiserRecipe(steps=steps, optimiser="muon", learning_rate=0.01)
    trainer = DenoiserTrainer(network, whole, data.training, data.validation, folder)
    trainer.run(lambda p: told(folder.name, network, p), every=max(1, steps // 5))
    return trainer
