"""The choices of the page are options of the commands, and refuse what cannot be."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pnp_recon.cli.reconstructions import RECONSTRUCTIONS
from pnp_recon.cli.serve.wrongs import WRONGS
from pnp_recon.errors import InputError
from support.cli import light


def test_the_choices_load_no_torch() -> None:
    light("from pnp_recon.cli.serve.wrongs import WRONGS", {"torch", "numpy", "starlette"})


@pytest.mark.parametrize("name", WRONGS)
def test_every_choice_is_a_command_with_options_that_it_has(name: str) -> None:
    wrong = WRONGS[name]
    command = wrong.load()
    assert command in [entry.load() for entry in RECONSTRUCTIONS.values()]
    known = {field.name for field in fields(command.options)}
    named = {
        *dict(wrong.options),
        *(one.name for one in wrong.fields),
        *(one.role for one in wrong.files),
    }
    assert named <= known
    assert json.loads(json.dumps(wrong.as_json()))["name"] == name


@pytest.mark.parametrize("name", WRONGS)
def test_what_is_chosen_passes_the_checks_of_the_command(name: str, tmp_path: Path) -> None:
    wrong = WRONGS[name]
    for one in wrong.files:
        (tmp_path / one.role).touch()
    for numbers in ({}, {one.name: one.low if one.low > 0 else one.high for one in wrong.fields}):
        files = {one.role: str(tmp_path / one.role) for one in wrong.files if one.required}
        options = wrong.load().options(inputs=["photo.png"], **wrong.chosen(numbers, files))
        options.check()


def test_files_and_numbers_arrive_as_the_command_takes_them() -> None:
    assert WRONGS["holes"].chosen({}, {"mask": "mask.png"}) == {"mask": Path("mask.png")}
    assert WRONGS["shaken"].chosen({}, {"kernel": "k.npy"}) == {"kernel": "k.npy"}
    assert WRONGS["small"].chosen({}, {}) == {"scale": 2}
    assert WRONGS["moved"].chosen({"length": 9, "angle": None}, {}) == {
        "kernel": "motion",
        "length": 9.0,
    }


@pytest.mark.parametrize(
    ("name", "numbers", "files", "words"),
    [
        ("moved", {"length": 0}, {}, "“How far it moved, in pixels” is 0"),
        ("moved", {"length": "9"}, {}, "a number from"),
        ("moved", {"length": True}, {}, "a number from"),
        ("moved", {"length": float("nan")}, {}, "a number from"),
        ("moved", {"report": "/etc"}, {}, "reload the page"),
        ("moved", {}, {"mask": "mask.png"}, "reload the page"),
        ("small", {"scale": 2.5}, {}, "a whole number"),
        ("holes", {}, {}, "needs another file"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    name: str, numbers: dict[str, Any], files: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        WRONGS[name].chosen(numbers, files)
