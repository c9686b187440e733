"""The command of a training task, whichever: its options, and what happens when it is called.

Loads no torch before it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.cli.shell import Device
from pnp_recon.cli.train.flags import asked, given
from pnp_recon.cli.train.settings import settings_of
from pnp_recon.training.task import Task

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show where an error comes from.")]

# What every task has beside its own options: annotation and default.
BEFORE: Mapping[str, tuple[Any, Any]] = {
    "output": (
        Annotated[
            Path | None,
            typer.Option(
                "--output", "-o",
                help="Keep the run in this folder; one that exists is resumed.",
                show_default="runs/NAME",
            ),
        ],
        None,
    ),
}  # fmt: skip
AFTER: Mapping[str, tuple[Any, Any]] = {
    "device": (
        Annotated[
            Device, typer.Option(help="Compute on this device; auto takes a GPU if there is one.")
        ],
        Device.auto,
    ),
    "threads": (
        Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Use this many CPU threads; exact resume needs the same number.",
                show_default="all cores",
            ),
        ],
        None,
    ),
    "every": (
        Annotated[int, typer.Option(min=1, help="Validate and save every so many steps.")],
        250,
    ),
    "minutes": (
        Annotated[
            float | None,
            typer.Option(
                help="Stop after so many minutes; the same command goes on from there. The "
                "learning rate follows --steps all the same.",
            ),
        ],
        None,
    ),
    "export": (
        Annotated[
            Path | None,
            typer.Option(
                help="Put the finished model into this folder.", show_default="the run folder"
            ),
        ],
        None,
    ),
    "tensorboard": (
        Annotated[bool, typer.Option(help="Write TensorBoard events if it is installed.")],
        True,
    ),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}
CHECKPOINTING: Mapping[str, tuple[Any, Any]] = {
    "checkpointing": (
        Annotated[
            bool,
            typer.Option(
                "--checkpointing", help="Take less memory and more time, for the same weights."
            ),
        ],
        False,
    ),
}


def make_command(task: type[Task]) -> Callable[..., None]:
    """The function that typer makes the command of a task of."""
    options = asked(task)

    def train_task(**typed: Any) -> None:
        fields = {**given(options, typed)}
        if typed["threads"] is not None:
            fields["threads"] = typed["threads"]
        folder, settings = settings_of(task, typed["output"], fields)

        from pnp_recon.cli.train.session import train

        train(
            folder,
            settings,
            device=typed["device"].value,
            every=typed["every"],
            export=typed["export"],
            tensorboard=typed["tensorboard"],
            quiet=typed["quiet"],
            minutes=typed["minutes"],
            save_memory=typed.get("checkpointing", False),
        )

    data, *own = [option.option for option in options]
    running = {**CHECKPOINTING, **AFTER} if task.saves_memory else AFTER
    parameters = [data, *_parameters(BEFORE), *own, *_parameters(running)]
    # Typer reads a function's signature; this one is made from the fields.
    train_task.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    train_task.__annotations__ = {p.name: p.annotation for p in parameters}
    return train_task


def _parameters(options: Mapping[str, tuple[Any, Any]]) -> list[Parameter]:
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in options.items()
    ]
