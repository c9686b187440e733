"""What somebody asked to run, before suites, methods and pictures are looked up (`planning`).

Imports no torch, so that a command may fill it in and answer a wrong option at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pnp_recon.errors import InputError

# How strong the prior is: chosen from the data, as tuned, or a number.
AUTO, TUNED = "auto", "tuned"
STRENGTHS = (AUTO, TUNED)
DEFAULT_STRENGTH = AUTO


class Search(StrEnum):
    """How parameters are searched: every candidate, or descent from the automatic choice."""

    candidates = "candidates"
    descent = "itoh-abe"


# "all pictures" and "no crop", apart from None, which is the suite's own choice.
EVERYTHING = 0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was asked for; None: the suite's default.

    `images` and `crop` are `EVERYTHING` for all pictures and for whole pictures. `keep` is a number
    of pictures, alone, or their names. `device` is torch's name of one when a plan is made.
    `strength` is one of `STRENGTHS` or a number; see `checked_strength`.
    """

    suite: str | None = None
    data: Path | None = None
    methods: Sequence[str] | None = None
    noise: Sequence[float] | None = None
    images: int | None = None
    split: str | None = None
    grey: bool | None = None
    crop: int | None = None
    problems: Sequence[str] | None = None
    settings: Mapping[str, float | str] = field(default_factory=dict)
    tuned: Path | None = None
    strength: str | None = None
    seed: int = 0
    repeats: int = 1
    keep: Sequence[str] = ("0",)
    threads: int | None = None
    jobs: int = 1
    device: str = "cpu"
    quick: bool = False

    @property
    def decides(self) -> list[str]:
        """Options given that decide which cells there are, as they are called."""
        names = ("methods", "noise", "images", "split", "grey", "crop", "problems", "tuned",
                 "strength")  # fmt: skip
        given = [f"--{name}" for name in names if getattr(self, name) is not None]
        return given + ["--set"] * bool(self.settings) + ["--quick"] * self.quick


def checked_strength(text: str) -> str:
    """The strength as it is written in a plan: a word, or a number in one way of writing.

    Raises:
        InputError: it is neither.
    """
    if text in STRENGTHS:
        return text
    try:
        value = float(text)
        if not 0 < value < math.inf:
            raise ValueError
    except ValueError:
        raise InputError(
            f"--strength is {text!r}; expected {', '.join(STRENGTHS)} or a number above 0"
        ) from None
    return f"{value:g}"
