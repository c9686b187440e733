"""A rectangle of a picture's pixels, and the options that ask for one. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from pnp_recon.cli.run.options import RunOptions
from pnp_recon.cli.run.plan import is_batch
from pnp_recon.errors import InputError

# Side of the crop that --preview solves.
PREVIEW = 512
# Below this a picture is all border.
MIN_SIDE = 8


@dataclass(frozen=True)
class Region:
    """Pixels [left, left + width) × [top, top + height), counted from 0 at the upper left."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[Any, slice, slice]:
        """The last two axes of a tensor (..., H, W)."""
        rows = slice(self.top, self.top + self.height)
        return ..., rows, slice(self.left, self.left + self.width)

    def grown(self, margin: tuple[int, int], size: tuple[int, int]) -> Region:
        """With (rows, columns) around it, as far as a picture of size (height, width) has them."""
        top, left = max(0, self.top - margin[0]), max(0, self.left - margin[1])
        bottom = min(size[0], self.top + self.height + margin[0])
        right = min(size[1], self.left + self.width + margin[1])
        return Region(left, top, right - left, bottom - top)

    def filled(self, least: tuple[int, int], size: tuple[int, int]) -> Region:
        """At least so many (rows, columns), where a picture of size (height, width) has them."""
        top, left, height, width = self.top, self.left, self.height, self.width
        if height < least[0] <= size[0]:
            top, height = min(top, size[0] - least[0]), least[0]
        if width < least[1] <= size[1]:
            left, width = min(left, size[1] - least[1]), least[1]
        return Region(left, top, width, height)

    def within(self, other: Region) -> Region:
        """The same pixels, counted from the corner of the other."""
        return Region(self.left - other.left, self.top - other.top, self.width, self.height)

    def fits(self, size: tuple[int, int]) -> bool:
        """Lies inside a picture of size (height, width)."""
        down, right = self.top + self.height, self.left + self.width
        return min(self.top, self.left) >= 0 and down <= size[0] and right <= size[1]

    def __str__(self) -> str:
        return f"{self.width}×{self.height} at {self.left},{self.top}"


def centre(size: tuple[int, int], side: int, place: float = 0.5) -> Region:
    """A square of at most `side` about the point at `place` of both sides of (height, width)."""
    height, width = (min(side, length) for length in size)
    top, left = (
        min(max(0, round(place * whole - part / 2)), whole - part)
        for whole, part in zip(size, (height, width), strict=True)
    )
    return Region(left, top, width, height)


def parse_region(text: str) -> Region:
    """The region that "x,y,w,h" means.

    Raises:
        InputError: anything but four whole numbers, x and y from 0, w and h from 8.
    """
    found = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", text)
    region = None if found is None else Region(*map(int, found.groups()))
    if region is None or min(region.width, region.height) < MIN_SIDE:
        raise InputError(
            f"--crop is {text!r}; expected x,y,w,h in whole pixels, the left upper corner first "
            f"and at least {MIN_SIDE} on each side, such as 800,600,512,512"
        )
    return region


@dataclass(frozen=True)
class PictureOptions(RunOptions):
    """The options of commands whose result is a picture of the size of the input."""

    # fmt: off
    crop: Annotated[str | None, typer.Option(
        "--crop", metavar="X,Y,W,H",
        help="Restore and write only this region, in pixels of the picture as displayed, from the "
        "upper left corner. A margin around it is restored as well and cut off. Noise and blur are "
        "still estimated from the whole picture.",
    )] = None
    preview: Annotated[bool, typer.Option(
        "--preview",
        help=f"Restore the central {PREVIEW}×{PREVIEW} pixels first and write them beside the "
        "result, as NAME_preview, with a sheet of before and after; then go on with the whole "
        "picture. Ctrl-C then ends the run, and the preview stays.",
    )] = False
    # fmt: on

    @property
    def region(self) -> Region | None:
        """What --crop asks for."""
        return None if self.crop is None else parse_region(self.crop)

    def check(self) -> None:
        super().check()
        if self.region is not None and self.preview:
            raise InputError("--crop and --preview both restore a part; give one of them")
        if self.region is not None and is_batch(self):
            raise InputError("--crop is a region of one picture; give one picture at a time")
