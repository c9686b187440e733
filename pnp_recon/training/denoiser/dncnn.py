"""The task of `pnp-train dncnn`: the unconstrained denoiser that the certified ones are compared
with, on the same pictures by the same trainer. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pnp_recon.networks.configs import DnCNNConfig
from pnp_recon.training.denoiser.pictures import PictureTask
from pnp_recon.training.denoiser.recipe import BlindRecipe
from pnp_recon.training.task import HIDDEN, Flag, Given

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.networks.dncnn import DnCNN


@dataclass(frozen=True, kw_only=True)
class DnCNNTask(PictureTask):
    """DnCNN, which nothing holds back and nothing is proven about. See `PictureTask`."""

    kind: ClassVar[str] = "dncnn"
    flags: ClassVar[Mapping[str, Flag]] = {
        **PictureTask.flags,
        "name": Flag(default="dncnn_grey or dncnn_colour"),
        "hold_out": HIDDEN,
    }

    network: DnCNNConfig
    recipe: BlindRecipe

    @classmethod
    def defaults(cls, given: Given) -> Given:
        return {"name": cls.named("dncnn", given), "hold_out": None}

    def build(self) -> DnCNN:
        from pnp_recon.networks.dncnn import DnCNN
        from pnp_recon.training.seeding import seeded

        with seeded(self.recipe.seed):
            return DnCNN(self.network)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        from pnp_recon.models.export import export

        return export(network, out, name, self.sigma_range, self.details(network, state))
