"""Pictures with classes: scikit-learn's digits, CIFAR-10, or a folder with a folder for each class.

All as uint8 (N, C, H, W), square and of one size; everything is held in memory.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pnp_recon.datasets.folders import load_stack
from pnp_recon.errors import InputError

DIGITS = "digits"
# The digits are split once for all: the first 1300 of a permutation are trained on.
DIGITS_TRAINED, DIGITS_SEED = 1300, 0
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
# All that a CIFAR-10 batch is made of; nothing else that a pickle may name is called.
HARMLESS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


@dataclass(frozen=True, eq=False)
class Labelled:
    """Pictures uint8 (N, C, H, W) with levels from 0 to `white`, and their classes int64 (N,)."""

    pictures: Tensor
    labels: Tensor
    white: int = 255

    def __len__(self) -> int:
        return len(self.labels)

    def scaled(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The pictures in [0, 1]."""
        return self.pictures.to(dtype) / self.white

    def chunks(self, size: int) -> Iterator[Labelled]:
        """Parts of up to `size` pictures."""
        for part in torch.arange(len(self)).split(size):
            yield self.part(part)

    def part(self, chosen: Tensor) -> Labelled:
        """Those with the given numbers."""
        return Labelled(self.pictures[chosen], self.labels[chosen], self.white)


@dataclass(frozen=True, eq=False)
class LabelledData:
    """What a classifier is trained and measured on.

    Attributes:
        training, validation: the latter is the data set's own test part, or held out.
        classes: how many there are; `names` are theirs, in the order of the labels.
        description: number of pictures, SHA-256, how it was split.
    """

    training: Labelled
    validation: Labelled
    classes: int
    names: tuple[str, ...]
    description: dict[str, Any]


def is_digits(data: Path) -> bool:
    """Are scikit-learn's digits meant: that name, and no such file or folder?"""
    return data.name == DIGITS and not data.exists()


def load_labelled(data: Path, hold_out: int | None = None) -> LabelledData:
    """Reads pictures and classes into memory.

    Args:
        data: "digits", a folder with CIFAR-10's batches (the python or the binary version), or one
            with a folder of pictures for each class.
        hold_out: so many training pictures are held out for the validation, evenly spaced. None:
            the test part of the digits (497) or of CIFAR-10 (10 000) is validated on, and of
            another folder a tenth is held out.

    Raises:
        InputError: missing or damaged files, pictures of several sizes, or too few of them.
    """
    if is_digits(data):
        training, test, names, how = _digits()
    elif list(data.glob("data_batch_*")):
        training, test, names, how = _cifar(data)
    else:
        training, test, names, how = _folders(data)
    if hold_out is None and not len(test):
        hold_out = max(1, len(training) // 10)
    if hold_out is not None:
        if not 0 <= hold_out < len(training):
            raise InputError(
                f"{hold_out} pictures are to be held out of {len(training)}; expected 0 to "
                f"{len(training) - 1}"
            )
        out = torch.zeros(len(training), dtype=torch.bool)
        out[torch.linspace(0, len(training) - 1, hold_out).long()] = True
        test, training = training.part(out.nonzero()[:, 0]), training.part((~out).nonzero()[:, 0])
        how += f", {len(test)} of them held out"
    digest = hashlib.sha256(training.pictures.numpy().tobytes())
    digest.update(training.labels.numpy().tobytes())
    description = {
        "pictures": len(training),
        "selection": how,
        "sha256_of_pictures": digest.hexdigest(),
        "validation_pictures": len(test),
        "class_names": list(names),
    }
    return LabelledData(training, test, len(names), names, description)


def _digits() -> tuple[Labelled, Labelled, tuple[str, ...], str]:
    """1797 pictures of 8×8 with the levels 0 to 16."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(
            "the digits come with scikit-learn, which is not installed; pip install "
            "'pnp-recon[studies]'"
        ) from error
    levels, labels = load_digits(return_X_y=True)
    pictures = torch.as_tensor(levels).view(-1, 1, 8, 8).to(torch.uint8)
    whole = Labelled(pictures, torch.as_tensor(labels).long(), 16)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(DIGITS_SEED))
    how = f"{DIGITS_TRAINED} of scikit-learn's digits (permutation of seed {DIGITS_SEED})"
    first, rest = order[:DIGITS_TRAINED], order[DIGITS_TRAINED:]
    return whole.part(first), whole.part(rest), tuple("0123456789"), how


def _cifar(folder: Path) -> tuple[Labelled, Labelled, tuple[str, ...], str]:
    training = [_batch(path) for path in sorted(folder.glob("data_batch_*"))]
    tests = [_batch(path) for path in sorted(folder.glob("test_batch*"))]
    if not tests:
        raise InputError(f"{folder} holds no test_batch; unpack CIFAR-10 again")
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    return _joined(training), _joined(tests), tuple(names), "CIFAR-10"


def _batch(path: Path) -> Labelled:
    """One file of CIFAR-10: a label and 3072 bytes each, or the same in a pickle."""
    try:
        data = path.read_bytes()
        if path.suffix == ".bin":
            rows = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(-1, 3073)
            pixels, labels = rows[:, 1:], rows[:, 0]
        else:
            held = _Reader(io.BytesIO(data), encoding="bytes").load()
            pixels, labels = torch.as_tensor(held[b"data"]), torch.as_tensor(held[b"labels"])
        pictures = pixels.reshape(-1, 3, 32, 32).to(torch.uint8)
        found = labels.long()
        if len(pictures) != len(found) or int(found.min()) < 0 or int(found.max()) > 9:
            raise ValueError("labels that do not fit")
    except Exception as error:  # damaged bytes raise nearly anything in the unpickler
        raise InputError(f"{path} is no batch of CIFAR-10: {error}") from error
    return Labelled(pictures, found)


class _Reader(pickle.Unpickler):
    """Makes arrays, lists and texts, and refuses whatever else a pickle would call."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in HARMLESS:
            raise InputError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _folders(folder: Path) -> tuple[Labelled, Labelled, tuple[str, ...], str]:
    names = (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )
    if len(names) < 2:
        raise InputError(
            f"{folder} holds no data with classes; expected the batches of CIFAR-10, two or more "
            f"folders of pictures, or the name {DIGITS}"
        )
    parts = []
    for label, name in enumerate(names):
        paths = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise InputError(f"{folder / name} holds no pictures")
        stack = load_stack(paths, grey=False)
        sizes = {tuple(picture.shape[-2:]) for picture in stack}
        if len(sizes) > 1 or len(set(next(iter(sizes)))) > 1:
            raise InputError(
                f"the pictures in {folder / name} have the sizes {sorted(sizes)}; expected one "
                "square size"
            )
        parts.append(Labelled(torch.stack(stack), torch.full((len(stack),), label)))
    if len({part.pictures.shape[1:] for part in parts}) > 1:
        raise InputError(f"the folders in {folder} hold pictures of several sizes")
    nothing = parts[0].part(torch.zeros(0, dtype=torch.long))
    return _joined(parts), nothing, tuple(names), "a folder for each class"


def _joined(parts: list[Labelled]) -> Labelled:
    pictures = torch.cat([part.pictures for part in parts])
    return Labelled(pictures, torch.cat([part.labels for part in parts]))
