"""What --help prints: sentences, for every option of every command, on 80 columns, at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from pnp_recon.cli.catalogue import COMMANDS
from support.cli import app_of, light

# A capital, at least two words, and a full stop; "Of the noise." hangs on the flag's name.
SENTENCE = re.compile(r"(?!Of )[A-Z]\S* .*\.", re.DOTALL)
# Torch alone is a thousand modules: that help is quick shows in what it loads, on any machine.
HEAVY = {"torch", "numpy", "scipy", "matplotlib", "rich", "deepinv", "odl", "astra", "PIL"}
FEW = 300


def words_of(command: Any, name: str) -> Iterator[tuple[str, str | None]]:
    """Every help text of a command and its subcommands, with what it is about."""
    yield name, command.help
    for parameter in command.params:
        yield f"{name} {parameter.name}", parameter.help
    for sub in getattr(command, "commands", {}).values():
        yield from words_of(sub, f"{name} {sub.name}")


def fragments(app: typer.Typer, name: str) -> list[str]:
    """The help texts that are no sentences."""
    texts = words_of(typer.main.get_command(app), name)
    return [f"{about}: {text}" for about, text in texts if not SENTENCE.fullmatch(text or "")]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_text_is_a_sentence(name: str) -> None:
    assert fragments(app_of(name), name) == []


@pytest.mark.parametrize(
    "words", ["Of the noise.", "Processes.", "no capital here.", "No stop", ""]
)
def test_a_fragment_is_caught(words: str) -> None:
    app = typer.Typer(add_completion=False)

    @app.command(help="Do it now.")
    def run(seed: int = typer.Option(0, help=words)) -> None: ...

    assert fragments(app, "own") == [f"own seed: {words}"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_loads_nothing_heavy_and_fits_80_columns(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    home = COMMANDS[name].home.partition(":")[0]
    out = light(
        f"from {home} import main\nassert main(['--help']) == 0\nprint(len(sys.modules))", HEAVY
    )
    *words, count = out.splitlines()
    assert "--help" in " ".join(words)
    assert max(map(len, words)) <= 80
    assert int(count) < FEW


def test_a_heavy_library_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"loaded \{'decimal'\}"):
        light("import decimal", {"decimal", "torch"})
