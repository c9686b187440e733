"""What was measured: one slice of k-space, and what is known of it. Reads no files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True, eq=False)
class KSpace:
    """One slice of k-space, zero frequency at (H // 2, W // 2).

    Attributes:
        data: (coils, H, W) complex64; zero where not measured.
        coils: there are several coils, or maps of one.
        mask: (H, W), True where measured: as the file says, else where `data` is not zero.
        maps: coil maps (coils, H, W) of the file, or None.
        reference: the modulus of a picture (h, w) that the file holds, or None.
        source: the file; sha256: the hash of its bytes, hexadecimal.
        index, slices: which slice it is, and how many there are.
        words: what the file is, for people.
        doubts: what may be wrong with what was read, a sentence each.
    """

    data: Tensor
    coils: bool
    mask: Tensor
    maps: Tensor | None
    reference: Tensor | None
    source: Path
    sha256: str
    index: int
    slices: int
    words: str
    doubts: tuple[str, ...] = ()
