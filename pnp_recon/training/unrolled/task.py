"""The task of `pnp-train unrolled`: a network that reconstructs simulated scans. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pnp_recon.errors import InputError
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.training.task import HIDDEN, Flag, Given, Task, Tick
from pnp_recon.training.unrolled.beginning import Beginning
from pnp_recon.training.unrolled.recipe import UnrolledRecipe
from pnp_recon.training.unrolled.scans import SimulatedScans

if TYPE_CHECKING:
    from torch import Tensor, nn

    from operators import RayTransform
    from pnp_recon.networks.unrolled import UnrolledNetwork
    from pnp_recon.training.trainer import Trainer
    from pnp_recon.training.unrolled.slices import SliceData
    from pnp_recon.training.unrolled.trainer import Pairs

# Seeds of the photon noise: the same for every run, so that runs differ in what they make of it.
TRAINING_NOISE, VALIDATION_NOISE = 0, 1
# Measured for CT: filtered residuals are worth about 1 dB after a few hundred steps.
GRADIENT = "filtered"


@dataclass(frozen=True, kw_only=True)
class UnrolledTask(Task):
    """An unrolled network for scans. See `Task`.

    Attributes:
        scans: what is measured.
        beginning: what training starts from.
    """

    kind: ClassVar[str] = "unrolled"
    identity: ClassVar[tuple[str, ...]] = (
        "slices",
        "sha256",
        "training_slices",
        "validation_slices",
    )
    flags: ClassVar[Mapping[str, Flag]] = {
        **Task.flags,
        "data": Flag(
            "Train on these CT slices: an .npz archive with img (slices, rows, columns) = HU + "
            "1024, and perhaps split and patient; or a folder of DICOM, .npy (in HU) or pictures "
            "(0 to 1 is -1024 to 1500 HU), or of train/ and val/. Needed to start, not to resume."
        ),
        "name": Flag(default="unrolled_ct_GROUP"),
        "network.channels": HIDDEN,  # slices are grey
        "network.gradient": Flag(default=GRADIENT),
        "network.steps": Flag(names=("--step-sizes",)),
        "network.filters": Flag(default="pixel, for C8, D8, ... harmonic"),
        "scans.count": Flag(default="all"),
        "beginning.model": Flag(names=("--init",), default="random weights"),
        "beginning.sha256": Flag(asked=False, said="init (SHA-256)"),
        "beginning.step": Flag(names=("--first-step",), default="1, or those of --init"),
    }
    saves_memory: ClassVar[bool] = True

    network: UnrolledConfig
    recipe: UnrolledRecipe
    scans: SimulatedScans
    beginning: Beginning = field(default_factory=Beginning)

    @classmethod
    def completed(cls, given: Given) -> Given:
        """Adds the hash of the model which training begins with."""
        beginning = given.get("beginning", {})
        if "model" not in beginning:
            return given
        from pnp_recon.models.store import find_card, read_card

        card = read_card(find_card(beginning["model"]), "network")
        return {**given, "beginning": {**beginning, "sha256": card.sha256}}

    @classmethod
    def defaults(cls, given: Given) -> Given:
        group = given.get("network", {}).get("group", UnrolledConfig.group)
        return {"name": f"unrolled_ct_{group.lower()}", "network": {"gradient": GRADIENT}}

    def build(self) -> UnrolledNetwork:
        from pnp_recon.networks.invertible.unrolled import unrolled_network
        from pnp_recon.training.seeding import seeded

        with seeded(self.recipe.seed):
            return unrolled_network(self.network)

    def load(self, tick: Tick | None = None) -> SliceData:
        from pnp_recon.training.unrolled.slices import load_slices

        return load_slices(self.data, self.scans.size, self.scans.count, self.recipe.seed, tick)

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        from pnp_recon.training.unrolled.trainer import Pairs, UnrolledTrainer

        A, training = self.measured(data.training, TRAINING_NOISE, data.training_numbers)
        validation = Pairs(training.measurements[:0], training.pictures[:0])
        if len(data.validation):
            _, validation = self.measured(
                data.validation, VALIDATION_NOISE, data.validation_numbers
            )
        network = cast("UnrolledNetwork", network)
        if not (folder / "checkpoint.pt").exists():
            self.beginning.apply(network)
        return UnrolledTrainer(network, self.recipe, A, training, validation, folder, device)

    def measured(
        self, slices: Tensor, noise: int, numbers: Sequence[int]
    ) -> tuple[RayTransform, Pairs]:
        """The scans of slices (n, 1, size, size) in HU; see `simulated_scans`."""
        from pnp_recon.training.unrolled.pairs import simulated_scans

        scan = self.scans
        return simulated_scans(slices, scan.geometry(), scan.incident, noise, numbers)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        from pnp_recon.models.export import export
        from pnp_recon.training.unrolled.trainer import validation_psnr

        network = cast("UnrolledNetwork", network)
        psnr, how = dict(state.get("psnr", {})), "during training"
        try:
            data = self.loaded_again()
            if len(data.validation):
                scans = self.measured(data.validation, VALIDATION_NOISE, data.validation_numbers)
                psnr, how = validation_psnr(network, *scans), "exported weights, float32"
        except InputError:
            pass
        details = {
            **self.provenance(state, "mean squared error over that of the starting pictures"),
            "began_with": self.beginning.described(),
            "validation": {
                "psnr_db": {key: round(value, 3) for key, value in psnr.items()},
                "measured_on": f"{how}; pictures clipped to [0, 1], noise of the training's kind",
                "held_out": True,
            },
        }
        return export(network, out, name, self.trained_on(), details)

    def trained_on(self) -> dict[str, Any]:
        """The scans that the network knows, as its card says it."""
        from pnp_recon.scans.window import HOUNSFIELD_WINDOW

        return {
            "operator": "RayTransform",
            "geometry": self.scans.geometry().to_dict(),
            "image_shape": [1, self.scans.size, self.scans.size],
            "window_hu": list(HOUNSFIELD_WINDOW),
            "incident": self.scans.incident,
            "other_geometry": self.scans.other_geometry,
        }

    def data_words(self) -> str:
        found = self.description
        return (
            f"{found['slices']} of {found['of']} slices, {self.scans.size}², {self.scans.views} "
            f"views of {self.scans.incident:g} photons, validation on "
            f"{len(found['validation_slices'])} held out"
        )
