"""What all tasks share that train a denoiser on a folder of pictures. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.task import Flag, Given, Task, Tick

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.datasets.folders import TrainingData
    from pnp_recon.training.trainer import Trainer

DATA = Flag("Train on this folder of pictures, as for `denoiser`. Needed to start, not to resume.")
GREY = Flag("Train a grey or a colour model.", ("--grey/--colour",), "grey", switch=(1, 3))


@dataclass(frozen=True, kw_only=True)
class PictureTask(Task):
    """A task that trains a denoiser on a folder of pictures. See `Task`.

    Attributes:
        hold_out: pictures held out for the validation, None for the rule of
            `datasets.folders.load_training_data`.
    """

    identity: ClassVar[tuple[str, ...]] = (
        "pictures",
        "sha256_of_sorted_file_hashes",
        "validation_pictures",
    )
    flags: ClassVar[Mapping[str, Flag]] = {
        **Task.flags,
        "data": DATA,
        "network.channels": GREY,
        "recipe.sigma_min": Flag(level=True),
        "recipe.sigma_max": Flag(level=True),
        "hold_out": Flag(default="0 for BSDS500, else a tenth, at most 12"),
    }

    recipe: DenoiserRecipe
    hold_out: Annotated[
        int | None,
        "Keep this many pictures, evenly spaced by name, from training for the validation.",
    ]

    @classmethod
    def named(cls, stem: str, given: Given) -> str:
        """What a model is called by default: as the network, and for grey or for colour."""
        channels = given.get("network", {}).get("channels")
        return f"{stem}_{'colour' if channels == 3 else 'grey'}"

    def load(self, tick: Tick | None = None) -> TrainingData:
        from pnp_recon.datasets.folders import load_training_data

        return load_training_data(
            self.data, self.network.channels, self.recipe.patch, self.hold_out, tick
        )

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        from pnp_recon.training.denoiser.trainer import DenoiserTrainer

        return DenoiserTrainer(network, self.recipe, data.training, data.validation, folder, device)

    def details(self, network: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
        """What the model card says beside network and certificate."""
        from pnp_recon.training.validation import validation_psnr

        psnr, how = dict(state.get("psnr", {})), "during training"
        try:
            pictures = self.loaded_again().validation
            psnr = validation_psnr(network, pictures, self.recipe.validation_levels())
            how = "exported weights, float32"
        except InputError:
            pass
        return {
            **self.provenance(state, self.recipe.loss),
            "validation": {
                "psnr_db": {key: round(value, 3) for key, value in psnr.items()},
                "measured_on": f"{how}; 128×128 central crops",
                "held_out": self.description.get("validation_held_out", False),
            },
        }

    @property
    def sigma_range(self) -> tuple[float, float]:
        return (self.recipe.sigma_min, self.recipe.sigma_max)

    def data_words(self) -> str:
        found = self.description
        held = "held out" if found["validation_held_out"] else "of them"
        return (
            f"{found['pictures']} pictures ({found['selection']}), validation on "
            f"{len(found['validation_pictures'])} {held}"
        )
