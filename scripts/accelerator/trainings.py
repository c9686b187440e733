"""Trains a shipped model on a GPU for some minutes, resumably, and writes it with its card.

    python -m scripts.accelerator.trainings NAME --data PATH --out OUT [--seconds S] [--calls N]

What a network is and how it was trained is read off the shipped card; what a GPU changes stands in
`PLANS`. Energies are trained by `train`, everything else by the trainers of `pnp-train`. OUT/NAME
is the run: the same command goes on with it. With `--calls` the schedule is that of so many calls.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from pnp_recon import __version__
from pnp_recon.errors import PnPReconError
from pnp_recon.models.card import read_fields
from pnp_recon.models.store import find_card
from pnp_recon.training.catalogue import TASKS
from pnp_recon.training.run_file import run_file
from pnp_recon.training.runs import export_run, read_run, start_or_resume
from pnp_recon.training.task import Task
from pnp_recon.training.trainer import Progress, Trainer
from scripts.accelerator import cards, train
from scripts.accelerator.settings import CONFIGS

# Of its time a call trains for this share: the first steps are slow, and the model is written last.
TRAINING = 0.9
TINY: Mapping[str, Mapping[str, Any]] = {
    "denoiser": {"network": {"width": 32, "hidden": 32, "blocks": 1}, "recipe": {"patch": 32}},
    "dncnn": {"network": {"width": 8, "depth": 3}, "recipe": {"patch": 32}},
    "unrolled": {
        "network": {"width": 8, "depth": 2, "memory": 1},
        "scans": {"size": 16, "field_mm": 256.0, "views": 8, "count": 4},
    },
}
TINY_ENERGY = "--widths {} --batch 2 --patch 32 --every 2 --steps 4 --validation-size 32"


@dataclass(frozen=True)
class Plan:
    """What a GPU changes about a training.

    Attributes:
        task: the kind of task in `pnp_recon.training.catalogue`.
        network, recipe: fields that differ from the shipped card's.
    """

    task: str
    network: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


# Larger batches, or the widths that a CPU could not be asked for.
CT = Plan("unrolled", {"width": 96}, {"batch": 8, "learning_rate": 2e-3})
EULER = Plan("denoiser", {}, {"batch": 64})
PLANS = {
    "unrolled_ct": CT,
    "equivariant_ct": CT,
    "euler_colour": EULER,
    "euler_grey": EULER,
    "euler_grey_eq": EULER,
    "euler_ct": EULER,
    "dncnn_colour": Plan("dncnn", {}, {"batch": 64}),
    "dncnn_grey": Plan("dncnn", {}, {"batch": 64}),
}
NAMES = (*CONFIGS, *PLANS)


def planned(name: str, data: Path, tiny: bool) -> Task:
    """The settings of a new run; its number of steps is still open."""
    plan = PLANS[name]
    card = read_fields(find_card(name))
    task: type[Task] = TASKS[plan.task].load()
    parts = task.parts()
    known = {f.name for f in fields(parts["recipe"])}
    recipe = {k: v for k, v in card["training"]["recipe"].items() if k in known}
    given: dict[str, Any] = {
        "name": name,
        "network": {k: v for k, v in card["network"].items() if k != "class"} | {**plan.network},
        "recipe": recipe | {**plan.recipe} | {"seed": 0},
        "data": data.resolve(),
        "threads": torch.get_num_threads(),
        "description": {},
        "made_with": {
            "pnp_recon": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    if plan.task == "unrolled":
        known_scan = card["trained_on"]
        size = known_scan["image_shape"][-1]
        given["scans"] = {
            "views": len(known_scan["geometry"]["angles"]),
            "incident": known_scan["incident"],
            "size": size,
            "field_mm": size * known_scan["geometry"]["pixel_mm"],
            "other_geometry": known_scan["other_geometry"],
        }
    else:
        given["hold_out"] = 1 if tiny else None
    if tiny:
        for part, changes in {**TINY[plan.task]}.items():
            given[part] |= changes
        given["recipe"] |= {"batch": 2, "warmup": 1}
    return task.of(given)


def fitted(settings: Task, device: str, tiny: bool) -> tuple[Task, float]:
    """With the largest batch that fits, halving from the planned one; and the seconds of a step."""
    data = settings.load()
    while True:
        try:
            with tempfile.TemporaryDirectory() as folder:
                trainer = settings.trainer(settings.build(), data, Path(folder), device)
                return settings, seconds_of_a_step(trainer, 1 if tiny else 10)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            half = settings.recipe.batch // 2
            if not half:
                raise
            print(f"a batch of {settings.recipe.batch} does not fit; {half} is tried", flush=True)
            settings = replace(settings, recipe=replace(settings.recipe, batch=half))


def seconds_of_a_step(trainer: Trainer, steps: int) -> float:
    for _ in range(2):
        trainer.train_step()
    begin = time.perf_counter()
    for _ in range(steps):
        trainer.train_step()
    return (time.perf_counter() - begin) / steps


def of_a_task(name: str, given: argparse.Namespace) -> bool:
    """Trains until the time is over; returns whether the run came to its end."""
    began, folder = time.perf_counter(), given.out / name
    torch.backends.cudnn.benchmark = given.device == "cuda"  # patches have one size
    if run_file(folder).exists():
        settings = replace(read_run(folder), data=given.data.resolve())  # it may have moved
    else:
        settings, step = fitted(planned(name, given.data, given.tiny), given.device, given.tiny)
        steps = 4 if given.tiny else max(1, int(TRAINING * given.seconds * given.calls / step))
        settings = replace(settings, recipe=replace(settings.recipe, steps=steps))
        print(f"{1e3 * step:.2f} ms a step, {steps} steps: {asdict(settings.recipe)}", flush=True)
    trainer, settings = start_or_resume(folder, settings, given.device)
    until = began + TRAINING * given.seconds

    def report(line: Progress) -> None:
        print(f"step {line.step} loss {line.loss:.4f} {line.psnr}", flush=True)

    every = max(4 if given.tiny else 1, settings.recipe.steps // 20)
    done = trainer.run(report, every, until=until)
    if not done:
        print(
            f"stopped at step {trainer.step} of {settings.recipe.steps}; the same command goes on"
        )
    print(export_run(folder, given.out / "models", name))
    return done


def of_an_energy(name: str, given: argparse.Namespace) -> bool:
    """`train`, and the card of the weights that validated best."""
    folder = given.out / name
    state = folder / f"{name}.state.safetensors"
    flags = [name, "--data", str(given.data), "--out", str(folder), "--device", given.device]
    # Compiling counts: what is left after it is trained for.
    flags += ["--end-at", f"{time.time() + TRAINING * given.seconds:.1f}", "--tail", "0.1"]
    flags += ["--critical-seconds", "15"]
    if state.exists():
        flags += ["--resume", str(state)]
    if given.tiny:
        widths = "2,2,6" if name.startswith("ridge") else "4,6,8"
        flags += [*TINY_ENERGY.format(widths).split(), "--critical-seconds", "0"]
        flags += ["--inner", "4", "--cg", "3"] if name.startswith("ridge") else []
    elif name.startswith("energy"):
        flags += ["--batch", "32", "--patch", "128", "--precision", "bf16"]
    train.main(flags)
    cards.main([str(folder / name), "--to", str(given.out / "models")])
    return True


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=NAMES, help="a shipped model")
    parser.add_argument(
        "--data", type=Path, required=True, help="pictures, or an archive of slices"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and models")
    parser.add_argument("--seconds", type=float, default=540.0, help="what this call may take")
    parser.add_argument("--calls", type=int, default=1, help="calls that the schedule is made for")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="a dry run: four steps, small")
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        (of_a_task if given.name in PLANS else of_an_energy)(given.name, given)
    except PnPReconError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
