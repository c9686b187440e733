"""Measure the motion estimator on BSDS500, and print the tables that the docs quote.

    python -m scripts.tables.motion_estimation --data ../shared/data/bsds500            # accuracy
    python -m scripts.tables.motion_estimation --data ../shared/data/bsds500 --confidence

The first measures 20 pictures of val without BSD68: random length and angle, no wrap-around (only
the valid part of the blur is kept), noise added, nothing rounded. The second measures on train what
a confidence means, with pictures that were not blurred by a motion at all among them.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from operators.kernels import disk, gaussian, linear_motion, trajectory
from pnp_recon.datasets.splits import training_pictures, validation_pictures
from pnp_recon.estimation.motion import MotionEstimate, estimate_motion
from pnp_recon.problems.noise import seeded
from pnp_recon.problems.running import running_noise

Draw = Callable[[random.Random], tuple[float, float, Tensor]]
"""Draws a length (0: not a motion), an angle, and the kernel."""

ANGLE_LIMIT, LENGTH_LIMIT = 3.0, 1.5


@dataclass(frozen=True)
class Trial:
    name: str
    length: float  # 0: not a motion, no estimate can be right
    angle: float
    estimate: MotionEstimate
    seconds: float

    @property
    def angle_error(self) -> float:
        difference = abs(self.estimate.angle - self.angle) % 180
        return min(difference, 180 - difference)

    @property
    def length_error(self) -> float:
        return abs(self.estimate.length - self.length)

    @property
    def right(self) -> bool:
        close = self.angle_error <= ANGLE_LIMIT and self.length_error <= LENGTH_LIMIT
        return self.length > 0 and close


def pictures(data: Path, split: str, count: int, seed: int) -> list[Path]:
    """A random choice from a split, the pictures of BSD68 left out."""
    val = split == "val"
    paths = validation_pictures(data) if val else training_pictures(data, hold_back=True)
    return random.Random(seed).sample(paths, count)


def read(path: Path | io.BytesIO) -> Tensor:
    array = np.array(Image.open(path).convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """The valid part of the convolution: no border rule is involved."""
    weights = kernel.flip(0, 1).expand(image.shape[1], 1, -1, -1)
    return torch.nn.functional.conv2d(image, weights, groups=image.shape[1])


def through_jpeg(image: Tensor, quality: int) -> Tensor:
    levels = (image[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=quality)
    return read(file)


def trials(
    paths: list[Path],
    noise: float,
    seed: int,
    draw: Draw,
    told: bool = True,
    quality: int | None = None,
) -> list[Trial]:
    """Blur each picture by a kernel of `draw`, add noise, estimate.

    `told`: the estimator is given the noise level; `quality`: stored as a JPEG file in between.
    """
    choice, generator = random.Random(seed), seeded(seed)
    results = []
    for path in paths:
        length, angle, kernel = draw(choice)
        blurred = blur(read(path), kernel)
        blurred = blurred + noise / 255 * running_noise(generator)(blurred)
        if quality is not None:
            blurred = through_jpeg(blurred, quality)
        start = time.process_time()
        estimate = estimate_motion(blurred, noise / 255 if told else None)
        results.append(Trial(path.stem, length, angle, estimate, time.process_time() - start))
    return results


def motion(low: float, high: float) -> Draw:
    def draw(choice: random.Random) -> tuple[float, float, Tensor]:
        length, angle = choice.uniform(low, high), choice.uniform(0, 180)
        return length, angle, linear_motion(length, angle)

    return draw


def accuracy(data: Path, count: int, seed: int, noise: float) -> None:
    rows = trials(pictures(data, "val", count, seed), noise, seed, motion(9, 25))
    print(f"val without BSD68, seed {seed}, length 9-25, noise {noise:g}/255, noise level given")
    print("picture    length  angle | estimated      | angle err  length err | confidence  seconds")
    for t in rows:
        print(
            f"{t.name:>8} {t.length:8.2f} {t.angle:6.1f} | {t.estimate.length:6.2f}"
            f" {t.estimate.angle:7.2f} | {t.angle_error:9.2f} {t.length_error:11.2f} |"
            f" {t.estimate.confidence:10.2f} {t.seconds:8.2f}"
        )
    for name, errors in (
        ("angle error, degrees", [t.angle_error for t in rows]),
        ("length error, pixels", [t.length_error for t in rows]),
        ("CPU seconds", [t.seconds for t in rows]),
    ):
        print(f"{name:>22}: median {statistics.median(errors):.2f}, largest {max(errors):.2f}")


def confidence(data: Path, count: int, seed: int) -> None:
    """Per condition: how many are right, the confidence, and what is right among the confident."""

    def still(kernel: Callable[[random.Random], Tensor]) -> Draw:
        return lambda choice: (0.0, 0.0, kernel(choice))

    # name, noise·255, is the noise level told, quality of the JPEG file if any, kernel
    conditions: list[tuple[str, float, bool, int | None, Draw]] = [
        ("motion 9-25", 2.55, True, None, motion(9, 25)),
        ("motion 9-25, noise not told", 2.55, False, None, motion(9, 25)),
        ("motion 9-25, JPEG 85", 1.0, False, 85, motion(9, 25)),
        ("motion 25-38", 2.55, True, None, motion(25, 38)),
        ("motion 4-9", 2.55, True, None, motion(4, 9)),
        ("motion 9-25", 15.3, True, None, motion(9, 25)),
        ("motion 9-25", 51.0, True, None, motion(9, 25)),
        ("sharp", 2.55, True, None, still(lambda _: torch.ones(1, 1))),
        ("sharp, JPEG 85", 0.0, False, 85, still(lambda _: torch.ones(1, 1))),
        ("Gaussian 1-4", 2.55, True, None, still(lambda r: gaussian(r.uniform(1, 4)))),
        ("disc 2-7", 2.55, True, None, still(lambda r: disk(r.uniform(2, 7)))),
        ("shake 25x25", 2.55, True, None, still(lambda r: trajectory(25, r.randrange(10**6)))),
        ("noise alone", 255.0, True, None, still(lambda _: torch.ones(1, 1))),
    ]
    print(
        f"train, seed {seed}, {count} pictures each; right: {ANGLE_LIMIT:g} degrees and"
        f" {LENGTH_LIMIT:g} pixels"
    )
    print(
        "condition                    noise | right | confidence min/median/max | >= 0.5: right of"
    )
    everything = []
    for index, (name, noise, told, quality, draw) in enumerate(conditions):
        rows = trials(
            pictures(data, "train", count, seed + index), noise, seed + index, draw, told, quality
        )
        everything += rows
        values = [t.estimate.confidence for t in rows]
        sure = [t for t in rows if t.estimate.confidence >= 0.5]
        print(
            f"{name:28} {noise:5.2f} | {sum(t.right for t in rows):2d}/{len(rows):2d} |"
            f" {min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f}        |"
            f" {sum(t.right for t in sure):2d} of {len(sure):2d}",
            flush=True,
        )
    for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.01)):
        inside = [t.right for t in everything if low <= t.estimate.confidence < high]
        print(f"confidence {low:.2f}-{min(high, 1):.2f}: {sum(inside)} right of {len(inside)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of BSDS500")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=2.55, help="sigma*255 of the accuracy table")
    parser.add_argument(
        "--confidence", action="store_true", help="what a confidence means, on train"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)  # the seconds of the table are those of one core
    if args.confidence:
        confidence(args.data, args.count, args.seed)
    else:
        accuracy(args.data, args.count, args.seed, args.noise)


if __name__ == "__main__":
    main()
