"""What a benchmark measures: cells, and the plan that lists them.

A cell is one method on one degradation of one picture. A `Plan` says everything that decides what
comes out of a run; it is the manifest that lies beside the results, and a run is resumed from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pnp_recon.benchmark.choice import TUNED
from pnp_recon.errors import InputError


@dataclass(frozen=True, order=True)
class Degradation:
    """What was done to a picture.

    Attributes:
        name: such as "gaussian noise" or "motion 15 px, 30°"; one of the suite's.
        noise: standard deviation of the noise in the data, σ·255; for CT in percent of the largest
            entry of the sinogram.
    """

    name: str
    noise: float


@dataclass(frozen=True)
class Cell:
    """One method on one degradation of one picture.

    Attributes:
        suite, degradation, method: what is measured.
        picture: its name in the data, which says where it lies.
        index: the picture's place in its whole split; the noise follows from it, whatever part
            of the split is run.
    """

    suite: str
    degradation: Degradation
    picture: str
    index: int
    method: str

    @property
    def key(self) -> Key:
        return (
            self.suite,
            self.degradation.name,
            self.degradation.noise,
            self.picture,
            self.method,
        )

    @property
    def slug(self) -> str:
        """A file name for what is kept of the cell besides its row."""
        noise = f"{self.degradation.noise:g}"
        return slug(self.suite, self.degradation.name, noise, self.picture, self.method)


# The parameter of a row that says how strong the prior was, where that was chosen or given.
STRENGTH = "strength"

# Fields of a plan that its file calls otherwise.
_IN_FILES = {"degradations": "problems"}

Key = tuple[str, str, float, str, str]


def slug(*parts: str) -> str:
    """Parts of a key as one file name: letters, digits, dots, underscores and hyphens."""
    return "--".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-") for part in parts)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides the results of a run.

    Attributes:
        suite: name of the suite.
        data: folder or file of the pictures, absolute.
        split: "bsd68", "test", "val" or "all".
        pictures: (name, index in the split) of each picture.
        channels: 1 grey, 3 colour.
        crop: side of the central crop in pixels; None: whole pictures.
        degradations: in the order of the tables; files call them problems.
        methods: names or entries, as given to `methods.load_method`.
        seed: draws the noise.
        repeats: how often each cell is timed; the median counts.
        kept: pictures of which crops are kept for the report's comparison strips.
        threads: torch's, in each process.
        device: "cpu" or "cuda".
        settings: the suite's own, such as the tolerance of its iterations.
        tuned: parameters of the methods, see `tuned`; part of the plan, so that a run that is
            resumed goes on with the ones that it began with.
        strength: how strong the prior is in reconstructions: "auto", "tuned" (the parameters of
            `tuned`), or a number, which multiplies the automatic coupling.
    """

    suite: str
    data: str
    split: str
    pictures: tuple[tuple[str, int], ...]
    channels: int
    crop: int | None
    degradations: tuple[Degradation, ...]
    methods: tuple[str, ...]
    seed: int = 0
    repeats: int = 1
    kept: tuple[str, ...] = ()
    threads: int = 1
    device: str = "cpu"
    settings: Mapping[str, Any] = field(default_factory=dict)
    tuned: Mapping[str, Any] = field(default_factory=dict)
    strength: str = TUNED

    @property
    def conditions(self) -> dict[str, Any]:
        """The suite's settings, and the strength of the prior where that is not the tuned one."""
        own = {} if self.strength == TUNED else {STRENGTH: self.strength}
        return {**self.settings, **own}

    def cells(self) -> Iterator[Cell]:
        """All cells, picture by picture: an unfinished run has every method on what is done."""
        for name, index in self.pictures:
            for degradation in self.degradations:
                for method in self.methods:
                    yield Cell(self.suite, degradation, name, index, method)

    def __len__(self) -> int:
        return len(self.pictures) * len(self.degradations) * len(self.methods)

    def to_dict(self) -> dict[str, Any]:
        return {_IN_FILES.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Plan:
        """Made from plain values, as `to_dict` gives them and JSON keeps them.

        Raises:
            InputError: a field is missing, unknown or of another kind.
        """
        values = dict(fields)
        try:
            stored = values.pop(_IN_FILES["degradations"])
            values["degradations"] = tuple(Degradation(**item) for item in stored)
            values["pictures"] = tuple((str(name), int(i)) for name, i in values["pictures"])
            for name in ("methods", "kept"):
                values[name] = tuple(values[name])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the plan in the manifest is damaged: {error}") from error
