"""Training of unrolled reconstruction networks on pairs of a measurement and a picture.

The measurements are made once and kept, noise and all: a training set of ten scans is ten scans.
Torch alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators.base import LinearOperator
from pnp_recon.errors import InputError
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.pictures.metrics import psnr
from pnp_recon.training.trainer import Trainer
from pnp_recon.training.unrolled.recipe import UnrolledRecipe


@dataclass(frozen=True, eq=False)
class Pairs:
    """Measurements (n, *A.measurement_shape) and the pictures (n, C, H, W) in [0, 1] behind them.

    Raises:
        InputError: their numbers or shapes do not fit.
    """

    measurements: Tensor
    pictures: Tensor

    def __post_init__(self) -> None:
        if len(self.measurements) != len(self.pictures):
            raise InputError(
                f"{len(self.measurements)} measurements and {len(self.pictures)} pictures; "
                "expected as many of either"
            )

    def __len__(self) -> int:
        return len(self.pictures)


class UnrolledTrainer(Trainer):
    """A training run of an unrolled network in a folder.

    Args:
        network: trained in place. To resume, build the same one.
        recipe: see `UnrolledRecipe`.
        A: the forward operator of all pairs.
        training, validation: pairs; those for validation may be none.
        folder: where checkpoint and log go; an existing checkpoint is resumed.
        device: "cpu" or "cuda"; the operator must live there.

    Raises:
        InputError: no pairs, or a checkpoint that is damaged or belongs to another recipe or
            network.
    """

    recipe: UnrolledRecipe
    network: UnrolledNetwork
    average: UnrolledNetwork

    def __init__(
        self,
        network: UnrolledNetwork,
        recipe: UnrolledRecipe,
        A: LinearOperator,
        training: Pairs,
        validation: Pairs,
        folder: Path,
        device: str = "cpu",
    ) -> None:
        if not len(training):
            raise InputError("no training pairs were given")
        self.A, self.training, self.validation = A, training, validation
        with torch.no_grad():
            first = network.start(training.measurements.to(device), A)
        # What the network starts from has a loss of 1.
        self.scale = float(F.mse_loss(first, training.pictures.to(first)))
        super().__init__(network, recipe, folder, device)

    def save_memory(self) -> None:
        """Features are recomputed instead of kept."""
        self.network.checkpointing = True

    def objective(self) -> Tensor:
        """Mean squared error over that of the network's starting pictures."""
        chosen = torch.randint(len(self.training), (self.recipe.batch,), generator=self.generator)
        truth = self.training.pictures[chosen].to(self.device)
        with self.autocast():
            restored = self.network(self.training.measurements[chosen].to(self.device), self.A)
        return F.mse_loss(restored.float(), truth) / self.scale

    def validate(self) -> dict[str, float]:
        """Mean PSNR in dB of the averaged weights over the validation pairs, clipped to [0, 1]."""
        with self.autocast():
            return validation_psnr(self.average, self.A, self.validation, self.device)

    @torch.no_grad()
    def sheet(self) -> Tensor | None:
        """Up to four validation scans: what the network starts from, its picture, truth, error."""
        from pnp_recon.pictures.sheets import SHEET_PICTURES, scan_sheet

        if not len(self.validation):
            return None
        y = self.validation.measurements[:SHEET_PICTURES].to(self.device)
        truth = self.validation.pictures[:SHEET_PICTURES]
        with self.autocast():
            restored = torch.cat([self.average(one[None], self.A) for one in y])
        return scan_sheet(self.average.start(y, self.A), restored.float(), truth)


@torch.no_grad()
def validation_psnr(
    network: nn.Module, A: LinearOperator, pairs: Pairs, device: str = "cpu"
) -> dict[str, float]:
    """Mean PSNR in dB over the pairs, pictures clipped to [0, 1]; empty without pairs."""
    found = []
    for y, truth in zip(pairs.measurements, pairs.pictures, strict=True):
        image = network(y[None].to(device), A)
        found.append(float(psnr(image.float().clamp(0, 1), truth[None].to(device))))
    return {"psnr_val": sum(found) / len(found)} if found else {}
