"""The settings of a run: those of the folder that is resumed, or new ones. Knows no task.

Loads torch only where a new run is made.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pnp_recon.cli.shell import package_version
from pnp_recon.cli.train.flags import said
from pnp_recon.errors import InputError
from pnp_recon.training.run_file import run_file
from pnp_recon.training.task import Given, Task


def check_name(name: str) -> None:
    """Refuses (InputError) what is no plain file name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise InputError(f"{name!r} is no name of a model; use letters, digits, '_' and '-'")


def settings_of(task: type[Task], output: Path | None, options: Given) -> tuple[Path, Task]:
    """The run folder, and the settings of the run in it or else of a new one.

    Args:
        task: what is trained.
        output: the folder, None for one named after the model.
        options: the fields that were given.

    Raises:
        InputError: neither a run nor data, a run of another task, a value outside its range, or
            options that differ from those of the run.
    """
    if "name" in options:
        check_name(options["name"])
    options = task.completed(options)
    if output is not None and run_file(output).exists():
        return output, _stored(task, output, options)
    defaults = task.defaults(options)
    folder = output or Path("runs") / options.get("name", defaults["name"])
    if run_file(folder).exists():
        return folder, _stored(task, folder, options)
    return folder, _new(task, folder, options, defaults)


def _stored(task: type[Task], folder: Path, options: Given) -> Task:
    from pnp_recon.training.runs import read_run

    stored = read_run(folder)
    if stored.kind != task.kind:
        raise InputError(
            f"{folder} holds a run of pnp-train {stored.kind}; go on with that command, or "
            "give another -o"
        )
    # The data may have moved; that they are the same is checked later.
    _refuse_differing(folder, stored, {k: v for k, v in options.items() if k != "data"})
    return replace(stored, data=options["data"]) if "data" in options else stored


def _new(task: type[Task], folder: Path, options: Given, defaults: Given) -> Task:
    import torch

    if "data" not in options:
        raise InputError(f"{folder} holds no run to resume; give --data FOLDER to start one")
    fields: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "description": {},
        "made_with": {
            "pnp_recon": package_version(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        **defaults,
    }
    for key, value in options.items():
        part = isinstance(value, Mapping)
        fields[key] = {**fields.get(key, {}), **value} if part else value
    return task.of(fields)


def _refuse_differing(folder: Path, stored: Task, options: Given) -> None:
    changed = []
    fields = asdict(stored)
    for key, value in options.items():
        part = isinstance(value, Mapping)
        for name, wanted in value.items() if part else [(key, value)]:
            found = fields[key][name] if part else fields[key]
            if found != wanted:
                called = said(type(stored), key if part else "", name)
                changed.append(f"{called} {found} (now {wanted})")
    if changed:
        raise InputError(
            f"{folder} was begun with other options: {', '.join(changed)}; leave them out to "
            "resume it, or give another -o to start anew"
        )
