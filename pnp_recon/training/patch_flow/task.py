"""The task of `pnp-train patch-flow`: an energy from few pictures. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pnp_recon.networks.configs import PatchFlowConfig
from pnp_recon.training.denoiser.pictures import PictureTask
from pnp_recon.training.patch_flow.recipe import PatchFlowRecipe
from pnp_recon.training.task import HIDDEN, Flag, Given

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.networks.energies.patch_flow import PatchFlowNet
    from pnp_recon.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class PatchFlowTask(PictureTask):
    """A patch flow. See `PictureTask`."""

    kind: ClassVar[str] = "patch-flow"
    flags: ClassVar[Mapping[str, Flag]] = {
        **PictureTask.flags,
        "name": Flag(default="patch_flow_grey or patch_flow_colour"),
        "network.sigma_ref": HIDDEN,
        "recipe.patch": HIDDEN,
        "recipe.bf16": HIDDEN,
    }

    network: PatchFlowConfig
    recipe: PatchFlowRecipe

    @classmethod
    def defaults(cls, given: Given) -> Given:
        size = given.get("network", {}).get("size", PatchFlowConfig().size)
        return {
            "name": cls.named("patch_flow", given),
            "hold_out": None,
            "recipe": {"patch": size},
        }

    def build(self) -> PatchFlowNet:
        from pnp_recon.networks.energies.patch_flow import PatchFlowNet
        from pnp_recon.training.seeding import seeded

        with seeded(self.recipe.seed):
            return PatchFlowNet(self.network)

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        from pnp_recon.training.patch_flow.trainer import PatchFlowTrainer

        flow = cast("PatchFlowNet", network)
        return PatchFlowTrainer(flow, self.recipe, data.training, data.validation, folder, device)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        from pnp_recon.models.export import export

        return export(network, out, name, self.sigma_range, self.details(network, state))
