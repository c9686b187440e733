"""Registries: names in order, lazy homes, refusals that name the nearest entry."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from pnp_recon.errors import InputError
from pnp_recon.registry import Entry, Registry

COLOURS = Registry(
    "colour", [Entry("dark-red", "colorsys:rgb_to_hls"), Entry("blue", "json:dumps")]
)


def test_names_keep_their_order() -> None:
    assert list(COLOURS) == ["dark-red", "blue"]
    assert len(COLOURS) == 2
    assert "blue" in COLOURS
    assert "green" not in COLOURS


def test_a_home_is_imported_when_it_is_asked_for() -> None:
    sys.modules.pop("colorsys", None)
    entry = COLOURS["dark-red"]
    assert "colorsys" not in sys.modules
    assert entry.load().__name__ == "rgb_to_hls"
    assert "colorsys" in sys.modules


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="called blue"):
        Registry("colour", [Entry("blue", "json:dumps"), Entry("blue", "json:loads")])


def test_an_unknown_name_gets_the_nearest_and_all() -> None:
    message = r"unknown colour 'bleu'; did you mean blue\? known: auto, dark-red, blue"
    with pytest.raises(InputError, match=message):
        COLOURS.find("bleu", "auto")
    with pytest.raises(InputError, match="unknown colour 'xyz'; known: dark-red, blue"):
        COLOURS.find("xyz")
    assert COLOURS.find("blue").name == "blue"


def test_an_enum_of_options() -> None:
    names = COLOURS.enum("Colour", "auto")
    assert [member.value for member in names] == ["auto", "dark-red", "blue"]
    assert names("dark-red") is names.dark_red  # type: ignore[attr-defined]


def test_entries_may_say_more() -> None:
    @dataclass(frozen=True)
    class Shade(Entry):
        dark: bool = False

    shades = Registry("shade", [Shade("navy", "json:dumps", dark=True)])
    assert shades.find("navy").dark
