"""What is trained and how: names, default sizes, and the flags of `train`, made from fields."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import torch

from pnp_recon.networks.configs import GradientStepConfig, RidgeConfig
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.ridge import RidgeNet

CONFIGS: dict[str, GradientStepConfig | RidgeConfig] = {
    "energy_colour": GradientStepConfig(channels=3, widths=(48, 80, 128)),
    "energy_grey": GradientStepConfig(channels=1, widths=(40, 80, 128)),
    "ridge_colour": RidgeConfig(channels=3, widths=(8, 16, 96), group=3),
    "ridge_grey": RidgeConfig(channels=1, widths=(4, 8, 64), group=1),
}
# Where it makes no sense to say how a run was placed in time and on disk.
PLACEMENT = ("data", "out", "start_at", "end_at", "resume")


@dataclass
class Settings:
    """A training. Numbers that are 0 here take the default of the kind of energy."""

    name: Annotated[str, "which energy to train"]
    data: Annotated[Path, "folder of BSDS500, or of any pictures"] = Path("BSDS500")
    out: Annotated[Path, "folder for weights, states and figures"] = Path("out/energies")
    seconds: Annotated[float, "budget of the training"] = 60.0
    steps: Annotated[int, "stop after so many steps; 0: by time only"] = 0
    start_at: Annotated[float, "Unix time before which nothing is trained"] = 0.0
    end_at: Annotated[float, "Unix time at which training ends; it replaces the budget"] = 0.0
    device: Annotated[str, "where to train; by default the GPU, if there is one"] = ""
    widths: Annotated[str, "other widths than the default, with commas"] = ""
    batch: Annotated[int, "pictures in a batch"] = 0
    patch: Annotated[int, "side of the patches"] = 0
    precision: Annotated[str, "inner arithmetic on a GPU: bf16, fp16 or tf32"] = "bf16"
    tail: Annotated[float, "last part of the budget, in TF32"] = 0.0
    critical: Annotated[float, "part of the budget with the loss at critical points"] = 0.0
    muon_rate: Annotated[float, "rate of the inner filters"] = 0.01
    adam_rate: Annotated[float, "rate of the other numbers"] = 0.0
    decay: Annotated[float, "weight decay of the inner filters"] = 0.01
    clip: Annotated[float, "largest norm of the gradient"] = 1.0
    ema: Annotated[float, "how slowly the average of the weights follows"] = 0.998
    warmup: Annotated[float, "first part of the budget, with a rising rate"] = 0.03
    inner: Annotated[int, "ridge energies: iterations of the proximal map in training"] = 30
    cg: Annotated[int, "ridge energies: iterations of conjugate gradients in training"] = 18
    modes: Annotated[str, "variants of the step, with commas: compile+graph, graph, eager"] = ""
    every: Annotated[int, "steps between two looks at the loss"] = 20
    log_every: Annotated[float, "seconds between two lines"] = 10.0
    save_every: Annotated[float, "seconds between two validations"] = 60.0
    seed: Annotated[int, "seed of all random numbers"] = 0
    threads: Annotated[int, "threads of the CPU; 0: as torch chooses"] = 0
    pictures: Annotated[int, "train on so many pictures only; 0: on all"] = 0
    validation_size: Annotated[int, "side of the validation crops"] = 0
    validation_pictures: Annotated[int, "how many held-out pictures are validated on"] = 0
    critical_iterations: Annotated[int, "iterations of the last evaluation"] = 300
    critical_seconds: Annotated[float, "time for the last evaluation; 0: none"] = 30.0
    resume: Annotated[str, "NAME.state.safetensors of a run that is continued"] = ""
    restart: Annotated[bool, "begin the schedule anew when a run is continued"] = False

    def __post_init__(self) -> None:
        if self.name not in CONFIGS:
            raise ValueError(f"unknown energy {self.name!r}; known: {', '.join(CONFIGS)}")
        self.device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        ridge = self.ridge
        self.batch = self.batch or (48 if ridge else 64)
        self.patch = self.patch or (64 if ridge else 128)
        self.adam_rate = self.adam_rate or (5e-3 if ridge else 1e-3)
        # A proximal map takes seconds: ridge energies are watched on less.
        self.validation_size = self.validation_size or (128 if ridge else 256)
        self.validation_pictures = self.validation_pictures or (4 if ridge else 12)

    @property
    def ridge(self) -> bool:
        return isinstance(CONFIGS[self.name], RidgeConfig)

    def recipe(self) -> dict[str, Any]:
        """What went into the training, for the card."""
        return {key: value for key, value in asdict(self).items() if key not in PLACEMENT}

    def network(self) -> Energy:
        config = CONFIGS[self.name]
        changed = asdict(config)
        if self.widths:
            changed["widths"] = tuple(int(width) for width in self.widths.split(","))
        if isinstance(config, RidgeConfig):
            return RidgeNet(RidgeConfig(**changed))
        return GradientStepNet(GradientStepConfig(**changed))


def parse(argv: Sequence[str] | None, description: str) -> Settings:
    """The settings of a command line."""
    parser = argparse.ArgumentParser(description=description)
    hints = get_type_hints(Settings, include_extras=True)
    for each in fields(Settings):
        (words,) = hints[each.name].__metadata__
        if each.default is MISSING:
            parser.add_argument(each.name, choices=CONFIGS, help=words)
        elif isinstance(each.default, bool):
            parser.add_argument(_flag(each.name), action="store_true", help=words)
        else:
            kind = type(each.default)
            parser.add_argument(_flag(each.name), type=kind, default=each.default, help=words)
    return Settings(**vars(parser.parse_args(argv)))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
