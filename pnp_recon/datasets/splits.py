"""Which picture may be used for what is decided here and nowhere else: to train, to tune, to test.

Pictures stay where they are; nothing is downloaded or decoded here: scripts/data/fetch_bsds500.py
lays BSDS500 out, `folders` reads pictures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pnp_recon.datasets import bsds500
from pnp_recon.datasets.bsds500 import BSD68, Bsds500
from pnp_recon.errors import InputError
from pnp_recon.files import expand_inputs

SPLITS = ("train", "validation", "test", "bsd68")


@dataclass(frozen=True)
class PictureFolder:
    """One split of a folder of pictures; the paths are listed and checked when it is made.

    Splits of BSDS500: "train" (200 of `train` and the 32 of `val` that are not in BSD68),
    "validation" (those 32), "test" (200 of `test`), "bsd68". Any other folder has "train" only:
    all its pictures.

    Raises:
        InputError: the folder or a picture of the split is missing; the message says what BSDS500
            is, how it is laid out and how to get it.
    """

    path: Path
    split: str = "train"

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if self.split not in SPLITS:
            raise InputError(f"split is {self.split!r}; expected one of {', '.join(SPLITS)}")
        object.__setattr__(self, "_paths", tuple(_list(self.path, self.split)))

    @property
    def paths(self) -> list[Path]:
        paths: tuple[Path, ...] = self.__dict__["_paths"]
        return list(paths)

    def __len__(self) -> int:
        return len(self.paths)


def training_pictures(folder: str | Path, *, hold_back: bool = False) -> list[Path]:
    """The 232 pictures of BSDS500 that may be trained on, or all pictures of any other folder.

    With `hold_back` the 32 `validation_pictures` are left out (200 remain), so that they can
    be tuned on; another folder has none to hold back.
    """
    paths = PictureFolder(Path(folder), "train").paths
    if not (hold_back and is_bsds500(folder)):
        return paths
    held = set(validation_pictures(folder))
    return [path for path in paths if path not in held]


def validation_pictures(folder: str | Path) -> list[Path]:
    """The 32 pictures of BSDS500 `val` that are not in BSD68: the only ones to tune on."""
    return PictureFolder(Path(folder), "validation").paths


def test_pictures(folder: str | Path) -> list[Path]:
    """The 200 pictures of BSDS500 `test`. For figures only, never for training or tuning."""
    return PictureFolder(Path(folder), "test").paths


def bsd68(folder: str | Path) -> list[Path]:
    """The 68 pictures of BSD68. For figures only, never for training or tuning."""
    return PictureFolder(Path(folder), "bsd68").paths


# Called `test_...` because the split is; pytest shall not take it for one of its own.
test_pictures.__test__ = False  # type: ignore[attr-defined]


def is_bsds500(folder: str | Path) -> bool:
    """Whether the folder holds BSDS500 in one of the layouts of `bsds500.find`, whole or not."""
    return bsds500.find(folder) is not None


def _list(folder: Path, split: str) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; {bsds500.HELP}")
    pictures = bsds500.find(folder)
    if pictures is None:
        return _list_other(folder, split)
    if split == "test":
        return pictures.part("test")
    _check_listing(pictures)
    if split == "bsd68":
        return pictures.part("val", BSD68)
    rest = pictures.part("val", {Path(name).stem for name in bsds500.names("val")} - {*BSD68})
    return rest if split == "validation" else pictures.part("train") + rest


def _list_other(folder: Path, split: str) -> list[Path]:
    """The pictures of a folder that is not BSDS500, if they may be used for `split`."""
    _, val, test = present = bsds500.flat_counts(folder)
    if split != "train":
        found = f"found: {bsds500.count_text(present)}; " if any(present) else ""
        raise InputError(
            f"{folder} is not BSDS500, which {split!r} needs; {found}{bsds500.HELP}. Of any other "
            "folder of pictures, all are taken"
        )
    if val or test:
        raise InputError(
            f"{folder} holds the {'val' if val else 'test'} pictures of BSDS500; train on the "
            "folder that holds train, val and test, of which the permitted pictures are taken"
        )
    return expand_inputs([folder])


def _check_listing(pictures: Bsds500) -> None:
    """A `bsd68.json` that lies in the folder must name the same 68: two truths would be one lie."""
    listing = pictures.root / "bsd68.json"
    if not listing.exists():
        return
    try:
        names = {
            str(name).rsplit("/", 1)[-1]
            for name in json.loads(listing.read_text(encoding="utf-8"))["bsd68"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{listing} cannot be read ({error}); expected {{'bsd68': ['val/101085', ...]}}, "
            "delete it: the list is built in"
        ) from error
    if names != set(BSD68):
        raise InputError(
            f"{listing} names other pictures than the 68 of BSD68; delete it: the list is built in"
        )


def held_out(count: int, number: int) -> list[int]:
    """Indices of `number` of `count` pictures, evenly spaced in the sorted list."""
    return [(2 * i + 1) * count // (2 * number) for i in range(number)]
