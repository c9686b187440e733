"""Training runs as folders: written, read, started, resumed, exported.

`run.json` is written before the first step, and anew where the data have moved; it is all that
resuming and exporting need. Beside it lie the checkpoint and the log (`trainer`), sample sheets and
TensorBoard's files. What differs between tasks is theirs (`task`).
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from pnp_recon.errors import InputError, OutputError
from pnp_recon.training.catalogue import TASKS
from pnp_recon.training.run_file import read_fields, run_file, undamaged, write_fields
from pnp_recon.training.task import Task, Tick
from pnp_recon.training.trainer import Trainer, read_checkpoint


def write_run(folder: Path, settings: Task) -> None:
    """Makes the run folder and writes `run.json`.

    Raises:
        OutputError: it cannot be written.
    """
    write_fields(folder, settings.kind, {**asdict(settings), "data": str(settings.data)})


def read_run(folder: Path) -> Task:
    """What `write_run` wrote.

    Raises:
        InputError: there is no run in the folder, or its `run.json` is damaged.
    """
    kind, fields = read_fields(folder)
    if kind not in TASKS:
        raise InputError(f"{run_file(folder)} is of kind {kind}, expected {' or '.join(TASKS)}")
    with undamaged(folder):
        settings: Task = TASKS[kind].load().of({**fields, "data": Path(fields["data"])})
    return settings


def start_or_resume(
    folder: Path, settings: Task, device: str, tick: Tick | None = None
) -> tuple[Trainer, Task]:
    """Loads the data and readies the trainer; a new run gets its `run.json`.

    `settings.description` is filled in for a new run; for one that goes on it is compared with
    what is found.

    Args:
        folder: the run folder.
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
    if not begun or read_run(folder).data != settings.data:
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
