"""Random coloured rectangles, drawn on the pixel grid or turned by any angle, never interpolated.

A scene lives in the plane, about the centre of the picture, and is larger than it, so that a
turned picture has no empty corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.problems.running import running_noise

SIZE = 60
RECTANGLES = 24  # to a scene of SIZE; wider ones have as many to an area
SIDES = (6, 36)  # pixels, shortest and longest


@dataclass(frozen=True, eq=False)
class Scenes:
    """B scenes: a background and rectangles, each painted over those before it.

    Attributes:
        edges: (B, n, 4), left, right, bottom, top; whole pixels, X to the right and Y upwards.
        colours: (B, n + 1, 3) in [0, 1]; the first is the background.
    """

    edges: Tensor
    colours: Tensor

    def __len__(self) -> int:
        return len(self.edges)


def random_scenes(count: int, generator: torch.Generator, size: int = SIZE) -> Scenes:
    """Sides and places uniform over the circumscribed square of the turned picture."""
    reach = math.ceil(size / math.sqrt(2))
    number = round(RECTANGLES * (size / SIZE) ** 2)
    shape = (count, number, 2)
    sides = torch.randint(SIDES[0], SIDES[1] + 1, shape, generator=generator)
    # A rectangle touches the square at least; one that lies half outside is as good as another.
    centres = torch.randint(-reach, reach + 1, shape, generator=generator)
    low = centres - sides // 2
    edges = torch.stack([low, low + sides], -1).flatten(-2).double()
    return Scenes(edges, torch.rand(count, number + 1, 3, generator=generator))


def draw(scenes: Scenes, angles: Tensor | None = None, size: int = SIZE, fine: int = 8) -> Tensor:
    """Pictures (B, 3, size, size) in [0, 1] of the scenes, turned counter-clockwise.

    Args:
        scenes: what is drawn.
        angles: (B,) in degrees; None: upright. Whole quarter turns are exact.
        size: even, so that the edges of upright rectangles are edges of pixels.
        fine: a pixel is the mean over fine² points in it.
    """
    if angles is None:
        angles, fine = torch.zeros(len(scenes)), 1
    return torch.stack(
        [
            _draw_one(scenes.edges[i], scenes.colours[i], float(angles[i]), size, fine)
            for i in range(len(scenes))
        ]
    )


def _draw_one(edges: Tensor, colours: Tensor, angle: float, size: int, fine: int) -> Tensor:
    steps = (torch.arange(size * fine, dtype=torch.float64) + 0.5) / fine - size / 2
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    x, y = _turned_back(columns, -rows, angle)
    top = torch.zeros_like(x, dtype=torch.long)
    for index, (left, right, low, high) in enumerate(edges.tolist()):
        top[(x > left) & (x < right) & (y > low) & (y < high)] = index + 1
    points = colours[top].permute(2, 0, 1)
    return torch.nn.functional.avg_pool2d(points, fine) if fine > 1 else points


def _turned_back(x: Tensor, y: Tensor, angle: float) -> tuple[Tensor, Tensor]:
    """The points turned clockwise: what is drawn there turns the other way."""
    phase = math.radians(angle)
    c, s = round(math.cos(phase), 15), round(math.sin(phase), 15)
    return c * x + s * y, c * y - s * x


def noisy(pictures: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """The pictures with white Gaussian noise."""
    return pictures + sigma * running_noise(generator)(pictures)
