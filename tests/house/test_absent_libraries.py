"""A test that needs a library which is not installed is skipped; every other failure stays one."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

import pytest

from support import absent


def error_of(name: str) -> Exception:
    """What a user meets where a module is not found, with what it goes back to."""
    try:
        try:
            __import__(name)
        except ImportError as error:
            raise ValueError(f"{name} is needed") from error
    except ValueError as error:
        return error
    raise AssertionError(f"{name} is there")


def test_only_a_library_that_is_not_installed_excuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absent, "OPTIONAL", {"no_such_library", "scipy"})
    assert absent.absent(error_of("no_such_library")) == "no_such_library"
    # The twins: a slip of the pen, a library that is only hidden, an error of another kind.
    assert absent.absent(error_of("no_such_libary")) is None
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert absent.absent(error_of("scipy")) is None
    assert absent.absent(AssertionError()) is None


def test_a_test_may_be_excused() -> None:
    """It is, where deepinv is not installed, and says why."""
    import deepinv

    assert PathFinder.find_spec(deepinv.__name__) is not None
