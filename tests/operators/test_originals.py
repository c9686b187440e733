"""What is put in the place of torch's own is seen, whatever it calls itself; the rest is let be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from inspect import getattr_static
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from operators import originals


class Halved:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *given: Any, **named: Any) -> Any:
        return 0.5 * self.function(*given, **named)


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def halved(*given: Any, **named: Any) -> Any:
        return 0.5 * function(*given, **named)

    return halved


WAYS: dict[str, Callable[..., Any]] = {
    "wraps": wrapped,
    "an object": Halved,
    "partial": functools.partial,
}
PLACES = [
    (torch, "conv2d"),
    (nn.functional, "conv_transpose2d"),
    (torch.fft, "rfft2"),
    (Tensor, "clamp"),
    (Tensor, "__rmul__"),
    (nn.Module, "__call__"),
    (nn.Module, "_call_impl"),
    (nn.Module, "__getattr__"),
    (nn.Conv2d, "forward"),
    (nn.Conv2d, "__call__"),
    (nn.Parameter, "__rmul__"),
    (torch.autograd.Function, "apply"),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_replaced_is_named(way: str, place: tuple[Any, str]) -> None:
    home, name = place
    before = getattr(home, name)
    assert originals.replaced() == ""
    with mock.patch.object(home, name, WAYS[way](before)):
        assert originals.replaced().endswith(f".{name}")
    assert originals.replaced() == ""
    with mock.patch.object(home, name, getattr_static(home, name)):  # the twin: it is what it was
        assert originals.replaced() == ""


@pytest.mark.parametrize("way", WAYS)
def test_what_was_replaced_before_is_seen_by_its_code(way: str) -> None:
    assert originals.record().strange == ""
    with mock.patch.object(torch, "conv2d", WAYS[way](torch.conv2d)):
        assert originals.record().strange == "torch.conv2d"
        with mock.patch.object(originals, "KNOWN", originals.record()):
            assert originals.replaced() == "torch.conv2d"


def test_a_module_of_functions_that_layers_call_is_seen() -> None:
    """Not what is in it: the name by which torch's layers reach it."""
    held = SimpleNamespace(**vars(nn.functional))
    with mock.patch.object(nn.modules.conv, "F", held):
        assert originals.replaced() == "torch.nn.modules.conv.F"
    assert originals.replaced() == ""


def test_new_names_and_what_only_prints_are_nobodys_business() -> None:
    with (
        mock.patch.object(Tensor, "stats", Tensor.mean, create=True),
        mock.patch.object(Tensor, "__repr__", return_value="a tensor"),
    ):
        assert originals.replaced() == ""
