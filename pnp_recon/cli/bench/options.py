"""How the options of `pnp-bench` are read. Imports no torch: a wrong one is answered at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pnp_recon.benchmark.choice import EVERYTHING
from pnp_recon.errors import InputError


def comma_list(text: str | None) -> list[str] | None:
    """The parts of "a,b,c", without blanks around them; None for None.

    Raises:
        InputError: there is no part.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InputError(f"found {text!r}; expected names with commas between them")
    return parts


def noise_levels(text: str | None) -> list[float] | None:
    """Numbers from "5,15,25".

    Raises:
        InputError: something is no number.
    """
    parts = comma_list(text)
    if parts is None:
        return None
    try:
        levels = [float(part) for part in parts]
        if not all(map(math.isfinite, levels)):
            raise ValueError
    except ValueError:
        raise InputError(f"--noise is {text!r}; expected σ·255 such as 5,15,25") from None
    return levels


def number_of(text: str | None, option: str, everything: str) -> int | None:
    """A whole number ≥ 1, or `EVERYTHING` for the word that stands for it.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    if text.strip().lower() == everything:
        return EVERYTHING
    if not text.strip().isdigit() or int(text) < 1:
        raise InputError(f"{option} is {text!r}; expected a number from 1, or {everything}")
    return int(text)


def settings_of(pairs: Sequence[str] | None) -> dict[str, float | str]:
    """{"tol": 1e-5} from ["tol=1e-5"]; words stay words.

    Raises:
        InputError: a part without "=".
    """
    found: dict[str, float | str] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not (equals and name and value):
            raise InputError(f"--set {pair!r} found; expected NAME=VALUE, such as tol=1e-5")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found
