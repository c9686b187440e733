"""What every suite is: problems, sensible defaults, and how one cell becomes a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from pnp_recon.benchmark import measure, tuned
from pnp_recon.benchmark.cells import Cell, Plan, Problem
from pnp_recon.benchmark.methods import Method, load_method
from pnp_recon.benchmark.pictures import read
from pnp_recon.benchmark.rows import CERTIFIED, NO_GUARANTEE, Row
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.report.figure import picture_png
from pnp_recon.training.validation import centre_crop

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
    """A kind of measurement.

    Attributes:
        name, what: for `pnp-bench list`.
        noise: usual levels, σ·255.
        channels: usual number of channels.
        grey_only: there is nothing in colour to run it on.
        crop: usual side of the central crop; None: whole pictures.
        images: usual number of pictures; None: all.
        methods: usual methods, groups included.
        settings: the suite's own, with their usual values.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    noise: ClassVar[tuple[float, ...]]
    channels: ClassVar[int] = 1
    grey_only: ClassVar[bool] = False
    crop: ClassVar[int | None] = None
    images: ClassVar[int | None] = None
    methods: ClassVar[tuple[str, ...]] = ("all",)
    settings: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Of the problems, without noise levels, in the order of the tables."""

    @abstractmethod
    def measure(self, plan: Plan, cell: Cell) -> Outcome:
        """Runs a cell; raises what goes wrong."""

    def problems(
        self, noise: Sequence[float] | None = None, names: Sequence[str] | None = None
    ) -> tuple[Problem, ...]:
        """Every problem at every noise level.

        Args:
            noise: levels, σ·255; None: the usual ones.
            names: beginnings of the names of problems; None: all.

        Raises:
            InputError: a level outside [0, 255], or a name that nothing begins with.
        """
        levels = self.noise if noise is None else tuple(noise)
        for level in levels:
            if not 0 <= level <= 255:
                raise InputError(f"noise level {level:g} found; expected σ·255 from 0 to 255")
        chosen = self.names() if names is None else self._chosen(names)
        return tuple(Problem(name, float(level)) for name in chosen for level in levels)

    def checked(self, given: Mapping[str, float | str]) -> dict[str, Any]:
        """The suite's settings, with those that were given.

        Raises:
            InputError: one that it does not have, or a value of another kind.
        """
        found = dict(self.settings)
        for name, value in given.items():
            if name not in found:
                known = ", ".join(found) or "none"
                raise InputError(f"suite {self.name} has no setting {name!r}; it has: {known}")
            kind = type(found[name])
            try:
                found[name] = kind(value)
            except ValueError:
                raise InputError(f"--set {name}={value}: expected a {kind.__name__}") from None
        return found

    def _chosen(self, wanted: Sequence[str]) -> list[str]:
        for beginning in wanted:
            if not any(name.startswith(beginning) for name in self.names()):
                raise InputError(
                    f"suite {self.name} has no problem {beginning!r}; known: "
                    f"{', '.join(self.names())}"
                )
        return [name for name in self.names() if name.startswith(tuple(wanted))]


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
        problem=cell.problem.name,
        noise=cell.problem.noise,
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


def proven(guarantee: Guarantee) -> dict[str, Any]:
    """The certificate columns of a map that is used as it is, not iterated."""
    nonexpansive = guarantee.is_nonexpansive
    return {
        "certificate": CERTIFIED if nonexpansive else NO_GUARANTEE,
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
