"""The task of `pnp-train energy`: a learned energy. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.pictures import PictureTask
from pnp_recon.training.energy.beginning import EnergyWeights, first_architecture
from pnp_recon.training.energy.network import Architecture
from pnp_recon.training.energy.recipe import EnergyRecipe
from pnp_recon.training.fixed_point.beginning import absolute, first_weights, stem
from pnp_recon.training.task import Flag, Given, Tick

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.datasets.folders import TrainingData
    from pnp_recon.networks.energies.energy import Energy
    from pnp_recon.training.trainer import Trainer

# So many of the pictures of BSDS500 `val` that are not in BSD68 are held out by default.
HELD_OUT = 12


@dataclass(frozen=True, kw_only=True)
class EnergyTask(PictureTask):
    """A learned energy. See `PictureTask`.

    Attributes:
        beginning: what training starts from, if not from weights that are drawn.
    """

    kind: ClassVar[str] = "energy"
    flags: ClassVar[Mapping[str, Flag]] = {
        **PictureTask.flags,
        "name": Flag(default="ridge_grey, energy_colour, ..., or INIT_trained"),
        "hold_out": Flag(default="12 of BSDS500's val; else a tenth, at most 12"),
        "recipe.optimiser": Flag(
            "Use adam, or muon for the filters of a gradient-step energy and Adam for all else.",
            default="muon for a new gradient-step energy, else adam",
        ),
        "network.settings": Flag(asked=False, said="init"),
        "beginning.model": Flag(names=("--init",)),
        "beginning.sha256": Flag(asked=False, said="init (SHA-256)"),
    }

    network: Architecture
    recipe: EnergyRecipe
    beginning: EnergyWeights

    @classmethod
    def completed(cls, given: Given) -> Given:
        """Adds the network of the energy which training begins with, and its hash."""
        model = given.get("beginning", {}).get("model")
        if not model:
            return given
        if differing := [key for key in given.get("network", {}) if key != "settings"]:
            raise InputError(
                f"{differing[0]} is that of {model}, which training begins with; leave it out"
            )
        sha256, _ = first_weights(model, certified=False)
        network = first_architecture(model, cls.kind)
        beginning = {"model": absolute(model), "sha256": sha256}
        return {**given, "network": network, "beginning": beginning}

    @classmethod
    def defaults(cls, given: Given) -> Given:
        network = given.get("network", {})
        family = network.get("family", Architecture.family)
        if model := given.get("beginning", {}).get("model"):
            return {"name": f"{stem(model)}_trained", "hold_out": None}
        if family == Architecture.family:
            return {"name": cls.named("ridge", given), "hold_out": None}
        found = {"name": cls.named("energy", given), "hold_out": None}
        return {**found, "recipe": {"optimiser": "muon"}}

    def build(self) -> Energy:
        from pnp_recon.training.seeding import seeded

        with seeded(self.recipe.seed):
            return self.network.build()

    def load(self, tick: Tick | None = None) -> TrainingData:
        """The pictures; those of BSDS500 that are held out are those of the shipped energies."""
        from pnp_recon.datasets.folders import load_training_data
        from pnp_recon.datasets.splits import is_bsds500, validation_pictures

        held = None
        if self.hold_out is None and is_bsds500(self.data):
            held = validation_pictures(self.data)[:HELD_OUT]
        channels, patch = self.network.channels, self.recipe.patch
        return load_training_data(self.data, channels, patch, self.hold_out, tick, held)

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        from pnp_recon.training.energy.trainer import EnergyTrainer

        if self.beginning.model and not (folder / "checkpoint.pt").exists():
            self.beginning.apply(network)
        energy = cast("Energy", network)
        return EnergyTrainer(energy, self.recipe, data.training, data.validation, folder, device)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        """Writes the averaged weights of the best validation, or the last where there was none."""
        from pnp_recon.models.export import export

        if best := state.get("best"):
            network.load_state_dict(best["average"])
        return export(network, out, name, self.sigma_range, self.details(network, state))

    def details(self, network: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
        best = state.get("best") or {"psnr": state.get("psnr", {}), "step": state["step"]}
        found = self.provenance(state, self.recipe.loss)
        found["training"]["best_step"] = best["step"]
        if self.beginning.model:
            found["began_with"] = self.beginning.described()
        return {
            **found,
            "validation": {
                "psnr_db": {key: round(value, 3) for key, value in best["psnr"].items()},
                "measured_on": "exported weights, float32; 128×128 central crops",
                "held_out": self.description.get("validation_held_out", False),
            },
        }
