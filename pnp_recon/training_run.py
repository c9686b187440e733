"""A training run as a folder: `run.json` says what is trained, on what, and how.

It is written once, before the first step, and is all that resuming and exporting need. Beside it
lie the checkpoint and the log (`training`), sample sheets and TensorBoard's files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, write_reason
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.training import read_checkpoint
from pnp_recon.training_data import TrainingData, load_training_data
from pnp_recon.training_denoiser import DenoiserTrainer
from pnp_recon.training_recipe import DenoiserRecipe
from pnp_recon.training_validation import validation_psnr
from pnp_recon.weights import export

RUN_VERSION = 1


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides which weights come out of a run.

    Attributes:
        name: of the model that the run makes.
        network, recipe: see there.
        data: the folder of pictures, absolute.
        hold_out: pictures held out for the validation, None for the rule of
            `training_data.load_training_data`.
        threads: of torch; sums depend on it in the last bits.
        description: of the pictures found at the start; resuming checks them against it.
        made_with: versions of the package, torch and Python at the start.
    """

    name: str
    network: EulerConfig
    recipe: DenoiserRecipe
    data: Path
    hold_out: int | None
    threads: int
    description: dict[str, Any]
    made_with: dict[str, str]


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
    content = {"run_version": RUN_VERSION, "kind": "denoiser", **asdict(settings)}
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
        content.pop("kind")
        if version != RUN_VERSION:
            raise InputError(f"{path} has version {version}, expected {RUN_VERSION}")
        content["network"] = EulerConfig(**content["network"])
        content["recipe"] = DenoiserRecipe(**content["recipe"])
        content["data"] = Path(content["data"])
        return RunSettings(**content)
    except OSError as error:
        raise InputError(
            f"{folder} holds no training run ({path.name}: {error.strerror}); expected the folder "
            "that `pnp-train denoiser -o` made"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged ({error}); restore it or start anew") from error


def build_network(config: EulerConfig, seed: int) -> EulerNet:
    """The network at its first step; the weights follow from the seed.

    Raises:
        InputError: the configuration cannot be built.
    """
    for name in ("channels", "blocks", "width", "hidden", "kernel_size"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name)}; expected at least 1")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return EulerNet(config)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"the network cannot be built: {error}") from error


def start_or_resume(
    folder: Path,
    settings: RunSettings,
    device: str,
    tick: Callable[[int, int], None] | None = None,
) -> tuple[DenoiserTrainer, RunSettings]:
    """Loads the pictures and readies the trainer; a new run gets its `run.json`.

    `settings.description` is filled in for a new run; for one that goes on it is compared with
    what is found.

    Raises:
        InputError: as in `load_training_data` and `DenoiserTrainer`, or other pictures than at
            the start.
    """
    network = build_network(settings.network, settings.recipe.seed)
    data = load_training_data(
        settings.data, settings.network.channels, settings.recipe.patch, settings.hold_out, tick
    )
    if run_file(folder).exists():
        _check_same_pictures(settings, data)
    elif (folder / "checkpoint.pt").exists():
        raise InputError(
            f"{folder} holds a checkpoint without run.json; give another folder, or remove it"
        )
    else:
        settings = replace(settings, description=data.description)
        write_run(folder, settings)
    trainer = DenoiserTrainer(
        network, settings.recipe, data.training, data.validation, folder, device
    )
    return trainer, settings


def _check_same_pictures(settings: RunSettings, data: TrainingData) -> None:
    for key in ("sha256_of_sorted_file_hashes", "pictures", "validation_pictures"):
        if settings.description.get(key) != data.description[key]:
            raise InputError(
                f"the pictures in {settings.data} are not those that the run began with "
                f"({settings.description.get('pictures')} then, {data.description['pictures']} "
                "now); restore them or start anew in another folder"
            )


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

    The validation PSNR of the card is that of the exported, certified weights in float32; where
    the pictures are gone it is the last one of the training, and the card says which.

    Raises:
        InputError: no run, no checkpoint, or a damaged one.
        OutputError: the model cannot be written.
    """
    settings = read_run(folder)
    state = read_checkpoint(folder / "checkpoint.pt")
    network = build_network(settings.network, settings.recipe.seed)
    try:
        network.load_state_dict(state["average"])
    except RuntimeError as error:
        raise InputError(f"the checkpoint in {folder} is not of the network in run.json") from error
    network = network.eval().requires_grad_(False)
    recipe = settings.recipe
    levels = recipe.validation_levels()
    network.certify()
    psnr, how = dict(state.get("psnr", {})), "during training, uncertified weights"
    try:
        data = load_training_data(settings.data, settings.network.channels, 1, settings.hold_out)
        _check_same_pictures(settings, data)
        psnr, how = validation_psnr(network, data.validation, levels), "exported weights, float32"
    except InputError:
        pass
    description = settings.description
    details = {
        "training": {
            "recipe": asdict(recipe),
            "seed": recipe.seed,
            "steps_done": state["step"],
            "seconds": round(float(state.get("seconds", 0.0)), 1),
            "loss": "mean squared error, one noise level a batch, weighted by the expected error",
            "data": description,
        },
        "validation": {
            "psnr_db": {key: round(value, 3) for key, value in psnr.items()},
            "measured_on": f"{how}; 128×128 central crops",
            "held_out": description.get("validation_held_out", False),
        },
        "made_with": settings.made_with,
    }
    sigma_range = (recipe.sigma_min, recipe.sigma_max)
    return export(network, out, name or settings.name, sigma_range, details)
