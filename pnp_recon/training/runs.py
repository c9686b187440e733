"""A training run as a folder: `run.json` says what is trained, on what, and how.

It is written once, before the first step, and is all that resuming and exporting need. Beside it
lie the checkpoint and the log (`training`), sample sheets and TensorBoard's files. What differs
between kinds of runs is in `training_run_denoiser` and `training_run_unrolled`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, write_reason
from pnp_recon.training.recipe import Recipe
from pnp_recon.training.trainer import Trainer, read_checkpoint

RUN_VERSION = 1

Tick = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RunSettings(ABC):
    """Everything that decides which weights come out of a run; one subclass for each kind.

    Attributes:
        kind: what the command that starts such runs is called.
        parts: the fields that are dataclasses of their own, with their classes.
        identity: keys of `description` by which the same data are known again.
        name: of the model that the run makes.
        network: configuration of the network.
        recipe: how it is trained.
        data: the folder or file that is trained on, absolute.
        threads: of torch; sums depend on it in the last bits.
        description: of the data found at the start; resuming checks them against it.
        made_with: versions of the package, torch and Python at the start.
    """

    kind: ClassVar[str]
    parts: ClassVar[Mapping[str, type]]
    identity: ClassVar[tuple[str, ...]]

    name: str
    network: Any
    recipe: Recipe
    data: Path
    threads: int
    description: dict[str, Any]
    made_with: dict[str, str]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """From plain values, as in `run.json`; the parts are mappings, one left out is default.

        Raises:
            InputError: a value that a part refuses.
            TypeError: a field that is not known, or one too few.
        """
        values = dict(fields)
        for key, part in cls.parts.items():
            try:
                values[key] = part(**values.get(key, {}))
            except InputError:
                raise
            except ValueError as error:
                raise InputError(str(error)) from error
        return cls(**values)

    @abstractmethod
    def build(self) -> nn.Module:
        """The network at its first step; the weights follow from the recipe's seed."""

    @abstractmethod
    def load(self, tick: Tick | None = None) -> Any:
        """Reads what is trained on: an object with a `description`."""

    @abstractmethod
    def trainer(self, network: nn.Module, data: Any, folder: Path, device: str) -> Trainer:
        """Ready to run, resumed where the folder holds a checkpoint."""

    @abstractmethod
    def export(self, network: nn.Module, state: Mapping[str, Any], out: Path, name: str) -> Path:
        """Writes the averaged weights and their card; returns the card's path."""

    @abstractmethod
    def data_words(self) -> str:
        """What is trained and validated on, in a few words."""

    def loaded_again(self) -> Any:
        """`load`, for a run that has begun.

        Raises:
            InputError: the data are gone, or are not those that the run began with.
        """
        data = self.load()
        self.check_same(data.description)
        return data

    def check_same(self, found: Mapping[str, Any]) -> None:
        """Refuses (InputError) data other than those that the run began with."""
        differing = [key for key in self.identity if self.description.get(key) != found[key]]
        if differing:
            raise InputError(
                f"the {self.identity[0]} in {self.data} are not those that the run began with "
                f"(another {differing[0].replace('_', ' ')}); restore them or start anew in "
                "another folder"
            )

    def provenance(self, state: Mapping[str, Any], loss: str) -> dict[str, Any]:
        """What a model card says about the training so far."""
        return {
            "training": {
                "recipe": asdict(self.recipe),
                "seed": self.recipe.seed,
                "steps_done": state["step"],
                "seconds": round(float(state.get("seconds", 0.0)), 1),
                "loss": loss,
                "data": self.description,
            },
            "made_with": self.made_with,
        }


def run_file(folder: Path) -> Path:
    return folder / "run.json"


def write_run(folder: Path, settings: RunSettings) -> None:
    """Makes the run folder and writes `run.json`.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the run folder {folder}: {write_reason(error)}") from error
    content = {"run_version": RUN_VERSION, "kind": settings.kind, **asdict(settings)}
    content["data"] = str(settings.data)
    atomic_write(run_file(folder), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_run(folder: Path) -> RunSettings:
    """What `write_run` wrote.

    Raises:
        InputError: there is no run in the folder, or its `run.json` is damaged.
    """
    path = run_file(folder)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("run_version")
        kind = content.pop("kind")
        if version != RUN_VERSION or kind not in kinds():
            raise InputError(
                f"{path} is of version {version} and kind {kind}, expected {RUN_VERSION} and "
                f"{' or '.join(kinds())}"
            )
        content["data"] = Path(content["data"])
        return kinds()[kind].of(content)
    except OSError as error:
        raise InputError(
            f"{folder} holds no training run ({path.name}: {error.strerror}); expected the folder "
            f"that {' or '.join(f'`pnp-train {kind} -o`' for kind in kinds())} made"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error}); restore it or start anew") from error


def kinds() -> dict[str, type[RunSettings]]:
    """The kinds of runs by name."""
    from pnp_recon.training.denoiser.task import DenoiserRun, DnCNNRun
    from pnp_recon.training.fixed_point.task import FixedPointRun
    from pnp_recon.training.unrolled.task import UnrolledRun

    return {run.kind: run for run in (DenoiserRun, DnCNNRun, FixedPointRun, UnrolledRun)}


def start_or_resume(
    folder: Path, settings: RunSettings, device: str, tick: Tick | None = None
) -> tuple[Trainer, RunSettings]:
    """Loads the data and readies the trainer; a new run gets its `run.json`.

    `settings.description` is filled in for a new run; for one that goes on it is compared with
    what is found.

    Args:
        folder: of the run.
        settings: stored ones, or those of a new run.
        device: "cpu" or "cuda".
        tick: called with the number of files read so far and their total.

    Raises:
        InputError: the network cannot be built, the data cannot be read or are others than at
            the start, or the checkpoint is damaged.
    """
    network = settings.build()
    data = settings.load(tick)
    begun = run_file(folder).exists()
    if begun:
        settings.check_same(data.description)
    elif (folder / "checkpoint.pt").exists():
        raise InputError(
            f"{folder} holds a checkpoint without run.json; give another folder, or remove it"
        )
    trainer = settings.trainer(network, data, folder, device)
    if not begun:  # what the trainer refused has not begun: other options may follow
        settings = replace(settings, description=data.description)
        write_run(folder, settings)
    return trainer, settings


def check_export(out: Path, name: str) -> None:
    """Say now, before the work is done, that a model of this name is there already.

    Raises:
        OutputError: it is; exporting would replace it.
    """
    for suffix in (".json", ".safetensors"):
        if (out / f"{name}{suffix}").exists():
            raise OutputError(
                f"{out / name}{suffix} exists already; give another --name or folder, or export "
                "with --overwrite"
            )


def export_run(folder: Path, out: Path, name: str | None = None) -> Path:
    """Exports the averaged weights of a run's checkpoint; returns the path of the model card.

    The validation PSNR of the card is that of the exported weights in float32; where the data
    are gone it is the last one of the training, and the card says which.

    Raises:
        InputError: no run, no checkpoint, or a damaged one.
        OutputError: the model cannot be written.
    """
    settings = read_run(folder)
    state = read_checkpoint(folder / "checkpoint.pt")
    network = settings.build()
    try:
        network.load_state_dict(state["average"])
    except RuntimeError as error:
        raise InputError(f"the checkpoint in {folder} is not of the network in run.json") from error
    network = network.eval().requires_grad_(False)
    return settings.export(network, state, out, name or settings.name)
