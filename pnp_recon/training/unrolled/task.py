"""Runs that train an unrolled network on simulated scans (`pnp-train unrolled`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from operators import RayTransform, ScanGeometry, parallel_beam
from pnp_recon.errors import InputError
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.priors.unrolled_domain import POLICIES
from pnp_recon.scans.window import HOUNSFIELD_WINDOW
from pnp_recon.training.runs import RunSettings, Tick
from pnp_recon.training.unrolled.pairs import simulated_scans
from pnp_recon.training.unrolled.slices import SliceData, load_slices
from pnp_recon.training.unrolled.trainer import (
    Pairs,
    UnrolledRecipe,
    UnrolledTrainer,
    validation_psnr,
)

# Seeds of the photon noise: the same for every run, so that runs differ in what they make of it.
TRAINING_NOISE, VALIDATION_NOISE = 0, 1


@dataclass(frozen=True)
class SimulatedScans:
    """The scans that a network is trained on: a parallel beam over 180°, photon noise.

    Attributes:
        views: of each scan, evenly spread.
        incident: photons that enter each ray.
        size: side of the pictures in pixels; slices are averaged to it.
        field_mm: side of every picture in mm, whatever its size and its file say.
        count: slices to train on, None for all.
        other_geometry: what the model does with scans of another geometry, "warn" or "refuse".

    Raises:
        InputError: a value outside its range.
    """

    views: int = 50
    incident: float = 1e4
    size: int = 256
    field_mm: float = 256.0
    count: int | None = None
    other_geometry: str = "warn"

    def __post_init__(self) -> None:
        for name in ("views", "size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("incident", "field_mm"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(
                    f"{name.replace('_', '-')} is {getattr(self, name):g}; expected a finite "
                    "number > 0"
                )
        if self.other_geometry not in POLICIES:
            raise InputError(
                f"other-geometry is {self.other_geometry!r}; expected {' or '.join(POLICIES)}"
            )

    def geometry(self) -> ScanGeometry:
        return parallel_beam(self.views, self.size, pixel_mm=self.field_mm / self.size)


@dataclass(frozen=True)
class Beginning:
    """The weights at the first step, where they do not follow from the seed.

    Attributes:
        model: name or path of a trained network of the same configuration; None: random weights.
        sha256: of its weights.
        step: value that all step sizes are set to; None: those of the model, or 1. A scan that is
            sampled more sparsely wants smaller ones.
    """

    model: str | None = None
    sha256: str | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        if self.step is not None and not 0 < self.step < math.inf:
            raise InputError(f"first-step is {self.step:g}; expected a finite number > 0")

    def described(self) -> dict[str, Any]:
        """For the card: the model's name, not where it lay."""
        return {**asdict(self), "model": self.model and Path(self.model).stem}

    @torch.no_grad()
    def apply(self, network: UnrolledNetwork) -> None:
        """Sets the weights of a network that has not been trained.

        Raises:
            InputError: there is no such model, or it is of another configuration.
        """
        if self.model is not None:
            from pnp_recon.models.unrolled import learned_weights

            config, sha256, state = learned_weights(self.model)
            if sha256 != self.sha256:
                raise InputError(f"{self.model} is no longer the model that the run began with")
            differing = [k for k, v in asdict(config).items() if v != getattr(network.config, k)]
            if differing:
                raise InputError(
                    f"{self.model} has another {differing[0].replace('_', '-')}: "
                    f"{getattr(config, differing[0])}, not {getattr(network.config, differing[0])}"
                )
            network.load_state_dict(state)
        if self.step is not None:
            if network.config.scheme == "primal-dual":
                raise InputError("the primal-dual scheme has no step sizes; leave first-step out")
            network.steps.fill_(self.step)


@dataclass(frozen=True, kw_only=True)
class UnrolledRun(RunSettings):
    """See `RunSettings`.

    Attributes:
        scans: what is measured.
        beginning: what training starts from.
    """

    kind: ClassVar[str] = "unrolled"
    parts: ClassVar[Mapping[str, type]] = {
        "network": UnrolledConfig,
        "recipe": UnrolledRecipe,
        "scans": SimulatedScans,
        "beginning": Beginning,
    }
    identity: ClassVar[tuple[str, ...]] = (
        "slices",
        "sha256",
        "training_slices",
        "validation_slices",
    )

    network: UnrolledConfig
    recipe: UnrolledRecipe
    scans: SimulatedScans
    beginning: Beginning = Beginning()

    def build(self) -> UnrolledNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            try:
                return UnrolledNetwork(self.network)
            except (ValueError, RuntimeError) as error:
                raise InputError(f"the network cannot be built: {error}") from error

    def load(self, tick: Tick | None = None) -> SliceData:
        return load_slices(self.data, self.scans.size, self.scans.count, self.recipe.seed, tick)

    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> UnrolledTrainer:
        A, training = self.measured(data.training, TRAINING_NOISE, data.training_numbers)
        validation = Pairs(training.measurements[:0], training.pictures[:0])
        if len(data.validation):
            _, validation = self.measured(
                data.validation, VALIDATION_NOISE, data.validation_numbers
            )
        network = cast(UnrolledNetwork, network)
        if not (folder / "checkpoint.pt").exists():
            self.beginning.apply(network)
        return UnrolledTrainer(network, self.recipe, A, training, validation, folder, device)

    def measured(
        self, slices: Tensor, noise: int, numbers: Sequence[int]
    ) -> tuple[RayTransform, Pairs]:
        """The scans of slices (n, 1, size, size) in HU; see `simulated_scans`."""
        scan = self.scans
        return simulated_scans(slices, scan.geometry(), scan.incident, noise, numbers)

    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        from pnp_recon.models.unrolled import export_unrolled

        network = cast(UnrolledNetwork, network)
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
        return export_unrolled(network, out, name, self.trained_on(), details)

    def trained_on(self) -> dict[str, Any]:
        """The scans that the network knows, as its card says it."""
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
