"""The options of `pnp-train` come from the fields of the tasks, all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from pnp_recon.cli.train import app
from pnp_recon.cli.train.command import make_command
from pnp_recon.cli.train.flags import COMMON, Asked, asked, given, said
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.training.catalogue import TASKS
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.task import DenoiserTask
from pnp_recon.training.task import HIDDEN, Flag, Task
from pnp_recon.training.unrolled.task import UnrolledTask

# What no option sets, on purpose: whatever else a task has can be asked for.
USUAL = {"description", "made_with", "recipe.warmup", "recipe.ema", "recipe.optimiser"}
# Tasks that hide more or less than is usual.
UNUSUAL = {
    "classifier": USUAL | {"network.channels", "network.side", "network.classes"},
    "denoiser": USUAL - {"recipe.optimiser"},
    "dncnn": USUAL | {"hold_out"},
    "energy": USUAL - {"recipe.optimiser"} | {"network.settings", "beginning.sha256"},
    "fixed-point": USUAL
    | {"beginning.sha256"}
    | {f"network.{field.name}" for field in fields(EulerConfig)},
    "patch-flow": USUAL | {"network.sigma_ref", "recipe.patch", "recipe.bf16"},
    "unrolled": USUAL | {"network.channels", "beginning.sha256"},
}


def every_field(task: type[Task]) -> set[str]:
    parts = task.parts()
    own = {f.name for f in fields(task)} - set(parts)
    return own | {f"{part}.{f.name}" for part, kind in parts.items() for f in fields(kind)}


def keys(task: type[Task]) -> set[str]:
    return {f"{o.part}.{o.field}" if o.part else o.field for o in asked(task)}


def options_of(task: type[Task]) -> dict[str, Asked]:
    return {name.partition("/")[0]: option for option in asked(task) for name in option.names}


@pytest.mark.parametrize("name", TASKS)
def test_every_field_has_an_option_or_is_hidden_on_purpose(name: str) -> None:
    task = TASKS[name].load()
    assert every_field(task) - keys(task) - COMMON == UNUSUAL.get(name, USUAL)
    assert keys(task) <= every_field(task)


def test_a_field_that_is_hidden_in_silence_is_seen() -> None:
    """Twin: the comparison above can fail."""
    assert every_field(SilentTask) - keys(SilentTask) - COMMON == {
        *UNUSUAL["denoiser"],
        "recipe.patience",
    }


@pytest.mark.parametrize("name", TASKS)
def test_options_have_words_and_names_of_their_own(name: str) -> None:
    found = asked(TASKS[name].load())
    assert all(option.words.endswith(".") for option in found)
    names = [part for option in found for name in option.names for part in name.split("/")]
    assert len(names) == len(set(names))


@dataclass(frozen=True, kw_only=True)
class Patient(DenoiserRecipe):
    patience: Annotated[int, "Wait this long."] = 7


@dataclass(frozen=True, kw_only=True)
class PatientTask(DenoiserTask):
    recipe: Patient


@dataclass(frozen=True, kw_only=True)
class SilentTask(PatientTask):
    flags: ClassVar[Mapping[str, Flag]] = {**PatientTask.flags, "recipe.patience": HIDDEN}


def help_of(task: type[Task]) -> str:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(make_command(task))
    return CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output


def test_a_new_field_is_all_that_an_option_takes() -> None:
    text = " ".join(help_of(PatientTask).split())
    assert "--patience <int> Wait this long. [default: (7)]" in text
    assert "--patience" not in help_of(SilentTask)
    options = asked(PatientTask)
    typed = {option.parameter: None for option in options}
    assert given(options, {**typed, "recipe_patience": 9}) == {"recipe": {"patience": 9}}
    assert PatientTask.of(
        {
            "name": "a",
            "data": "b",
            "threads": 1,
            "description": {},
            "made_with": {},
            "hold_out": None,
            "recipe": {"patience": 9},
        }
    ).recipe == Patient(patience=9)


def test_defaults_are_said_as_they_are_typed() -> None:
    said_of = {name: option.default for name, option in options_of(DenoiserTask).items()}
    assert said_of["--sigma-max"] == "50/255"
    assert said_of["--learning-rate"] == said_of["--lr"] == "0.004"
    assert said_of["--bf16"] == "bf16"
    assert said_of["--grey"] == "grey"
    unrolled = {name: option.default for name, option in options_of(UnrolledTask).items()}
    assert unrolled["--incident"] == "10000"
    assert unrolled["--shared"] == "no-shared"
    assert unrolled["--step-sizes"] == "learned"
    # Scans have a filtered gradient, the configuration is for every operator.
    assert unrolled["--gradient"] == UnrolledTask.defaults({})["network"]["gradient"] == "filtered"


def test_typed_values_become_fields() -> None:
    options = asked(DenoiserTask)
    typed = {option.parameter: None for option in options}
    assert given(options, typed) == {}
    typed |= {"network_channels": False, "recipe_sigma_max": "51/255", "recipe_sigma_min": "auto"}
    assert given(options, typed) == {"network": {"channels": 3}, "recipe": {"sigma_max": 0.2}}
    assert given(options, typed | {"network_channels": True})["network"] == {"channels": 1}


def test_messages_call_fields_as_their_options() -> None:
    assert said(UnrolledTask, "network", "steps") == "step-sizes"
    assert said(UnrolledTask, "network", "kernel_size") == "kernel-size"
    assert said(UnrolledTask, "beginning", "model") == "init"
    assert said(UnrolledTask, "beginning", "sha256") == "init (SHA-256)"
    assert said(DenoiserTask, "network", "channels") == "channels"
    assert said(DenoiserTask, "recipe", "learning_rate") == "learning-rate"
    assert said(DenoiserTask, "", "hold_out") == "hold-out"


@pytest.mark.parametrize("command", [*TASKS, "export", "check"])
def test_help_fits_eighty_columns(command: str) -> None:
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}).output
    assert "--quiet" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_only_what_can_save_memory_offers_it() -> None:
    assert {name for name in TASKS if "--checkpointing" in help_of(TASKS[name].load())} == {
        "unrolled"
    }
