"""The task of `pnp-train classifier`: a classifier with proven radii. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.training.classifier.recipe import RADII, ClassifierRecipe
from pnp_recon.training.task import HIDDEN, Flag, Given, Task, Tick

if TYPE_CHECKING:
    from torch import nn

    from pnp_recon.datasets.labelled import LabelledData
    from pnp_recon.networks.classifier import Classifier
    from pnp_recon.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class ClassifierTask(Task):
    """A classifier with proven radii. See `Task`.

    Attributes:
        hold_out: training pictures held out for the validation, None for the rule of
            `datasets.labelled.load_labelled`.
    """

    kind: ClassVar[str] = "classifier"
    identity: ClassVar[tuple[str, ...]] = ("pictures", "sha256_of_pictures", "validation_pictures")
    flags: ClassVar[Mapping[str, Flag]] = {
        **Task.flags,
        "data": Flag(
            "Train on scikit-learn's digits (digits), or on a folder: the batches of CIFAR-10, or "
            "a folder of square pictures for each class. Needed to start, not to resume."
        ),
        "name": Flag(default="classifier_dense or classifier_conv"),
        "hold_out": Flag(default="the test part of digits and CIFAR-10, else a tenth"),
        "network.channels": HIDDEN,
        "network.side": HIDDEN,
        "network.classes": HIDDEN,
        "network.width": Flag(default="those of a picture; 16 for conv"),
    }

    network: ClassifierConfig
    recipe: ClassifierRecipe
    hold_out: Annotated[
        int | None, "Keep this many training pictures, evenly spaced, for the validation."
    ]

    @classmethod
    def completed(cls, given: Given) -> Given:
        """Adds what the pictures say of the network: channels, side, number of classes."""
        if "data" not in given:
            return given
        from pnp_recon.datasets.labelled import load_labelled

        data = load_labelled(given["data"])
        _, channels, side, _ = data.training.pictures.shape
        shape = {"channels": channels, "side": side, "classes": data.classes}
        return {**given, "network": {**given.get("network", {}), **shape}}

    @classmethod
    def defaults(cls, given: Given) -> Given:
        kind = given.get("network", {}).get("architecture", ClassifierConfig.architecture)
        return {"name": f"classifier_{kind}", "hold_out": None}

    def build(self) -> Classifier:
        from pnp_recon.networks.classifier import build_classifier
        from pnp_recon.training.seeding import seeded

        with seeded(self.recipe.seed):
            return build_classifier(self.network)

    def load(self, tick: Tick | None = None) -> LabelledData:
        from pnp_recon.datasets.labelled import load_labelled

        return load_labelled(self.data, self.hold_out)

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        from pnp_recon.training.classifier.trainer import ClassifierTrainer

        return ClassifierTrainer(
            network, self.recipe, data.training, data.validation, folder, device
        )

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        """Writes float64 weights of which the constants are proven, and what they certify."""
        from pnp_recon.models.classifier import export_classifier
        from pnp_recon.training.classifier.trainer import certified, certified_accuracy

        found = certified(cast("Classifier", network))
        data = self.loaded_again().validation
        shares = certified_accuracy(found, data, RADII) if len(data) else {}
        details = {
            **self.provenance(state, self.recipe.loss),
            "validation": {
                "certified_accuracy": shares,
                "measured_on": f"{len(data)} pictures, exported weights, float64",
            },
        }
        return export_classifier(found, out, name, details)

    def data_words(self) -> str:
        found = self.description
        return (
            f"{found['pictures']} pictures of {len(found['class_names'])} classes "
            f"({found['selection']}), validation on {found['validation_pictures']}"
        )
