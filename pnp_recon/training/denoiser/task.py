"""The task of `pnp-train denoiser`: a certified denoiser. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pnp_recon.networks.configs import EulerConfig
from pnp_recon.training.denoiser.pictures import PictureTask
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.task import Flag, Given

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.networks.euler import EulerNet


@dataclass(frozen=True, kw_only=True)
class DenoiserTask(PictureTask):
    """A certified denoiser. See `PictureTask`."""

    kind: ClassVar[str] = "denoiser"
    flags: ClassVar[Mapping[str, Flag]] = {
        **PictureTask.flags,
        "data": Flag(
            "Train on this folder of pictures. A BSDS500 folder, however it is laid out, gives "
            "train and val without BSD68: 232 pictures. Needed to start, not to resume."
        ),
        "name": Flag(default="euler_grey or euler_colour"),
        "network.lifting": Flag(default="haar, with a group unshuffle"),
        "recipe.optimiser": Flag(),
    }

    network: EulerConfig
    recipe: DenoiserRecipe

    @classmethod
    def defaults(cls, given: Given) -> Given:
        found: dict[str, Any] = {"name": cls.named("euler", given), "hold_out": None}
        if given.get("network", {}).get("group", "C1") != "C1":
            found["network"] = {"lifting": "unshuffle"}  # the only one into the fields of a group
        return found

    def build(self) -> EulerNet:
        from pnp_recon.training.denoiser.network import build_network

        return build_network(self.network, self.recipe.seed)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        from pnp_recon.models.export import export

        cast("EulerNet", network).certify()
        return export(network, out, name, self.sigma_range, self.details(network, state))
