"""Training of classifiers: random batches, moved and mirrored; certified accuracy at every look."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.datasets.labelled import Labelled
from pnp_recon.errors import InputError
from pnp_recon.networks.classifier import Classifier
from pnp_recon.networks.decisions import decisions, sizes
from pnp_recon.training.classifier.losses import margin_loss, tempered_loss
from pnp_recon.training.classifier.recipe import LOGGED, ClassifierRecipe
from pnp_recon.training.trainer import CALIBRATION, Trainer

# Pictures that are classified at once.
CHUNK = 500


class ClassifierTrainer(Trainer):
    """A training run of a classifier in a folder.

    Args:
        network: pictures to logits; trained in place. Nothing is certified of one that is no
            `Classifier`, which may be trained the same way all the same.
        recipe: see `ClassifierRecipe`.
        training: pictures and classes.
        validation: what the log's accuracies are of; may be empty.
        folder: where checkpoint and log go; an existing checkpoint is resumed.
        device: "cpu" or "cuda".

    Raises:
        InputError: no pictures, or a checkpoint that is damaged or belongs to another recipe or
            network.
    """

    recipe: ClassifierRecipe

    def __init__(
        self,
        network: nn.Module,
        recipe: ClassifierRecipe,
        training: Labelled,
        validation: Labelled,
        folder: Path,
        device: str = "cpu",
    ) -> None:
        if not len(training):
            raise InputError("no training pictures were given")
        self.training, self.validation = training, validation
        super().__init__(network, recipe, folder, device)

    def train_step(self) -> float:
        if self.step % CALIBRATION == 0 and isinstance(self.network, Classifier):
            self.network.calibrate()
        return super().train_step()

    def objective(self) -> Tensor:
        recipe = self.recipe
        chosen = torch.randint(len(self.training), (recipe.batch,), generator=self.generator)
        drawn = self.training.part(chosen)
        x, labels = self._changed(drawn.scaled()).to(self.device), drawn.labels.to(self.device)
        with self.autocast():
            logits = self.network(x).float()
        if recipe.criterion == "hinge":
            return margin_loss(logits, labels, recipe.margin)
        return tempered_loss(logits, labels, recipe.margin, recipe.temperature)

    def _changed(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W), each moved (zeros come in) and mirrored by chance."""
        reach, (count, _, height, width) = self.recipe.shift, x.shape
        if reach:
            x = F.pad(x, (reach,) * 4)
            top, left = torch.randint(2 * reach + 1, (2, count, 1), generator=self.generator)
            rows, columns = top + torch.arange(height), left + torch.arange(width)
            each = torch.arange(count)[:, None, None]
            # Advanced indices around a slice: their axes come first.
            x = x[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        if self.recipe.flip:
            mirrored = torch.rand(count, generator=self.generator) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        return x.contiguous()

    def validate(self) -> dict[str, float]:
        """Certified accuracies of the averaged weights by radius, in [0, 1]."""
        if not len(self.validation):
            return {}
        if not isinstance(self.average, Classifier):
            return {"accuracy": accuracy(self.average, self.validation)}
        found = certified_accuracy(certified(self.average), self.validation, LOGGED)
        return {f"certified_{radius}": value for radius, value in found.items()}


def certified(network: Classifier) -> Classifier:
    """A copy in float64 on the CPU, in evaluation mode, of which everything is proven."""
    found = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    found.certify()
    return found.double()


@torch.no_grad()
def certified_accuracy(
    network: Classifier, data: Labelled, radii: tuple[float, ...]
) -> dict[str, float]:
    """Share of pictures whose class is right and proven not to change within each radius.

    Args:
        network: float64, see `certified`.
        data: at least one picture.
        radii: Euclidean, pictures in [0, 1]; 0: is the class right and no tie?

    Returns:
        Shares in [0, 1] by radius, in text.
    """
    constants, rounding, right = network.pair_constants(), network.rounding(), []
    for part in data.chunks(CHUNK):
        x = part.scaled(torch.float64)
        held = decisions(network(x), constants, rounding, sizes(x))
        right.append(torch.where(held.classes == part.labels, held.radii, -1.0))
    radius = torch.cat(right)
    # Within, not at: a radius itself is not covered.
    return {f"{r:.4g}": float((radius > r).double().mean()) for r in radii}


@torch.no_grad()
def accuracy(network: nn.Module, data: Labelled) -> float:
    """Share of pictures whose class is right, in [0, 1]."""
    weights = next(network.parameters())
    found = [
        network(part.scaled(weights.dtype).to(weights.device)).argmax(1).cpu() == part.labels
        for part in data.chunks(CHUNK)
    ]
    return float(torch.cat(found).double().mean())
