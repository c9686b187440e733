"""The options of a reconstruction command: the shared fields and their checks.

A command's options are a frozen dataclass derived from `RunOptions`. Each field is one flag: its
annotation says what it is called and what it means (`flags`), its default is the flag's default. A
derived class adds the command's own flags, and may explain a shared one anew by annotating it
again.

Imports no torch: `--help` and a wrong option are answered at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pnp_recon.cli.run.checks import given, refuse
from pnp_recon.cli.run.flags import (
    Acceleration,
    AccelerationOption,
    AllowUncertified,
    AsJson,
    DenoiserOption,
    DeviceOption,
    Inputs,
    MaxIter,
    Method,
    MethodOption,
    ModelOption,
    Overwrite,
    Precision,
    PrecisionOption,
    Quiet,
    Reference,
    Report,
    RequireCertificate,
    Ridge,
    SaveResiduals,
    Seed,
    Sigma,
    Simulate,
    Solver,
    SolverName,
    StepSize,
    Strength,
    TimeLimit,
    Timings,
    Tolerance,
    Verbose,
    Weight,
    output_option,
)
from pnp_recon.cli.shell import Device, parse_level, parse_positive
from pnp_recon.contracts import PriorKind
from pnp_recon.errors import InputError
from pnp_recon.problems.numbers import checked_number
from pnp_recon.solvers.catalogue import SOLVERS, solvers_for, solvers_with

# The kind of prior of a method; a method that is not here has none.
PRIOR_KINDS: dict[str, PriorKind] = {"pnp": "denoiser", "tv": "functional"}

# What is set of an iteration and its prior: fields of `RunOptions`.
ITERATION = (
    "denoiser",
    "solver",
    "acceleration",
    "strength",
    "weight",
    "step",
    "ridge",
    "max_iter",
    "tol",
    "time_limit",
)


@dataclass(frozen=True)
class RunOptions:
    """What the user asked for; None means that a default or an estimate takes its place."""

    inputs: Inputs
    output: Annotated[str | None, output_option("NAME.EXT with a mark")] = None
    simulate: Simulate = False
    seed: Seed = 0
    sigma: Sigma = None
    reference: Reference = None
    method: MethodOption = Method.pnp
    denoiser: DenoiserOption = "auto"
    model: ModelOption = None
    solver: Solver = SolverName.auto
    acceleration: AccelerationOption = Acceleration.auto
    strength: Strength = "auto"
    weight: Weight = "auto"
    step: StepSize = None
    ridge: Ridge = None
    max_iter: MaxIter = None
    tol: Tolerance = None
    time_limit: TimeLimit = None
    device: DeviceOption = Device.auto
    dtype: PrecisionOption = Precision.float32
    require_certificate: RequireCertificate = False
    allow_uncertified: AllowUncertified = False
    report: Report = None
    residuals: SaveResiduals = None
    overwrite: Overwrite = False
    as_json: AsJson = False
    quiet: Quiet = False
    timings: Timings = False
    verbose: Verbose = False

    # The noise level where --sigma does not give one; None: it is estimated.
    default_level: ClassVar[float | None] = None
    # The noise that --simulate adds where --sigma does not say.
    default_simulated_level: ClassVar[float] = 2.55 / 255
    levelled: ClassVar[bool] = False  # --strength is a factor of the denoiser's level

    @property
    def noise_level(self) -> float | None:
        """The level that is known beforehand, [0, 1] scale; None: estimate it."""
        if self.sigma is not None:
            return self.level()
        return self.default_simulated_level if self.simulate else self.default_level

    def level(self) -> float | None:
        """What --sigma says; None: nothing, or "auto"."""
        return None if self.sigma is None else parse_level(self.sigma)

    @property
    def simulated_level(self) -> float:
        """The noise that --simulate adds."""
        level = self.level()
        return self.default_simulated_level if level is None else level

    def ridge_weight(self) -> float | None:
        """The weight of --ridge; InputError where it is no number above 0."""
        if self.ridge is None:
            return None
        weight = parse_positive(self.ridge, "--ridge", "a number above 0, such as 0.001")
        if weight is None:
            raise InputError("--ridge has no automatic weight; give a number above 0")
        return weight

    @property
    def prior_kind(self) -> PriorKind:
        """The kind of prior that --method asks for."""
        return PRIOR_KINDS.get(self.method.value, "none")

    @property
    def weighed(self) -> bool:
        """The weight of the prior is given as a number."""
        return parse_positive(self.weight, "--weight") is not None

    @property
    def asked_strength(self) -> float | Literal["auto"]:
        """What --strength says; 1 where the weight of the prior is given."""
        if self.weighed:
            return 1.0
        return parse_positive(self.strength, "--strength") or "auto"

    @property
    def named_solver(self) -> str | None:
        """The solver that the user named; None: it is left to the command."""
        if self.method.value in SOLVERS:  # of some commands methods are solvers without a prior
            return self.method.value
        return None if self.solver == SolverName.auto else self.solver.value

    @property
    def without_prior(self) -> bool:
        """The method or the solver knows none, so that no strength means anything."""
        return self.prior_kind == "none" or self.named_solver in solvers_for("none")

    @property
    def iterates(self) -> bool:
        """Something is set that only the iteration of a map has, such as a solver or a ridge."""
        name = self.named_solver
        solver = name is not None and "energy" not in SOLVERS[name].prior_kinds
        settings = (self.acceleration != Acceleration.auto, self.step, self.ridge)
        return solver or any(settings)

    @property
    def ends_in_time(self) -> bool:
        """The solver that was named can end where the error is estimated to be least."""
        name, plain = self.named_solver, self.acceleration.value in ("auto", "none")
        return name is not None and plain and SOLVERS[name].least_error

    def companions(self, source: Path) -> tuple[Path, ...]:
        """Files that are read beside this input (kernel, mask), which are never overwritten."""
        return ()

    def check(self) -> None:
        """Refuses what cannot work, before any file is read; derived classes add to it.

        Raises:
            InputError: naming the option, what was found and what to do.
        """
        self.level()
        self._check_model()
        parse_positive(self.strength, "--strength")
        parse_positive(self.weight, "--weight")
        self.ridge_weight()
        for flag, number in (("--tol", self.tol), ("--time-limit", self.time_limit)):
            if number is not None:
                checked_number(flag, number, above=0.0)
        if self.step is not None:
            checked_number("--step", self.step)
        self._check_method()
        self._check_solver()
        if self.simulate and self.reference is not None:
            raise InputError(
                "--simulate takes the input itself as the reference; leave out --reference"
            )
        if self.require_certificate and self.allow_uncertified:
            raise InputError(
                "--require-certificate and --allow-uncertified contradict each other; give one"
            )

    def _check_model(self) -> None:
        method = [f"{flag} {self.method.value}" for flag in given(self, "method")]
        refuse(
            [*method, *given(self, *ITERATION)],
            "--model, a network that reconstructs by itself in a fixed number of learned "
            "iterations; leave one of them out",
            self.model is not None,
        )

    def _check_method(self) -> None:
        """What belongs to a prior of another kind."""
        method, kind = f"--method {self.method.value}", self.prior_kind
        refuse(
            given(self, "weight"),
            f"{method}: it is the weight of total variation; add --method tv, or give --strength",
            kind != "functional",
        )
        refuse(
            given(self, "denoiser"),
            f"{method}, which has no denoiser; leave it out",
            kind != "denoiser",
        )
        refuse(given(self, "strength"), "--weight, which says all; give one", self.weighed)
        refuse(given(self, "solver", "ridge", "strength"), method, kind == "none")

    def _check_solver(self) -> None:
        """A solver that was named, against the prior and the settings that it takes."""
        name = self.named_solver
        if name is None:
            return
        entry, kind = SOLVERS[name], self.prior_kind
        takers = ", ".join(solvers_for(kind))
        kinds = ("denoiser", "energy") if kind == "denoiser" else (kind,)  # --denoiser names both
        fits = "none" in entry.prior_kinds or bool(set(kinds) & set(entry.prior_kinds))
        refuse(
            [f"--solver {name}"],
            f"--method {self.method.value}; it goes with {takers}",
            not fits,
        )
        refuse(
            given(self, "step"),
            f"the solver {name}; these take a step: {', '.join(solvers_with('step'))}",
            "step" not in entry.takes,
        )


Options = TypeVar("Options", bound=RunOptions)
