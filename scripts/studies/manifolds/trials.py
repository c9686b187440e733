"""What a trial is: a truth, its noise, ways to denoise it, and what each way did."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pnp_recon.manifolds import Denoised, Manifold, Variation, denoise
from pnp_recon.manifolds.proximal import swept

# One draw to choose the strength of every way, three to measure; the knee is the same for all.
TUNING, SEEDS, KNEE = 100, (0, 1, 2), 0.1
STRENGTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


@dataclass(frozen=True)
class Way:
    """A treatment: coordinates in which the field is denoised on some manifold.

    Attributes:
        name: as the table has it.
        space: where the coordinates live.
        there, back: a field to its coordinates, and the coordinates to a field.
    """

    name: str
    space: Manifold
    there: Callable[[Tensor], Tensor] = lambda x: x
    back: Callable[[Tensor], Tensor] = lambda x: x

    def __call__(self, y: Tensor, strength: float, tol: float = 1e-5) -> tuple[Tensor, Denoised]:
        found = denoise(self.space, self.there(y), strength, KNEE, tol=tol)
        return self.back(found.x), found


@dataclass(frozen=True)
class Problem:
    """A truth with noise.

    Attributes:
        name: as the table has it.
        space: in whose distance errors are measured.
        truth: (H, W, *point).
        noisy: the field of a seed.
        move: a map of fields that should move the result as it moves the data.
        ways: what is compared.
        more: other figures of a result, by name.
    """

    name: str
    space: Manifold
    truth: Tensor
    noisy: Callable[[int], Tensor]
    move: Callable[[Tensor], Tensor]
    ways: tuple[Way, ...]
    more: dict[str, Callable[[Tensor], float]] = field(default_factory=dict)

    def error(self, x: Tensor, to: Tensor | None = None) -> float:
        """Distance from the truth or another field, root mean square over pixels."""
        apart = self.space.distance(x, self.truth if to is None else to)
        return float(apart.square().mean().sqrt())


@dataclass(frozen=True)
class Row:
    """What one way did in one problem.

    Attributes:
        problem, way: names.
        strength: that had the least error for the draw `TUNING`.
        errors: one for each seed.
        moved: how far the result of moved data is from the moved result, of the first seed.
        more: the problem's other figures, means over seeds.
        label: of the certificates, all the same.
        bar, steps: the largest.
        picture: the first seed's.
    """

    problem: str
    way: str
    strength: float
    errors: list[float]
    moved: float
    more: dict[str, float]
    label: str
    bar: float
    steps: int
    picture: Tensor


def noise(problem: Problem, seeds: tuple[int, ...]) -> Row:
    """The row of what is not denoised."""
    fields = [problem.noisy(seed) for seed in seeds]
    errors = [problem.error(y) for y in fields]
    return Row(problem.name, "noisy", 0, errors, 0, _more(problem, fields), "", 0, 0, fields[0])


def tried(problem: Problem, way: Way, seeds: tuple[int, ...], strengths: tuple[float, ...]) -> Row:
    """Tunes a way on one draw and measures it on others."""
    y = problem.noisy(TUNING)
    tuned = min(strengths, key=lambda s: problem.error(way(y, s, tol=1e-3)[0]))
    fields = [problem.noisy(seed) for seed in seeds]
    found = [way(y, tuned) for y in fields]
    results = [x for x, _ in found]
    moved = problem.error(problem.move(results[0]), way(problem.move(fields[0]), tuned)[0])
    labels = {run.certificate.label for _, run in found}
    return Row(
        problem.name,
        way.name,
        tuned,
        [problem.error(x) for x in results],
        moved,
        _more(problem, results),
        " / ".join(sorted(labels)),
        max(run.gradient for _, run in found),
        max(run.iterations for _, run in found),
        results[0],
    )


def rows(
    problem: Problem,
    seeds: tuple[int, ...] = SEEDS,
    strengths: tuple[float, ...] = STRENGTHS,
) -> list[Row]:
    """All ways of a problem, after its noise."""
    torch.set_num_threads(1)
    return [noise(problem, seeds), *(tried(problem, way, seeds, strengths) for way in problem.ways)]


def swept_bars(problem: Problem, strength: float, counts: tuple[int, ...]) -> list[list[float]]:
    """Cyclic proximal points: sweeps, the bar of what they found, and its true distance.

    Both are root mean squares over pixels; the minimiser is known to 1e-8 in this measure.
    """
    y = problem.noisy(SEEDS[0])
    energy = Variation(problem.space, y, strength, KNEE)
    best = denoise(problem.space, y, strength, KNEE, tol=1e-8).x
    found, pixels = [], math.sqrt(y.shape[0] * y.shape[1])
    for count in counts:
        x = swept(energy, y, count)
        bar = energy.norm(x, energy.value_and_gradient(x)[1]) / pixels
        found.append([count, bar, problem.error(x, best)])
    return found


def _more(problem: Problem, fields: list[Tensor]) -> dict[str, float]:
    return {
        name: statistics.mean(measure(x) for x in fields) for name, measure in problem.more.items()
    }
