"""A row of a benchmark: what was measured in one cell, under which conditions; CSV and back.

Failures are rows as well. Empty fields say that a number does not exist for the cell.
"""

from __future__ import annotations

import csv
import io
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pnp_recon.benchmark.cells import Key
from pnp_recon.errors import InputError

# How a cell can end. Only a row that is `MEASURED` enters means.
MEASURED = (
    "done",
    "converged",
    "early stop",
    "iteration limit",
    "time limit",
    "stagnated",
    "inner limit",
)
# The iterates of an expansive denoiser run away; a bound that an attack has overcome.
DIVERGED, EXPANSIVE = "diverged", "expansive"
FAILED = "failed"

CERTIFIED, NO_GUARANTEE, CONTRADICTED = "certified", "no guarantee", "contradicted"
# Certified if what somebody declares is true (a denoiser's constant, an operator's transpose).
CONDITIONAL = "certified if"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One cell's results.

    Attributes:
        suite, problem, noise, picture, method: the cell; noise is σ·255.
        split, channels, seed: what data it was.
        parameters: what the method ran with, as tuned; `STRENGTH` where it was not.
        status: one of `MEASURED`, or "diverged", "expansive" or "failed".
        message: why, where it failed or diverged.
        psnr, psnr_clean_peak: in dB; peak 1, and peak = maximum of the clean picture.
        ssim, lpips: LPIPS where it is installed with its weights.
        psnr_input: what the method started from: noisy, blurred, filled or back-projected.
        seconds: median of the repeats.
        peak_memory_mb: by how much the process grew while the method ran, in 10⁶ bytes.
        iterations, residual: how many there were, and the last relative residual.
        certificate: "certified", "certified if" (what was declared is true), "no guarantee", or
            "contradicted".
        theorem: what covers the method or the run, or why nothing does.
        alpha, lipschitz: proven upper bounds, of the denoiser in use or of the iterated map.
        attained_lipschitz: the largest difference quotient that an attack found: a lower bound.
        model_sha256: the hash of the weights.
        versions, revision, device, threads: what ran, and where.
    """

    suite: str
    problem: str
    noise: float
    picture: str
    split: str
    method: str
    channels: int
    parameters: dict[str, float] = field(default_factory=dict)
    seed: int
    status: str
    message: str = ""
    psnr: float | None = None
    psnr_clean_peak: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    psnr_input: float | None = None
    seconds: float | None = None
    peak_memory_mb: float | None = None
    iterations: int | None = None
    residual: float | None = None
    certificate: str = NO_GUARANTEE
    theorem: str = ""
    alpha: float | None = None
    lipschitz: float | None = None
    attained_lipschitz: float | None = None
    model_sha256: str = ""
    versions: str = ""
    revision: str = ""
    device: str = ""
    threads: int = 1

    @property
    def key(self) -> Key:
        return (self.suite, self.problem, self.noise, self.picture, self.method)

    @property
    def measured(self) -> bool:
        return self.status in MEASURED


COLUMNS: tuple[str, ...] = tuple(item.name for item in fields(Row))
# What two runs of the same plan on the same machine may differ in.
VARYING: tuple[str, ...] = ("seconds", "peak_memory_mb")


def header() -> str:
    """The first line of a CSV file."""
    return _line(list(COLUMNS))


def to_line(row: Row) -> str:
    """The row as one line of CSV; numbers with as many digits as give them back."""
    return _line([_text(getattr(row, name)) for name in COLUMNS])


def from_fields(found: Mapping[str, str]) -> Row:
    """A row from the columns of a CSV file.

    Raises:
        InputError: a column is missing, or holds something else than it should.
    """
    try:
        return Row(**{name: _value(found[name], kind) for name, kind in _KINDS.items()})
    except KeyError as error:
        raise InputError(
            f"the table has no column {error}; expected {', '.join(COLUMNS)}"
        ) from error
    except (TypeError, ValueError) as error:
        raise InputError(f"a row of the table is damaged: {error}") from error


def _line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True) if value else ""
    return " ".join(str(value).split())  # one line, whatever a message holds


def _value(text: str, kind: type) -> Any:
    if kind is dict:
        return dict(json.loads(text)) if text else {}
    if kind is str:
        return text
    return None if text == "" else kind(text)


def _kind(hint: Any) -> type:
    """str, int, float or dict of a field's annotation."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    found: type = typing.get_origin(hint) or hint
    return found


_KINDS: dict[str, type] = {name: _kind(hint) for name, hint in typing.get_type_hints(Row).items()
                           if name in COLUMNS}  # fmt: skip
