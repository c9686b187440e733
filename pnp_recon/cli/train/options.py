"""What the commands that train share: their options, and the run that these stand for.

Imports torch only where a run is made.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pnp_recon.cli.shell import Device, package_version, parse_level
from pnp_recon.errors import InputError

if TYPE_CHECKING:
    from pnp_recon.training.runs import RunSettings

# Fields of a run, laid out as in `run.json`; what was not given on the command line is left out.
Given = Mapping[str, Any]

# Options that are not called as the field that they set.
_OPTIONS = {
    ("network", "steps"): "step-sizes",
    ("beginning", "model"): "init",
    ("beginning", "sha256"): "init (SHA-256)",
    ("beginning", "step"): "first-step",
}


def option(words: str, default: str, *names: str) -> Any:
    """An option of a run. Its default is None, so that a resumed run takes its own value; help
    shows the real one."""
    return typer.Option(*names, help=words, show_default=default)


Output = Annotated[
    Path | None, option("Run folder; one that exists is resumed.", "runs/NAME", "--output", "-o")
]
Bf16 = Annotated[
    bool | None,
    option("bfloat16 in the network (weights stay float32).", "bf16", "--bf16/--no-bf16"),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="CPU threads; exact resume needs the same number.", show_default="all cores"
    ),
]
Every = Annotated[int, typer.Option(min=1, help="Steps between validations.")]
Export = Annotated[Path | None, option("Folder for the finished model.", "the run folder")]
TensorBoard = Annotated[bool, typer.Option(help="Write TensorBoard events if it is installed.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show where an error comes from.")]


def given(**fields: Any) -> Given:
    """The fields that were given: what is None is left out, in the parts as well."""
    found = {
        key: given(**value) if isinstance(value, Mapping) else value
        for key, value in fields.items()
    }
    return {key: value for key, value in found.items() if value is not None}


def training_level(text: str | None, option: str) -> float | None:
    """A noise level as in `common.parse_level`; None, the recipe's own, where none is given."""
    return None if text is None else parse_level(text, option)


def check_name(name: str) -> None:
    """Refuses (InputError) what is no plain file name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise InputError(f"{name!r} is no name of a model; use letters, digits, '_' and '-'")


def run_settings(
    kind: str, folder: Path, data: Path | None, options: Given, defaults: Given
) -> RunSettings:
    """The settings of the run in the folder, or else of a new one.

    Args:
        kind: of run, see `training_run.kinds`.
        folder: of the run.
        data: what is trained on, where given.
        options: the fields that were given.
        defaults: of a new run, where they are not those of its parts.

    Raises:
        InputError: neither a run nor data, a run of another kind, a value outside its range, or
            options that differ from those of the run.
    """
    import torch

    from pnp_recon.training.runs import kinds, read_run, run_file

    if run_file(folder).exists():
        stored = read_run(folder)
        if stored.kind != kind:
            raise InputError(
                f"{folder} holds a run of pnp-train {stored.kind}; go on with that command, or "
                "give another -o"
            )
        _refuse_differing(folder, stored, options)
        # The data may have moved; that they are the same is checked later.
        return replace(stored, data=data.absolute()) if data else stored
    if data is None:
        raise InputError(f"{folder} holds no run to resume; give --data FOLDER to start one")
    own = {
        "data": data.absolute(),
        "threads": torch.get_num_threads(),
        "description": {},
        "made_with": _versions(),
    }
    fields: dict[str, Any] = {**own, **defaults}
    for key, value in options.items():
        part = isinstance(value, Mapping)
        fields[key] = {**fields.get(key, {}), **value} if part else value
    return kinds()[kind].of(fields)


def _versions() -> dict[str, str]:
    import torch

    return {
        "pnp_recon": package_version(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _refuse_differing(folder: Path, stored: RunSettings, options: Given) -> None:
    changed = []
    for part, value in options.items():
        kept = asdict(stored)[part]
        fields = value if isinstance(value, Mapping) else {part: value}
        for key, wanted in fields.items():
            found = kept[key] if isinstance(value, Mapping) else kept
            if found != wanted:
                said = _OPTIONS.get((part, key), key.replace("_", "-"))
                changed.append(f"{said} {found} (now {wanted})")
    if changed:
        raise InputError(
            f"{folder} was begun with other options: {', '.join(changed)}; leave them out to "
            "resume it, or give another -o to start anew"
        )
