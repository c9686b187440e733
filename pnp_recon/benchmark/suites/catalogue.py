"""The suites that there are, with their problems and usual settings. Loads no torch.

Listings, plans and refusals derive from these entries; how a cell is measured is in the class that
an entry names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pnp_recon.benchmark.cells import Degradation
from pnp_recon.errors import InputError
from pnp_recon.registry import Entry, Registry
from pnp_recon.solvers.catalogue import solvers_for, solvers_with

_HOME = "pnp_recon.benchmark.suites"

# What a denoiser runs in: solvers whose coupling γ is free, which is what the suites tune.
SOLVERS = tuple(name for name in solvers_for("denoiser") if name in solvers_with("gamma"))


@dataclass(frozen=True, kw_only=True)
class SuiteEntry(Entry):
    """A kind of measurement.

    Attributes:
        what: in words, for `pnp-bench list`.
        names: its problems, without noise levels, in the order of the tables.
        noise: usual levels, σ·255.
        channels: usual number of channels.
        grey_only: there is nothing in colour to run it on.
        crop: usual side of the central crop; None: whole pictures.
        images: usual number of pictures; None: all.
        methods: usual methods, groups included.
        settings: the suite's own, with their usual values; "solver" is one of `SOLVERS`.
    """

    what: str
    names: tuple[str, ...]
    noise: tuple[float, ...]
    channels: int = 1
    grey_only: bool = False
    crop: int | None = None
    images: int | None = None
    methods: tuple[str, ...] = ("all",)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def degradations(
        self, noise: Sequence[float] | None = None, names: Sequence[str] | None = None
    ) -> tuple[Degradation, ...]:
        """Every problem at every noise level.

        Args:
            noise: levels, σ·255; None: the usual ones.
            names: beginnings of the names of problems; None: all.

        Raises:
            InputError: a level outside [0, 255], or a name that nothing begins with.
        """
        levels = self.noise if noise is None else tuple(noise)
        for level in levels:
            if not 0 <= level <= 255:
                raise InputError(f"noise level {level:g} found; expected σ·255 from 0 to 255")
        chosen = self.names if names is None else self._chosen(names)
        return tuple(Degradation(name, float(level)) for name in chosen for level in levels)

    def checked(self, given: Mapping[str, float | str]) -> dict[str, Any]:
        """The suite's settings, with those that were given.

        Raises:
            InputError: one that it does not have, or a value of another kind.
        """
        found = dict(self.settings)
        for name, value in given.items():
            if name not in found:
                known = ", ".join(found) or "none"
                raise InputError(f"suite {self.name} has no setting {name!r}; it has: {known}")
            kind = type(found[name])
            try:
                found[name] = kind(value)
            except ValueError:
                raise InputError(f"--set {name}={value}: expected a {kind.__name__}") from None
        solver = found.get("solver")
        if solver is not None and solver not in SOLVERS:
            raise InputError(f"--set solver={solver}: expected {' or '.join(SOLVERS)}")
        return found

    def _chosen(self, wanted: Sequence[str]) -> list[str]:
        for beginning in wanted:
            if not any(name.startswith(beginning) for name in self.names):
                raise InputError(
                    f"suite {self.name} has no problem {beginning!r}; known: "
                    f"{', '.join(self.names)}"
                )
        return [name for name in self.names if name.startswith(tuple(wanted))]


# What deblurring, inpainting and tomography share. Of all methods the others take minutes for a
# picture: hundreds of evaluations without a theorem.
_ITERATED = ("shipped", "tv", "wavelet")
_ITERATION = {"solver": "pnp-hqs", "tol": 1e-4, "max_iter": 300, "variational_max_iter": 3000}

SUITES: Registry[SuiteEntry] = Registry(
    "suite",
    [
        SuiteEntry(
            name="denoise",
            home=f"{_HOME}.denoise:Denoise",
            what="white Gaussian noise of a known level",
            names=("gaussian noise",),
            noise=(5.0, 15.0, 25.0),
        ),
        SuiteEntry(
            name="deblur",
            home=f"{_HOME}.problems:Deblur",
            what="motion, camera shake, Gaussian and disk blur, circular, with noise",
            names=(
                "motion 15 px, 30°",
                "trajectory 0",
                "trajectory 1",
                "Gaussian 1.6 px",
                "disk 4 px",
            ),
            noise=(2.55, 7.65, 12.75),
            channels=3,
            methods=_ITERATED,
            settings=_ITERATION,
        ),
        SuiteEntry(
            name="inpaint",
            home=f"{_HOME}.problems:Inpaint",
            what="half or four fifths of the pixels missing at random",
            names=("50 % missing", "80 % missing"),
            noise=(0.0,),
            channels=3,
            methods=_ITERATED,
            # The data are exact: Douglas-Rachford is ahead of half-quadratic splitting there.
            settings={**_ITERATION, "solver": "pnp-drs"},
        ),
        SuiteEntry(
            name="ct",
            home=f"{_HOME}.problems:Tomography",
            what="CT slices from 60 parallel views with noise (percent of the maximum)",
            names=("60 views",),
            noise=(1.0,),
            grey_only=True,
            methods=_ITERATED,
            settings=_ITERATION,
        ),
        SuiteEntry(
            name="stability",
            home=f"{_HOME}.stability:Stability",
            what="a denoiser applied 1000 times, attacked, and iterated in PnP-PGD",
            names=("repeat", "attack", "pnp-pgd"),
            noise=(25.0,),
            crop=128,
            images=1,
            methods=("shipped", "tv", "wavelet", "nlm", "bilateral", "median"),
            settings={"applications": 1000, "attack_steps": 50, "tol": 1e-6, "max_iter": 500},
        ),
    ],
)
