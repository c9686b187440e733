"""The catalogue of commands: what is installed is what it lists, and no option moves unnoticed."""

from __future__ import annotations

import json
import re
import tomllib
from enum import StrEnum
from inspect import Parameter, Signature
from pathlib import Path

import pytest
import typer

from pnp_recon.cli.catalogue import COMMANDS
from pnp_recon.solvers.catalogue import SOLVERS
from support.cli import app_of, light, only_line
from support.flags import as_text, flags

ROOT = Path(__file__).resolve().parents[2]
FLAGS = Path(__file__).with_name("flags.json")


def installed() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    scripts: dict[str, str] = project["project"]["scripts"]
    return scripts


def test_every_command_is_installed_under_its_name() -> None:
    assert {name: entry.home for name, entry in COMMANDS.items()} == installed()


def test_no_command_is_loaded_by_the_catalogue() -> None:
    light("from pnp_recon.cli.catalogue import COMMANDS", {"typer", "torch", "numpy"})


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_says_what_it_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = COMMANDS[name]
    assert re.fullmatch(r"[A-Z].*[a-z]\.", entry.words)
    assert entry.load()(["--no-such-option"]) == 2
    assert only_line(name, capsys.readouterr().err).endswith(f"see {name} --help")


@pytest.mark.parametrize(
    ("name", "sub"), [("pnp-bench", "run"), ("pnp-train", "energy"), ("pnp-recon", "list")]
)
def test_a_wrong_option_leads_to_the_help_that_lists_the_right_ones(
    name: str, sub: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMANDS[name].load()([sub, "--no-such-option"]) == 2
    assert only_line(name, capsys.readouterr().err).endswith(f"see {name} {sub} --help")
    assert COMMANDS[name].load()(["-h"]) == 0  # as every command knows it
    assert f"{sub} " in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_those_that_users_know(name: str) -> None:
    """A flag, default or choice that is meant to change changes in flags.json as well."""
    known = json.loads(FLAGS.read_text(encoding="utf-8"))
    mine = {key: value for key, value in known.items() if key.split()[0] == name}
    assert as_text(flags(app_of(name), name)) == as_text(mine)


def test_a_choice_of_solvers_that_lacks_one_is_caught() -> None:
    def choices(names: list[str]) -> str:
        solver = StrEnum("Solver", {name.replace("-", "_"): name for name in names})

        option = typer.Option("auto", "--solver")

        def run(name: solver = option) -> None:  # type: ignore[valid-type]
            pass

        run.__annotations__ = {"name": solver}
        app = typer.Typer(add_completion=False)
        app.command()(run)
        return as_text(flags(app, "own"))

    whole = choices(["auto", *SOLVERS])
    assert "<every solver>" in whole
    assert choices(["auto", *list(SOLVERS)[1:]]) != whole
    assert choices(list(SOLVERS)) != whole


def test_a_changed_default_a_lost_choice_and_a_new_flag_are_caught() -> None:
    def facts(default: str, choices: str, *spelled: str) -> str:
        colour = StrEnum("Colour", choices.split())  # type: ignore[misc]

        def run(**_: object) -> None:
            pass

        option = typer.Option(colour(default), *spelled)
        paint = Parameter("paint", Parameter.KEYWORD_ONLY, default=option, annotation=colour)
        run.__signature__ = Signature([paint])  # type: ignore[attr-defined]
        run.__annotations__ = {"paint": colour}
        app = typer.Typer(add_completion=False)
        app.command()(run)
        return as_text(flags(app, "own"))

    known = facts("red", "red blue", "--paint")
    assert known == facts("red", "blue red", "--paint")  # order is no promise
    assert known != facts("blue", "red blue", "--paint")
    assert known != facts("red", "red blue green", "--paint")
    assert known != facts("red", "red blue", "--paint", "-p")
