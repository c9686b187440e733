"""Pictures of a volume: its three middle planes, and a walk through its slices.

Slices are read one at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import OutputError
from pnp_recon.files import atomic_write
from pnp_recon.volumes.store import Shape, Store

# A film has no more frames than this, no more pixels a side, and shows each for so long.
FRAMES, SIDE, MILLISECONDS = 240, 512, 80


def middle_planes(store: Store, shape: Shape) -> tuple[NDArray[np.float32], ...]:
    """The middle slice (H, W), and the planes (slices, W) and (slices, H) at right angles to it."""
    count, height, width = shape
    across = np.empty((count, width), np.float32)
    along = np.empty((count, height), np.float32)
    for place in range(count):
        one = store.read(place)
        across[place], along[place] = one[height // 2], one[:, width // 2]
    return store.read(count // 2), across, along


def views_png(
    store: Store, shape: Shape, limits: tuple[float, float], unit: str, step: int = 1
) -> bytes:
    """The three middle planes side by side, as the bytes of a PNG.

    Args:
        store: the volume.
        shape: (slices, H, W) of the volume.
        limits: values that are black and white.
        unit: what the values are in.
        step: distance of the slices in pixels of a slice, where rows of the detector lie as far
            apart as its columns.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    planes = middle_planes(store, shape)
    titles = ("middle slice", "middle rows of all slices", "middle columns of all slices")
    figure = Figure(figsize=(12, 4.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    for axis, plane, title, aspect in zip(axes, planes, titles, (1, step, step), strict=True):
        shown = axis.imshow(
            plane, cmap="gray", vmin=limits[0], vmax=limits[1], aspect=aspect, interpolation="none"
        )
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.colorbar(shown, ax=list(axes), label=unit, shrink=0.8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def check_film(path: Path) -> None:
    """Says before a run whether a film of that name can be written.

    Raises:
        OutputError: it is no GIF.
    """
    suffix = path.suffix.lower()
    if suffix == ".mp4":
        raise OutputError(
            f"cannot write {path}: none of the libraries that this package uses writes MP4; give "
            "a name that ends in .gif"
        )
    if suffix != ".gif":
        raise OutputError(f"cannot write {path}: a film is a GIF; give a name that ends in .gif")


def write_film(path: Path, store: Store, shape: Shape, limits: tuple[float, float]) -> None:
    """A walk through the slices as a GIF; `limits` are black and white.

    Raises:
        OutputError: it cannot be written.
    """
    from PIL import Image

    low, high = limits

    def frames() -> Iterator[Image.Image]:
        step = -(-shape[0] // FRAMES)
        for place in range(0, shape[0], step):
            unit = np.nan_to_num((store.read(place) - low) / (high - low)).clip(0, 1)
            picture = Image.fromarray((255 * unit).round().astype(np.uint8))
            picture.thumbnail((SIDE, SIDE))
            yield picture

    walk = frames()
    buffer = io.BytesIO()
    next(walk).save(buffer, "GIF", save_all=True, append_images=walk, duration=MILLISECONDS, loop=0)
    atomic_write(path, buffer.getvalue())
