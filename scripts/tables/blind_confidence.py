"""How often the confidence of an estimated kernel is right: crops that are blurred, and sharp ones.

    python -m scripts.tables.blind_confidence --data BSDS500         # goes on where it stopped
    python -m scripts.tables.blind_kernels --data BSDS500 report     # the page

Of pictures of BSDS500 val outside BSD68 a crop of 200² pixels, grey, blurred by a seeded
trajectory of 9 to 27 pixels with noise of 2.55/255 or half of it, and another one that is not
blurred: as it is, stored as JPEG of quality 90 or 75, or with noise of 2.55/255. All are rounded to
8 bits. A kernel is usable where the squared error with it is below three times that with the true
one (`blind_kernels`). The confidence was placed on train pictures.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from operators.kernels import trajectory
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.estimation.kernel import estimate_kernel
from pnp_recon.estimation.kernel.judge import deconvolved
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.problems.noise import table_scan_noise
from scripts.protocol import environment, read_rows, write_rows
from scripts.tables.blind_kernels import CONFIDENCE as TABLE
from scripts.tables.blind_kernels import NOISE, squared_error

SIDE = 200
SIZES = (9, 11, 13, 15, 17, 19, 21, 23, 25, 27)
KINDS = ("plain", "jpeg90", "noisy", "jpeg75")
COLUMNS = (
    "picture", "kind", "size", "ratio", "confidence", "agreement", "steepness", "versions",
)  # fmt: skip


def cases(path: Path, index: int) -> dict[str, tuple[Tensor, Tensor, Tensor | None]]:
    """Kind -> picture (H, W) as stored, true picture, kernel or None."""
    sharp, seed = to_grey(read_picture(path).pixels)[0, 0], 5000 + index
    kernel = trajectory(SIZES[3 * index % len(SIZES)], seed)
    radius = kernel.shape[0] // 2
    draw = table_scan_noise(seed)
    whole = _crop(sharp, SIDE + 2 * radius, 1 / 3)
    y = functional.conv2d(whole[None, None], kernel.flip(0, 1)[None, None])[0, 0]
    y = y + (NOISE if index % 2 else NOISE / 2) * draw(y)
    kind, part = KINDS[index % len(KINDS)], _crop(sharp, SIDE, 2 / 3)
    if kind == "noisy":
        stored = _rounded(part + NOISE * draw(part))
    elif kind == "plain":
        stored = _rounded(part)
    else:
        stored = _jpeg(part, int(kind.removeprefix("jpeg")))
    truth = whole[radius:-radius, radius:-radius]
    return {"blurred": (_rounded(y), truth, kernel), kind: (stored, part, None)}


def _crop(picture: Tensor, side: int, place: float) -> Tensor:
    top, left = (int(place * (length - side)) for length in picture.shape)
    return picture[top : top + side, left : left + side]


def _rounded(picture: Tensor) -> Tensor:
    return (255 * picture.clamp(0, 1)).round() / 255


def _jpeg(picture: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray((255 * picture.clamp(0, 1)).round().byte().numpy()).save(
        file, "JPEG", quality=quality
    )
    return torch.from_numpy(np.array(Image.open(file), dtype=np.float32) / 255)


def measure(kind: str, y: Tensor, truth: Tensor, kernel: Tensor | None) -> dict[str, str]:
    found = estimate_kernel(y[None, None])
    row = {"kind": kind, "size": "", "ratio": "", "versions": environment()}
    if kernel is not None:
        errors = [
            squared_error(deconvolved(y, k, NOISE), truth) for k in (found.kernel.float(), kernel)
        ]
        row |= {"size": str(kernel.shape[0]), "ratio": f"{errors[0] / errors[1]:.3f}"}
    numbers = ("confidence", "agreement", "steepness")
    return row | {name: f"{getattr(found, name):.3f}" for name in numbers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of BSDS500")
    parser.add_argument("--count", type=int, default=32, help="pictures; those of blind_kernels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_rows(TABLE)
    done = {(row["picture"], row["kind"]) for row in rows}
    for index, path in enumerate(validation_pictures(args.data)[: args.count]):
        for kind, case in cases(path, index).items():
            if (path.stem, kind) not in done:
                row = measure(kind, *case) | {"picture": path.stem}
                print(*(row[name] for name in COLUMNS[:-1]), flush=True)
                rows.append({name: row[name] for name in COLUMNS})
                write_rows(TABLE, rows)


if __name__ == "__main__":
    main()
