"""Which pictures a benchmark runs on, and how each of them is read.

A picture's name does not say where the data lie on this machine: "val/101085.jpg" in BSDS500, a
path below the folder in any other, "val[3]" in an archive of CT slices. Two people's tables of the
same pictures therefore have the same rows. Choosing opens no picture: one that is damaged fails in
its own cells and stops nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jaxtyping import Float
from torch import Tensor

from pnp_recon.datasets import bsds500, splits
from pnp_recon.datasets.folders import load_float
from pnp_recon.errors import InputError
from pnp_recon.files import PICTURE_SUFFIXES, expand_inputs
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.scans.slices import archive_splits, read_slice
from pnp_recon.scans.window import HOUNSFIELD_WINDOW, Window

Pictures = tuple[tuple[str, int], ...]

# "val" is tuned on and holds the 32 pictures of BSDS500 `val` that are not in BSD68.
_BSDS500 = {
    "bsd68": splits.bsd68,
    "test": splits.test_pictures,
    "val": splits.validation_pictures,
}
# Every picture of a folder that is not BSDS500, every slice of an archive without splits.
_ALL = "all"

_SLICES = (*PICTURE_SUFFIXES, ".dcm", ".ima")
_ARCHIVE = ".npz"


def select(data: Path, split: str | None, images: int | None, suite: str) -> tuple[str, Pictures]:
    """The split that is meant, and the pictures of it that are run.

    Args:
        data: BSDS500, any other folder of pictures, or one picture; for the suite "ct" an .npz
            archive of slices, a folder that holds one, or a folder of slices.
        split: "bsd68" (the default), "test" or "val" of BSDS500; "all" of any other folder; for an
            archive the splits that it names, "val" by default. None: the default.
        images: how many, evenly spaced in the sorted split; None or more than there are: all.
        suite: name of the suite; "ct" runs on slices, every other one on pictures.

    Returns:
        the split, and name and index of each picture. The index counts in the whole split, so that
        the noise of a picture does not depend on `images`.

    Raises:
        InputError: no such folder or split, no pictures in it, or `images` is less than 1.
    """
    if images is not None and images < 1:
        raise InputError(f"{images} pictures were asked for; expected 1 or more, or all")
    found, names = _slices(data, split) if suite == "ct" else _pictures(data, split)
    count = len(names)
    chosen: Sequence[int] = range(count)
    if images is not None and images < count:
        chosen = splits.held_out(count, images)
    return found, tuple((names[index], index) for index in chosen)


def tuning_split(data: Path, suite: str) -> str | None:
    """The split that parameters are searched on, of which no table is made.

    "val" of BSDS500, "train" of an archive that names splits; None, which is everything, of data
    that have none.

    Args:
        data, suite: as for `select`.

    Raises:
        InputError: the archive is damaged.
    """
    if suite != "ct":
        return "val" if splits.is_bsds500(data) else None
    archive = _archive(data)
    return "train" if archive is not None and any(archive_splits(archive)) else None


def read(
    data: Path, split: str, name: str, channels: int, crop: int | None
) -> Float[Tensor, "1 C H W"]:
    """A picture as float32 (1, C, H, W) in [0, 1], as `load_float` gives it.

    Args:
        data, split, name: as given to and by `select`.
        channels: 1 (grey, not rounded) or 3.
        crop: side of the central crop in pixels; a shorter side is kept whole. None: no crop.

    Raises:
        InputError: the picture is missing or damaged (the message names the file), `name` points
            out of `data`, or channels or crop are out of range.
    """
    if channels not in (1, 3) or (crop is not None and crop < 1):
        raise InputError(
            f"{channels} channels, crop {crop}; expected 1 or 3 channels and a crop of 1 or more"
        )
    pixels = load_float(_path(data, split, name), grey=channels == 1)
    return pixels if crop is None else centre_crop(pixels, crop).contiguous()


def is_colour(data: Path, split: str, name: str) -> bool:
    """Does a picture hold colours? Not where it cannot be read: its own cells say so.

    Args:
        data, split, name: as given to and by `select`.
    """
    try:
        pixels = read(data, split, name, 3, None)
    except InputError:
        return False
    return bool((pixels != pixels[:, :1]).any())


def read_slice_values(data: Path, split: str, name: str) -> Float[Tensor, "1 1 H W"]:
    """A CT slice as float32 (1, 1, H, W) in HU.

    A picture has no unit: its [0, 1] becomes the window −1024 to 1500 HU.

    Raises:
        InputError: the slice is missing or damaged, or `name` points out of `data`.
    """
    archive = _archive(data)
    if archive is None:
        found = read_slice(_path(data, split, name))
    else:
        match = re.fullmatch(r"(.+)\[(\d+)\]", name)
        if match is None or match[1] != split:
            raise InputError(f"{name!r} is no slice of {archive}; expected such as '{split}[0]'")
        found = read_slice(archive, int(match[2]), None if split == _ALL else split)
    if found.unit == "picture":
        return Window(*HOUNSFIELD_WINDOW).from_unit(found.values)
    return found.values


def _pictures(data: Path, split: str | None) -> tuple[str, list[str]]:
    """The split, and the names of all its pictures."""
    if splits.is_bsds500(data):
        split = split or "bsd68"
        if split not in _BSDS500:
            raise InputError(
                f"split is {split!r}; {data} is BSDS500, expected one of {', '.join(_BSDS500)}"
            )
        paths = _BSDS500[split](data)
        return split, [bsds500.key_of(path) for path in paths]
    if split in _BSDS500:
        _BSDS500[split](data)  # says what BSDS500 is and what was found instead
    return _whole(data, split, PICTURE_SUFFIXES)


def _slices(data: Path, split: str | None) -> tuple[str, list[str]]:
    archive = _archive(data)
    if archive is None:
        return _whole(data, split, _SLICES)
    known = [name or _ALL for name in archive_splits(archive)]
    split = split or ("val" if "val" in known else known[0])
    count = known.count(split)
    if count == 0:
        raise InputError(
            f"{archive} has no split {split!r}; expected one of {', '.join(sorted(set(known)))}"
        )
    return split, [f"{split}[{index}]" for index in range(count)]


def _whole(data: Path, split: str | None, suffixes: tuple[str, ...]) -> tuple[str, list[str]]:
    """All pictures of a folder that has no splits, or the one picture given."""
    if split not in (None, _ALL):
        raise InputError(
            f"split is {split!r}, but {data} has no splits; leave it out, or take 'all': its "
            "pictures"
        )
    if not data.exists():  # a glob, of which `read` would not find the files again
        raise InputError(f"{data} does not exist; expected a folder of pictures, check the path")
    paths = expand_inputs([data], suffixes)
    return _ALL, [path.name for path in paths]


def _path(data: Path, split: str, name: str) -> Path:
    """The file of a name that `select` gave; never one outside of `data`."""
    parts = PurePosixPath(name)
    if not parts.parts or parts.is_absolute() or ".." in parts.parts or "\\" in name:
        raise InputError(f"{name!r} is no name of a picture in {data}; expected one below it")
    pictures = bsds500.find(data) if split in _BSDS500 else None
    if pictures is not None:
        return pictures.file(name)
    return data.parent / parts if data.is_file() else data / parts


def _archive(data: Path) -> Path | None:
    """The .npz of slices that `data` is or holds."""
    if data.suffix.lower() == _ARCHIVE:
        return data
    if not data.is_dir():
        return None
    found = sorted(path for path in data.iterdir() if path.suffix.lower() == _ARCHIVE)
    if len(found) > 1:
        raise InputError(
            f"{data} holds {len(found)} archives of slices ({found[0].name}, {found[1].name} ...); "
            "give one of them"
        )
    return found[0] if found else None
