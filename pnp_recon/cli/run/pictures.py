"""Picture files of the commands whose measurement is itself a picture.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from pnp_recon.cli.run.region import MIN_SIDE, Region
from pnp_recon.errors import InputError
from pnp_recon.pictures.files import Picture, read_picture, write_picture
from pnp_recon.report import SourceFile


def read_input(path: Path, known: Tensor | None = None) -> Picture:
    """The picture of a job, in its own range; `known` (1 or C, H, W) says where it is one.

    Raises:
        InputError: not a picture, or too small for one.
    """
    picture = read_picture(path, measured=True, known=known)
    height, width = picture.pixels.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{picture.source} is {width}×{height} pixels; expected at least {MIN_SIDE} on each "
            "side, give a larger picture"
        )
    return picture


def read_reference(path: Path, picture: Picture, flaw: str) -> Picture:
    """The true picture beside a degraded one; `flaw` says what it must be free of.

    Raises:
        InputError: its size or channels are others.
    """
    reference = read_picture(path, like=picture)
    if reference.pixels.shape != picture.pixels.shape:
        raise InputError(
            f"the reference {path} is {size_of(reference)} but {picture.source} is "
            f"{size_of(picture)}; expected the same picture without {flaw}"
        )
    return reference


def size_of(picture: Picture) -> str:
    channels, height, width = picture.pixels.shape[1:]
    return f"{width}×{height} {'grey' if channels == 1 else 'colour'}"


def range_lines(picture: Picture) -> tuple[str, ...]:
    """What a range of its own means for the options."""
    scale = picture.value_range
    if scale is None:
        return ()
    return (f"values: {scale.words}; --sigma is a share of that",)


def unknown_loss(picture: Picture) -> str:
    """What no estimate of the noise sees, as the end of its words; empty where nothing was lost."""
    if not picture.lossy:
        return ""
    return f"; what the {picture.lossy} file lost is not seen, give a larger --sigma if grain stays"


def source_file(role: str, picture: Picture) -> SourceFile:
    shape = tuple(picture.pixels.shape[1:])
    return SourceFile(role, picture.source, picture.sha256, shape, picture.bit_depth)


def writer(
    like: Picture, show: Callable[[Tensor], Tensor], overwrite: bool
) -> Callable[[Path, Tensor], list[str]]:
    """`Case.write` for pictures: the shown picture with the depth, alpha and profile of `like`.

    Where the result lacks a border, alpha loses it too.
    """

    def write(path: Path, image: Tensor) -> list[str]:
        shown = show(image).clamp(0, 1)
        alpha = None if like.alpha is None else _centre(like.alpha, *shown.shape[-2:])
        return write_picture(path, shown, replace(like, alpha=alpha), overwrite)

    return write


def part_of(picture: Picture, region: Region, size: tuple[int, int]) -> Picture:
    """The picture as `writer` needs it for a region of what is shown, of `size`; pixels stay."""
    if picture.alpha is None:
        return picture
    return replace(picture, alpha=_centre(picture.alpha, *size)[region.slices])


def _centre(alpha: Tensor, height: int, width: int) -> Tensor:
    top, left = (alpha.shape[-2] - height) // 2, (alpha.shape[-1] - width) // 2
    return alpha[..., top : top + height, left : left + width]
