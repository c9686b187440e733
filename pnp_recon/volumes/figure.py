"""Pictures of a volume: its three middle planes, and a walk through its slices.

Slices are read one at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import OutputError
from pnp_recon.files import atomic_write
from pnp_recon.volumes.store import Shape, Store

if TYPE_CHECKING:
    from PIL.Image import Image

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
        OutputError: it is neither GIF nor MP4, or the library for MP4 is not there.
    """
    suffix = path.suffix.lower()
    if suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise OutputError(
                f"cannot write {path}: MP4 needs imageio-ffmpeg; pip install 'pnp-recon[film]', or "
                "give a name that ends in .gif"
            ) from error
    elif suffix != ".gif":
        raise OutputError(f"cannot write {path}: a film is a GIF or an MP4; give such a name")


def write_film(path: Path, store: Store, shape: Shape, limits: tuple[float, float]) -> None:
    """A walk through the slices, as a GIF or, by its name, an MP4; `limits` are black and white.

    Raises:
        OutputError: it cannot be written.
    """
    from PIL.Image import fromarray

    low, high = limits

    def frames() -> Iterator[Image]:
        step = -(-shape[0] // FRAMES)
        for place in range(0, shape[0], step):
            unit = np.nan_to_num((store.read(place) - low) / (high - low)).clip(0, 1)
            picture = fromarray((255 * unit).round().astype(np.uint8))
            picture.thumbnail((SIDE, SIDE))
            yield picture

    if path.suffix.lower() == ".mp4":
        _write_mp4(path, frames())
        return
    walk = frames()
    buffer = io.BytesIO()
    next(walk).save(buffer, "GIF", save_all=True, append_images=walk, duration=MILLISECONDS, loop=0)
    atomic_write(path, buffer.getvalue())


def _write_mp4(path: Path, walk: Iterator[Image]) -> None:
    """H.264 in 4:2:0, which every player knows and which wants even sides."""
    import imageio_ffmpeg

    with TemporaryDirectory() as folder:
        made = Path(folder) / "film.mp4"
        writer = None
        try:
            for picture in walk:
                if writer is None:
                    size = picture.width + picture.width % 2, picture.height + picture.height % 2
                    writer = imageio_ffmpeg.write_frames(
                        str(made), size, fps=1000 / MILLISECONDS, macro_block_size=1, quality=8
                    )
                    writer.send(None)
                # What is cropped beyond a border is black.
                frame = picture.crop((0, 0, size[0], size[1])).convert("RGB")
                writer.send(np.ascontiguousarray(frame).tobytes())
            if writer is not None:
                writer.close()
        except (OSError, RuntimeError) as error:
            raise OutputError(f"cannot write {path}: ffmpeg failed: {error}") from error
        atomic_write(path, made.read_bytes())
