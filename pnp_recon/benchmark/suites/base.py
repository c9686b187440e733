"""What the suites share: pictures, methods and parameters of a cell, and how it becomes a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from pnp_recon.benchmark import measure, tuned
from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.methods import Method, load_method
from pnp_recon.benchmark.pictures import read
from pnp_recon.benchmark.rows import CERTIFIED, CONDITIONAL, NO_GUARANTEE, Row
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.pictures.preview import picture_png
from pnp_recon.priors.denoiser import Denoiser

# Side of the crops that are kept for the comparison strips.
KEPT_SIDE = 128


@dataclass(frozen=True)
class Outcome:
    """What a cell leaves behind.

    Attributes:
        row: its line of the table.
        curve: the course of an iteration, equally long lists by name; or None.
        pictures: PNGs by name, for the report's comparison strips.
    """

    row: Row
    curve: dict[str, list[float]] | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)


class Suite(ABC):
    """How the cells of a kind of measurement become rows; `catalogue` has the rest about it."""

    @abstractmethod
    def measure(self, plan: Plan, cell: Cell) -> Outcome:
        """Runs a cell; raises what goes wrong."""


def picture_of(plan: Plan, cell: Cell) -> Tensor:
    """The true picture of a cell, (1, C, H, W) in [0, 1]."""
    found = read(Path(plan.data), plan.split, cell.picture, plan.channels, plan.crop)
    return found.to(plan.device)


def method_of(plan: Plan, cell: Cell) -> Method:
    return load_method(cell.method, plan.channels, plan.device)


def parameters_of(plan: Plan, suite: str, method: Method, noise: float) -> dict[str, float]:
    """The parameters of a method at a noise level (σ·255) as the plan has them."""
    return tuned.parameters(suite, method, plan.channels, noise, plan.tuned)


def plugged(plan: Plan, method: Method) -> Denoiser:
    """The method for iterations; at each level it runs with what was tuned for denoising."""
    return method.prior(lambda sigma: parameters_of(plan, "denoise", method, round(255 * sigma, 6)))


def within(denoiser: Denoiser, level: float) -> float:
    """The nearest level that the denoiser serves."""
    low, high = denoiser.sigma_range
    return min(max(level, low), high)


def row_of(plan: Plan, cell: Cell, **fields: Any) -> Row:
    """A row with what belongs to every row of the plan."""
    return Row(
        suite=cell.suite,
        problem=cell.degradation.name,
        noise=cell.degradation.noise,
        picture=cell.picture,
        split=plan.split,
        method=cell.method,
        channels=plan.channels,
        seed=plan.seed,
        device=measure.device_name(plan.device),
        threads=plan.threads,
        **{**measure.conditions(), **fields},
    )


def row_of_run(
    plan: Plan,
    cell: Cell,
    method: Method,
    parameters: Mapping[str, float],
    seconds: float,
    memory: float | None,
    **fields: Any,
) -> Row:
    """The row of a method that ran with these parameters, and what it took (`measure.timed`)."""
    return row_of(
        plan,
        cell,
        parameters=dict(parameters),
        seconds=seconds,
        peak_memory_mb=memory,
        model_sha256=method.sha256,
        **fields,
    )


def proven(method: Method) -> dict[str, Any]:
    """The certificate columns of a map that is used as it is, not iterated."""
    guarantee = method.guarantee
    words = CERTIFIED if method.proven else CONDITIONAL
    return {
        "certificate": words if guarantee.is_nonexpansive else NO_GUARANTEE,
        "theorem": guarantee.source,
        "alpha": guarantee.averagedness,
        "lipschitz": guarantee.lipschitz,
    }


def kept_pictures(plan: Plan, cell: Cell, **pictures: Tensor) -> dict[str, bytes]:
    """Central crops as PNG, named as the report looks for them; nothing for other pictures.

    `pictures` are "clean", "input" and the cell's own method under the name "image".
    """
    if cell.picture not in plan.kept:
        return {}
    found = {}
    for name, picture in pictures.items():
        shown = cell if name == "image" else replace(cell, method=name)
        found[shown.slug] = picture_png(centre_crop(picture.nan_to_num(0), KEPT_SIDE))
    return found
