"""Measurement → certified reconstruction → certified classifier, as one map with one radius.

The picture of a contracting plug-and-play iteration moves by at most K‖Δy‖ with the measurement
(`solvers.core.data_stability`); within r/K of y no noise changes the class, r being the radius of
the classifier at that picture.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from operators import Convolution
from pnp_recon.datasets.labelled import Labelled
from pnp_recon.fidelity import LeastSquares
from pnp_recon.networks.classifier import Classifier
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.decisions import Decisions
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.solvers import Plugged, PnPHQS
from pnp_recon.solvers.core.data_stability import data_stability
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer

# A mild blur of 8×8 pixels: the modulus of its transfer function lies in [0.52, 1].
CENTRE, BESIDE = 0.76, 0.06
STEPS = 10
# Of the denoiser in the iteration, and of the noise of measurements, both of [0, 1].
LEVEL = 5 / 255
DENOISER = EulerConfig(width=8, hidden=8, blocks=2)
DENOISER_RECIPE = DenoiserRecipe(steps=400, batch=64, patch=8, sigma_max=0.1, bf16=False)


def blur() -> Convolution:
    kernel = torch.zeros(3, 3, dtype=torch.float64)
    kernel[1], kernel[:, 1] = BESIDE, BESIDE
    kernel[1, 0] = kernel[1, 2] = BESIDE
    kernel[1, 1] = CENTRE
    return Convolution(kernel, (1, 8, 8), "circular")


def train_denoiser(data: Labelled, recipe: DenoiserRecipe = DENOISER_RECIPE) -> Denoiser:
    """A small certified denoiser of digits, float64."""
    pictures = list((data.scaled() * 255).round().to(torch.uint8))
    network = build_network(DENOISER, recipe.seed)
    with tempfile.TemporaryDirectory() as folder:
        trainer = DenoiserTrainer(network, recipe, pictures, [], Path(folder))
        trainer.run(lambda _: None, every=recipe.steps)
    average = trainer.average
    assert isinstance(average, EulerNet)
    average.certify()
    return Denoiser(average.double(), "digits", channels=1, sigma_range=(1 / 255, 0.1)).eval()


@dataclass(frozen=True, eq=False)
class Pipeline:
    """y ↦ class. `gamma` is the coupling; 1/m gives the smallest constant of the limit."""

    A: Convolution
    denoiser: Denoiser
    classifier: Classifier
    steps: int = STEPS

    def solver(self, y: Tensor) -> PnPHQS:
        fidelity = LeastSquares(self.A, y)
        start = torch.full_like(y, 0.5)  # one start for every measurement
        gamma = 1 / fidelity.strong_convexity
        return PnPHQS(fidelity, Plugged(self.denoiser, LEVEL), 1.0, start, gamma=gamma)

    def reconstruct(self, y: Tensor) -> Tensor:
        """The picture after the steps, differentiable in y."""
        solver = self.solver(y)
        state = solver.init()
        for k in range(self.steps):
            state = solver.step(state, k).state
        return solver.image(state)

    def __call__(self, y: Tensor) -> Tensor:
        """Logits of a measurement."""
        return self.classifier(self.reconstruct(y))

    def constant(self) -> float:
        """K: how far the picture moves with the measurement, proven."""
        theorem = self.solver(torch.zeros(1, 1, 8, 8, dtype=torch.float64)).theorem()
        found = data_stability(theorem, self.steps)
        assert found is not None
        assert found.steps is not None
        return found.steps

    @torch.no_grad()
    def decide(self, y: Tensor) -> Decisions:
        """Classes, and radii in the measurement; of the reconstruction in exact arithmetic."""
        held = self.classifier.decide(self.reconstruct(y))
        return replace(held, radii=held.radii / self.constant())
