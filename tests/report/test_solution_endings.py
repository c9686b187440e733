"""An ending that the history of a saved solution excludes is not believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pnp_recon
from operators import Convolution, kernels


def limited(held: dict[str, Any]) -> None:
    """Ended at a limit that is not there, by a history that reached it not."""
    held["status"] = "ITERATION_LIMIT"
    held["stopping"] |= {"tol": 1e-12, "max_iter": 6 * len(held["history"]["residuals"])}


def timed(held: dict[str, Any]) -> None:
    held["status"] = "TIME_LIMIT"
    held["stopping"]["tol"] = 1e-12


def settled_at_the_limit(held: dict[str, Any]) -> None:
    """At its limit, and below its tolerance."""
    held["status"] = "ITERATION_LIMIT"
    held["stopping"]["max_iter"] = len(held["history"]["residuals"])


def stuck(held: dict[str, Any]) -> None:
    held["status"] = "STAGNATED"


def overlong(held: dict[str, Any]) -> None:
    held["stopping"]["max_iter"] = 1


def before_the_start(held: dict[str, Any]) -> None:
    held["status"] = "LEAST_ERROR"
    held["stopping"]["least_error"] = True
    held["parameters"]["steps_worth_making"] = -5.0


def timeless(held: dict[str, Any]) -> None:
    held["history"]["seconds"] = []


def unasked(held: dict[str, Any]) -> None:
    at_its_limit(held)
    held["status"] = "EARLY_STOP"


def at_its_limit(held: dict[str, Any]) -> None:
    """The twin of `limited`: the limit is where it ended."""
    limited(held)
    held["stopping"]["max_iter"] = len(held["history"]["residuals"])


def out_of_time(held: dict[str, Any]) -> None:
    """The twin of `timed`."""
    timed(held)
    held["stopping"]["time_limit"] = 1e-9


def in_time(held: dict[str, Any]) -> None:
    """The twin of `before_the_start`."""
    before_the_start(held)
    held["parameters"]["steps_worth_making"] = 5.0


def early(held: dict[str, Any]) -> None:
    """The twin of `unasked`."""
    unasked(held)
    held["stopping"]["early"] = True


def nothing(held: dict[str, Any]) -> None:
    pass


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (limited, "no run of it ended 'ITERATION_LIMIT'"),
        (settled_at_the_limit, "no run of it ended 'ITERATION_LIMIT'"),
        (unasked, "no run of it ended 'EARLY_STOP'"),
        (timed, "no run of it ended 'TIME_LIMIT'"),
        (stuck, "no run of it ended 'STAGNATED'"),
        (overlong, "was to make 1 at most"),
        (before_the_start, "no run of it ended 'LEAST_ERROR'"),
        (timeless, "not those of a run"),
        (nothing, ""),  # the twins
        (at_its_limit, ""),
        (early, ""),
        (out_of_time, ""),
        (in_time, ""),
    ],
)
def test_an_ending_that_the_history_excludes(
    edit: Callable[[dict[str, Any]], None],
    said: str,
    solution: pnp_recon.Solution,
    tmp_path: Path,
) -> None:
    _, described = pnp_recon.save_solution(solution, tmp_path / "edited")
    held = json.loads(described.read_text())
    edit(held)
    described.write_text(json.dumps(held))
    back = pnp_recon.load_solution(described).certificate
    assert back.holds == (not said)
    assert said in back.unchecked


@pytest.mark.parametrize("scale", [0.0, 1.0])  # the twin: data that move the picture
def test_a_run_in_which_nothing_moved_shows_nothing(scale: float, tmp_path: Path) -> None:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16), boundary="circular")
    y = scale * torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    made = pnp_recon.reconstruct(y, A, solver="landweber", noise_level=0.1)
    _, described = pnp_recon.save_solution(made, tmp_path / "made")
    back = pnp_recon.load_solution(described).certificate
    assert back.holds == (scale > 0)
    assert ("no step of it moved anything" in back.unchecked) == (scale == 0)
