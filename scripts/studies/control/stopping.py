"""When to stop Landweber's iteration: learned rules, rules from the data, and the best stop.

Rules are learned on crops of BSDS500 train and judged on crops of val without BSD68, which no rule
has seen. Pictures are judged as the iterations leave them, without a box.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from operators import Convolution, LinearOperator, RayTransform
from operators.scan_presets import parallel_beam
from pnp_recon.datasets.splits import training_pictures, validation_pictures
from pnp_recon.fidelity import LeastSquares
from pnp_recon.problems.noise import standard_normal
from pnp_recon.solvers import Landweber
from pnp_recon.solvers.in_time import InTime
from pnp_recon.training.control.stopping import learned_time, stopped
from scripts.protocol import Rows, crop, deblurring_kernels, environment

SIDE, TRAINED, JUDGED, STEPS = 64, 16, 24, 200
# η² of ‖A x − y‖² ≤ η²σ²m that are tried on the training pairs.
SHARES = [k / 50 for k in range(20, 61)]
# By what the noise level may be wrong.
WRONG = (0.9, 1.1)


@dataclass(frozen=True)
class Case:
    """An operator with a noise level, and an iteration.

    Attributes:
        name: as the table has it.
        A: the operator.
        level: σ in the units of y.
        words: σ in words.
        relaxation: τ‖A‖².
        limit: where commands stop this iteration, if they do.
        wrong: whether noise levels that are wrong are tried, too.
    """

    name: str
    A: LinearOperator
    level: float
    words: str
    relaxation: float
    limit: int | None = None
    wrong: bool = False

    def iteration(self, y: Tensor) -> Landweber:
        start = y.new_zeros(len(y), *self.A.image_shape)
        fidelity = LeastSquares(self.A, y)
        return Landweber(fidelity, start, step_size=self.relaxation / fidelity.lipschitz)


def cases(side: int = SIDE) -> Iterator[Case]:
    shape = (1, side, side)
    for name, kernel in deblurring_kernels().items():
        A = Convolution(kernel, shape, "circular")
        for level in (2.55, 7.65, 12.75):
            words = f"{level:g}/255"
            wrong = name.startswith("motion")
            yield Case(name, A, level / 255, words, 1.0, None, wrong)
            if level < 10:
                yield Case(name, A, level / 255, words, 1.9, 200)
    for views in (60, 20):
        scan = RayTransform(parallel_beam(views, (side, side)), shape)
        largest = float(scan.A(torch.ones(1, *shape)).max())
        for share in (0.005, 0.02):
            facts = (f"CT, {views} views", scan, share * largest, f"{share:.1%} of the longest ray")
            yield Case(*facts, 1.0, None, share == 0.02)
            yield Case(*facts, 1.9, 200)


@dataclass(frozen=True)
class Paths:
    """Iterations of many pictures.

    Attributes:
        points: the iterates, each (B, 1, H, W).
        truth: (B, 1, H, W).
        fits: ‖A x_k − y‖² over what is seen, (K + 1, B), in units of σ² times their number.
        worth: where `InTime` stopped, by the factor of the noise level, (B,).
    """

    points: list[Tensor]
    truth: Tensor
    fits: Tensor
    worth: dict[float, Tensor]

    def psnr(self, steps: Sequence[int] | Tensor) -> list[float]:
        """At a step of its own for each picture."""
        chosen = torch.stack([self.points[int(k)][b] for b, k in enumerate(steps)])
        return psnr(chosen, self.truth)


def psnr(x: Tensor, truth: Tensor) -> list[float]:
    error = (x - truth).double().square().flatten(1).mean(1)
    return [float(value) for value in -10 * error.log10()]


@torch.inference_mode()
def paths(case: Case, truth: Tensor, seed: int, count: int, factors: Sequence[float]) -> Paths:
    y = case.A.A(truth)
    y = y + case.level * standard_normal(y, seed)
    inner = case.iteration(y)
    rules = {factor: InTime(inner, factor * case.level) for factor in factors}
    seen = InTime(inner, case.level).seen
    points, fits = [inner.init().z], []
    states = {factor: rule.init() for factor, rule in rules.items()}
    state = inner.init()
    for k in range(count):
        left = seen * (y - case.A.A(points[-1]))
        fits.append(left.double().square().flatten(1).sum(1) / float(seen.sum()) / case.level**2)
        state = inner.step(state, k).state
        points.append(state.z)
        for factor, rule in rules.items():
            if not bool(states[factor].turned.all()):
                states[factor] = rule.step(states[factor], k).state
    worth = {factor: found.worth.clamp(max=count) for factor, found in states.items()}
    return Paths(points, truth, torch.stack(fits), worth)


def discrepancy(found: Paths, share: float) -> list[int]:
    """First k with ‖A x_k − y‖² ≤ share·σ²m; the last one where there is none."""
    below = found.fits <= share
    below[-1] = True
    return [int(k) for k in below.int().argmax(0)]


def best(found: Paths) -> list[int]:
    errors = torch.stack([(z - found.truth).square().flatten(1).sum(1) for z in found.points])
    return [int(k) for k in errors.argmin(0)]


def measure(rows: Rows, case: Case, train: Tensor, judged: Tensor, count: int) -> None:
    key = {"case": case.name, "noise": case.words, "step": case.relaxation}
    if rows.has(**key):
        return
    learning = paths(case, train, 1, count, ())
    time = learned_time(learning.points, train)
    share = max(SHARES, key=lambda s: statistics.mean(learning.psnr(discrepancy(learning, s))))
    found = paths(case, judged, 2, count, (1.0, *(WRONG if case.wrong else ())))
    oracle = best(found)
    stops: dict[str, Sequence[float]] = {
        "best": oracle,
        "discrepancy": discrepancy(found, 1.0),
        "discrepancy, learned factor": discrepancy(found, share),
        "least error": found.worth[1.0].tolist(),
    }
    if case.limit is not None and case.limit <= count:
        stops["limit of the commands"] = [case.limit] * len(judged)
    for factor in WRONG if case.wrong else ():
        stops[f"least error, σ × {factor}"] = found.worth[factor].tolist()
        stops[f"discrepancy, σ × {factor}"] = discrepancy(found, factor**2)
    scores = {rule: found.psnr([int(k) for k in steps]) for rule, steps in stops.items()}
    scores["learned time"] = psnr(stopped(found.points, time.time), judged)
    stops["learned time"] = [time.time] * len(judged)
    reference = scores["discrepancy"]
    for rule, values in scores.items():
        lost = [a - b for a, b in zip(scores["best"], values, strict=True)]
        gained = [a - b for a, b in zip(values, reference, strict=True)]
        rows.add(
            **key,
            rule=rule,
            psnr=statistics.mean(values),
            lost=statistics.mean(lost),
            worst=max(lost),
            gained=statistics.mean(gained),
            error=statistics.stdev(gained) / math.sqrt(len(gained)),
            won=sum(a > 0 for a in gained) / len(gained),
            stop=statistics.mean(stops[rule]),
            learned={"learned time": time.time, "discrepancy, learned factor": share}.get(rule),
            slope=time.slope if rule == "learned time" else None,
            pictures=len(judged),
            environment=environment(),
        )


def pictures(data: Path, side: int, trained: int, judged: int) -> tuple[Tensor, Tensor]:
    """Crops of train and of val without BSD68, (n, 1, side, side), grey."""
    known = training_pictures(data, hold_back=True)
    own = list(itertools.islice(known[:: max(len(known) // trained, 1)], trained))
    other = validation_pictures(data)[:judged]
    return tuple(torch.cat([crop(p, side, True) for p in some]) for some in (own, other))  # type: ignore[return-value]
