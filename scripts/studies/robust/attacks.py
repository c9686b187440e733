"""Attacks in the Euclidean norm: for each picture and radius, is there a point with another class?

Ours has restarts, two losses and steps that are halved where they no longer help, after APGD
(Croce & Hein 2020); foolbox's L2-PGD is an attack by other hands. What an attack finds is checked
in float64 for its distance and its class: an answer is a fact, whatever found it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Logits = Callable[[Tensor], Tensor]
LOSSES = ("entropy", "lead")
# Of a step that helped no more, and the share of steps that have to help (Croce & Hein: 0.75).
HALF, HELPFUL = 0.5, 0.75


@dataclass(frozen=True)
class Found:
    """What attacks on a batch left.

    Attributes:
        points: (B, …), the misclassified point of each picture, or the picture itself.
        fooled: (B,), is the class of that point wrong?
    """

    points: Tensor
    fooled: Tensor


def attack(
    logits: Logits,
    x: Tensor,
    labels: Tensor,
    radius: float,
    generator: torch.Generator,
    steps: int = 30,
    restarts: int = 10,
) -> Found:
    """Ours: restarts from random points of the ball, by turns with either loss.

    Args:
        logits: differentiable, (B, …) to (B, C).
        x: pictures, or measurements, float64; no box, since a radius knows none.
        labels: (B,).
        radius: of the closed ball that is searched.
        generator: of the starts.
        steps: of each ascent.
        restarts: ascents; pictures that are fooled are left out of later ones.
    """
    points, fooled = x.clone(), logits(x).argmax(1) != labels
    for restart in range(restarts if radius > 0 else 0):
        left = (~fooled).nonzero()[:, 0]
        if not len(left):
            break
        loss = LOSSES[restart % len(LOSSES)]
        start = direction(x[left], generator) * radius if restart else torch.zeros_like(x[left])
        ends = _ascend(logits, x[left], labels[left], radius, start, loss, steps)
        wrong = misclassified(logits, x[left], ends, labels[left], radius)
        points[left[wrong]], fooled[left[wrong]] = ends[wrong], True
    return Found(points, fooled)


def misclassified(
    logits: Logits, x: Tensor, points: Tensor, labels: Tensor, radius: float
) -> Tensor:
    """Which points lie in the ball, to 1e-12 of it, and have another class (B,)."""
    with torch.no_grad():
        near = norms(points - x) <= radius * (1 + 1e-12)
        return near & (logits(points).argmax(1) != labels)


def _ascend(
    logits: Logits, x: Tensor, labels: Tensor, radius: float, start: Tensor, loss: str, steps: int
) -> Tensor:
    """The points of the largest loss met on the way."""
    size = torch.full((len(x),), 2 * radius, dtype=x.dtype)
    d, before = into_ball(start, radius), into_ball(start, radius)
    value, slope = _loss(logits, x + d, labels, loss)
    best, highest, best_slope = d.clone(), value.clone(), slope.clone()
    helped, window = torch.zeros(len(x)), max(3, steps // 5)
    for k in range(steps):
        step = each(size, d) * slope / each(norms(slope).clamp_min(1e-30), d)
        ahead = into_ball(d + step, radius)
        if k:  # a little of the last step, as APGD has it
            ahead = into_ball(d + 0.75 * (ahead - d) + 0.25 * (d - before), radius)
        before, d = d, ahead
        last = value
        value, slope = _loss(logits, x + d, labels, loss)
        helped += value > last
        better = value > highest
        highest = torch.where(better, value, highest)
        best[better], best_slope[better] = d[better], slope[better]
        if (k + 1) % window == 0:
            slow = helped < HELPFUL * window
            size[slow] *= HALF
            # Slow ones go on from the best point.
            d[slow], slope[slow], value[slow] = best[slow], best_slope[slow], highest[slow]
            before[slow] = best[slow]
            helped.zero_()
    return x + best


def _loss(logits: Logits, points: Tensor, labels: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    """What is to rise, for each picture, and its gradient."""
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        found = logits(points)
        if loss == "entropy":
            value = F.cross_entropy(found, labels, reduction="none")
        else:
            own = found.gather(1, labels[:, None])[:, 0]
            others = found.scatter(1, labels[:, None], -torch.inf).amax(1)
            value = others - own
        (slope,) = torch.autograd.grad(value.sum(), points)
    return value.detach(), slope


def foolbox_attack(
    model: torch.nn.Module, x: Tensor, labels: Tensor, radii: Sequence[float], steps: int = 50
) -> list[Found]:
    """foolbox's L2 projected gradient descent, a result for each radius > 0."""
    import foolbox

    wide = foolbox.PyTorchModel(model.eval(), bounds=(-10.0, 11.0), device="cpu")
    found = []
    for radius in radii:
        # Its random starts are torch's; the caller's state is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            run = foolbox.attacks.L2ProjectedGradientDescentAttack(steps=steps)
            _, points, _ = run(wide, x, labels, epsilons=radius)
        # Its arithmetic may leave the ball by a rounding: back onto it.
        points = x + into_ball(points.detach() - x, radius)
        fooled = misclassified(model, x, points, labels, radius)
        wrong = model(x).argmax(1) != labels
        held = torch.where(each(fooled & ~wrong, x), points, x)
        found.append(Found(held, fooled | wrong))
    return found


def direction(x: Tensor, generator: torch.Generator) -> Tensor:
    """Random directions of length one, shaped like x."""
    d = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    return d / each(norms(d), d)


def into_ball(d: Tensor, radius: float) -> Tensor:
    """The nearest points of the ball around zero."""
    return d * each((radius / norms(d).clamp_min(1e-30)).clamp_max(1.0), d)


def norms(d: Tensor) -> Tensor:
    return torch.linalg.vector_norm(d.flatten(1), dim=1)


def each(values: Tensor, like: Tensor) -> Tensor:
    """Values (B,) shaped to multiply (B, …)."""
    return values.view(-1, *(1 for _ in like.shape[1:]))
