"""What can be wrong with a picture, in plain words, and which command with which options sets it
right.

The page builds its form from this list, and the worker its options; neither knows more of a
command. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pnp_recon.errors import InputError
from pnp_recon.registry import Entry, Registry


@dataclass(frozen=True)
class Field:
    """A number that may be given.

    Attributes:
        name: the field of the command's options; `flag` is how its messages call it, see `wording`.
        words: what it is.
        low, high: its range.
        whole: it is a whole number.
        default: taken where none is given; None: the command's own default, or an estimate.
    """

    name: str
    flag: str
    words: str
    low: float
    high: float
    whole: bool = False
    default: int | float | None = None

    def read(self, value: object) -> int | float | None:
        """The number that the page sent; None where it was left open.

        Raises:
            InputError: it is none, or out of range.
        """
        if value is None or value == "":
            return self.default
        good = isinstance(value, int | float) and not isinstance(value, bool)
        # Compared before it becomes a float, which not every whole number can.
        inside = good and self.low <= value <= self.high  # type: ignore[operator]
        number = float(value) if inside else float("nan")  # type: ignore[arg-type]
        if not inside or (self.whole and number != int(number)):
            kind = "a whole number" if self.whole else "a number"
            raise InputError(
                f"“{self.words}” is {value!r}; expected {kind} from {self.low:g} to {self.high:g}"
            )
        return int(number) if self.whole else number


@dataclass(frozen=True)
class Attached:
    """A file beside the picture.

    Attributes:
        role: the field of the options that takes its path, `as_text` or as a path.
        words: what it is.
        required: nothing can be done without it.
    """

    role: str
    words: str
    required: bool = False
    as_text: bool = False


@dataclass(frozen=True)
class Wrong(Entry):
    """One choice of the page; its home is the command.

    Attributes:
        words: the choice; `hint` says when it is the right one.
        options: fixed fields of the command's options.
        fields, files: what may be given besides.
        quick: the middle of the picture alone shows a preview, blur and noise estimated from it.
        scans: takes scans, not pictures.
    """

    words: str
    hint: str
    options: tuple[tuple[str, Any], ...] = ()
    fields: tuple[Field, ...] = ()
    files: tuple[Attached, ...] = ()
    quick: bool = True
    scans: bool = False

    def as_json(self) -> dict[str, Any]:
        """What the page shows of it."""
        shown = asdict(self)
        return {key: shown[key] for key in ("name", "words", "hint", "fields", "files", "scans")}

    def chosen(self, given: Mapping[str, object], files: Mapping[str, str]) -> dict[str, Any]:
        """Fields of the command's options, from numbers by field and file names by role.

        Raises:
            InputError: a number out of range, an unknown name, or a file that is missing.
        """
        roles = {one.role for one in self.files}
        for name in [*given, *files]:
            if name not in roles | {one.name for one in self.fields}:
                raise InputError(f"{name} is nothing that “{self.words}” takes; reload the page")
        for one in self.files:
            if one.required and one.role not in files:
                raise InputError(f"“{self.words}” needs another file: {one.words}")
        numbers = {one.name: one.read(given.get(one.name)) for one in self.fields}
        set_ = {name: value for name, value in numbers.items() if value is not None}
        paths = {
            one.role: files[one.role] if one.as_text else Path(files[one.role])
            for one in self.files
            if one.role in files
        }
        return {**dict(self.options), **set_, **paths}


_LENGTH = Field("length", "--length", "How far it moved, in pixels", 1, 300)
_ANGLE = Field("angle", "--angle", "Direction in degrees, 0 is sideways, 90 is up", -360, 360)

WRONGS: Registry[Wrong] = Registry(
    "choice",
    [
        Wrong(
            "moved",
            "pnp_recon.cli.deblur:COMMAND",
            "The camera moved",
            "Everything is smeared alike along one straight line.",
            (("kernel", "motion"),),
            (_LENGTH, _ANGLE),
        ),
        Wrong(
            "focus",
            "pnp_recon.cli.deblur:COMMAND",
            "Out of focus",
            "Points became discs, the same everywhere.",
            (("kernel", "disk"),),
            (Field("length", "--length", "Radius of the discs in pixels", 0.5, 150),),
        ),
        Wrong(
            "shaken",
            "pnp_recon.cli.deblur:COMMAND",
            "Shaken",
            "Points became little scribbles. Finding their shape takes a minute or more.",
            (("kernel", "blind"),),
            (),
            (
                Attached(
                    "kernel", "The kernel, if you have it (a picture, .npy, .mat)", as_text=True
                ),
            ),
            quick=False,
        ),
        Wrong(
            "holes",
            "pnp_recon.cli.inpaint:COMMAND",
            "Holes, scratches, text on it",
            "A mask says which pixels are good: a picture of the same size, white where they are "
            "good and black where they are missing.",
            (),
            (),
            (Attached("mask", "The mask (white: good, black: missing)", required=True),),
        ),
        Wrong(
            "jpeg",
            "pnp_recon.cli.jpeg:COMMAND",
            "JPEG blocks and rings",
            "For a JPEG file as it came from the camera or the web.",
            quick=False,
        ),
        Wrong(
            "small",
            "pnp_recon.cli.sr:COMMAND",
            "Too small",
            "It is sharp, but has too few pixels.",
            (),
            (Field("scale", "--scale", "How many times larger: 2, 3 or 4", 2, 4, True, 2),),
        ),
        Wrong(
            "scan",
            "pnp_recon.cli.ct:COMMAND",
            "It is an X-ray scan",
            "Projections from many sides become a slice. Angles are taken from the file where it "
            "has them.",
            (),
            (
                Field("views", "--views", "Number of views, evenly spaced", 1, 100_000, True),
                Field("span", "--span", "Range of the angles in degrees", -720, 720),
            ),
            (Attached("geometry", "A description of the scan (.yaml or .json)"),),
            quick=False,
            scans=True,
        ),
    ],
)
