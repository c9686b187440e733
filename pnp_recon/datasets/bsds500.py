"""BSDS500 on disk: how its folder may be laid out, and where a picture lies in it.

What is BSDS500 is decided by the names of its 500 pictures, which come with their SHA-256 from
`data/bsds500.sha256`. Which picture may be used for what is decided in `splits`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pnp_recon.errors import InputError
from pnp_recon.files import PICTURE_SUFFIXES, shipped

# The test set of Roth & Black (2009) as Zhang et al. (2017) use it: 68 pictures of BSDS500 `val`.
BSD68: tuple[str, ...] = tuple(
    """
    101085 101087 102061 103070 105025 106024 108005 108070 108082 109053 119082 12084 123074
    126007 130026 134035 14037 143090 145086 147091 148026 148089 157055 159008 160068 16077
    163085 167062 167083 170057 175032 175043 182053 189080 19021 196073 197017 208001 210088
    21077 216081 219090 220075 223061 227092 229036 236037 24077 241004 241048 253027 253055
    260058 271035 285079 291000 295087 296007 296059 299086 300091 302008 304034 304074 306005
    3096 33039 351093
    """.split()  # noqa: SIM905 (68 quoted lines say less)
)

PARTS = ("train", "val", "test")

# Where train/, val/ and test/ lie below BSR, below BSDS500 and so on, as Berkeley packed them.
_INSIDE = ("", "images", "data/images", "BSDS500/data/images", "BSR/BSDS500/data/images")

HELP = (
    "BSDS500 (Arbeláez, Maire, Fowlkes & Malik 2011, Berkeley) holds train/ (200 pictures), val/ "
    "(100) and test/ (200) as .jpg, or all 500 side by side; get it with: python "
    "scripts/data/fetch_bsds500.py --to FOLDER"
)


@cache
def checksums() -> Mapping[str, str]:
    """{"train/100075.jpg": SHA-256, ...} of the 500 pictures; their part and name is their key."""
    lines = shipped("bsds500.sha256").read_text(encoding="utf-8").splitlines()
    return {key: digest for digest, key in (line.split() for line in lines if line.strip())}


def names(part: str) -> set[str]:
    """File names of the pictures of "train", "val" or "test"; no two of BSDS500 share one."""
    return {key.partition("/")[2] for key in checksums() if key.startswith(f"{part}/")}


def key_of(path: Path) -> str:
    """ "val/101085.jpg" of that picture, wherever it lies. KeyError: it is not of BSDS500."""
    return {key.partition("/")[2]: key for key in checksums()}[path.name]


@dataclass(frozen=True)
class Bsds500:
    """A folder of BSDS500, perhaps incomplete.

    Attributes:
        root: holds train/, val/ and test/, or the pictures themselves.
        flat: the pictures lie side by side in `root`.
    """

    root: Path
    flat: bool

    def file(self, key: str) -> Path:
        """Where the picture "val/101085.jpg" lies or ought to lie."""
        return self.root / (key.partition("/")[2] if self.flat else key)

    def found(self, part: str) -> list[Path]:
        """The pictures of a part that are there, by name; other files are passed over."""
        return _known(self.root if self.flat else self.root / part, part)

    def part(self, part: str, stems: Collection[str] | None = None) -> list[Path]:
        """All pictures of "train", "val" or "test" by name, or those of these stems.

        Raises:
            InputError: some are missing; says which, and what of the other parts is there.
        """
        wanted = names(part)
        if stems is not None:
            wanted &= {f"{stem}.jpg" for stem in stems}
        paths = [path for path in self.found(part) if path.name in wanted]
        missing = sorted(wanted - {path.name for path in paths})
        if missing:
            place = self.root if self.flat else self.root / part
            of_it = f" of {part}" if self.flat else ""
            of_it += "" if stems is None else " that are asked for"
            raise InputError(
                f"{place} holds {len(paths)} pictures{of_it}; expected {len(wanted)} "
                f"({missing[0]} and {len(missing) - 1} more missing; found in all: "
                f"{count_text(len(self.found(one)) for one in PARTS)}). {HELP}"
            )
        return paths


def find(folder: str | Path) -> Bsds500 | None:
    """BSDS500 in a folder, laid out in any of the known ways, or None.

    Known are train/, val/ and test/ in the folder, also further inside where Berkeley's archive has
    them (BSR/BSDS500/data/images), and all pictures side by side. One part is enough for the first,
    and then `Bsds500.part` says what is missing. Side by side, pictures of several parts have to
    be more than half of the folder: 2018.jpg alone may be anybody's, and a folder of `val` alone is
    a folder of pictures.
    """
    for inside in _INSIDE:
        root = Path(folder) / inside
        if any(_known(root / part, part) for part in PARTS):
            return Bsds500(root, flat=False)
    present = flat_counts(folder)
    return Bsds500(Path(folder), flat=True) if sum(map(bool, present)) > 1 else None


def flat_counts(folder: str | Path) -> tuple[int, ...]:
    """How many of train, val and test lie in the folder itself; nought if most is foreign."""
    root = Path(folder)
    counts = tuple(len(_known(root, part)) for part in PARTS)
    if not any(counts):
        return counts
    pictures = sum(path.suffix.lower() in PICTURE_SUFFIXES for path in _entries(root))
    return counts if 2 * sum(counts) > pictures else (0,) * len(PARTS)


def count_text(counts: Iterable[int]) -> str:
    """ "train 200 of 200, val 99 of 100, test 0 of 200"."""
    each = zip(PARTS, counts, strict=True)
    return ", ".join(f"{part} {count} of {len(names(part))}" for part, count in each)


def _known(folder: Path, part: str) -> list[Path]:
    wanted = names(part)
    return [path for path in _entries(folder) if path.name in wanted]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except PermissionError as error:
        raise InputError(
            f"{folder} may not be read (permission denied); change its permissions or copy it"
        ) from error
