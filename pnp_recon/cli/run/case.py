"""What a command hands to the shared run: y = A x + noise, and how its solution is shown.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.cli.run.region import Region
from pnp_recon.report import KernelRecord, PhysicsRecord, SourceFile, noise_words
from pnp_recon.solvers import Solution
from pnp_recon.solvers.core.strength import Strength

# Early stops of the methods without a prior: they fit the noise if they go on.
EARLY, EARLY_OTHERS = {"sirt": 100, "cgls": 15, "landweber": 200}, 100


# Among the warnings of a case: the run cannot be repeated from its report.
EARLIER_START = (
    "the iteration began at an earlier result, which this report does not hold: the run cannot be "
    "repeated from it, and begun where the command begins it may end elsewhere"
)


@dataclass(frozen=True, eq=False)
class Case:
    """y = A x + noise, and how its solution is shown, judged, written and described.

    What is shown is a picture (1, C, H, W) in [0, 1] (it is clipped); reports, PSNR and SSIM are
    about it.

    Attributes:
        y: the measurement (1, *A.measurement_shape).
        A: the operator.
        noise_level: standard deviation of the noise in y; `noise_origin` says how it is known.
        degraded: the measurement as a picture, of the size of what is shown.
        show: an iterate (1, *A.image_shape) -> the picture that is shown.
        write: (path, solution) -> writes the file, returns what it could not hold.
        doubts: an iterate -> why what it shows should not be trusted, in words.
        reference: the true picture, as shown, where it is known.
        files: what was read, with hashes; the input comes first.
        lines: said before the run.
        warnings: what must not be overlooked.
        noise_words: the noise level in words, where σ·255 is not the unit.
        kernel: the blur; physics: what else the measurement is.
        boundary: the border rule in words.
        linear_light: see `report.Run`.
        solver: what `--solver auto` means, save for total variation; None: the default of
            `reconstruct`.
        model: what `--denoiser auto` means where a map is iterated; None: the shipped denoiser for
            the channels.
        energy: what it means elsewhere; None: a map is iterated.
        arguments: more keyword arguments of `reconstruct`.
        facts: keyword arguments of `LearnedReconstruction.check`: what a network may have been
            trained for besides A.
        limits: what --tol, --max-iter and --time-limit mean where they are not given.
        parts: the same case in several, y and arguments split along the batch; they are solved
            one after the other.
        after: an iterate -> a line about the result, and `physics` with what was checked of it.
        solve: a method of its own (a direct formula) in place of `reconstruct`.
        excerpt: the same case for a region of what is shown, solved with a margin around it that
            is not shown; None: a part of it says nothing of the whole.
        origin: the pixel (row, column) of the file at the upper left of what is shown.
        adopt: the case with what a run found besides the picture (`Solution.found`).
        wrote: files that were written besides the result.
        strength: what --strength means here, where it is not the solver's.
        operator_bytes: what A is still to take, beside what it holds.
        slower: why it takes longer than a piece of its work foretells, in words; empty: it does
            not.
    """

    y: Tensor
    A: LinearOperator
    noise_level: float
    noise_origin: str
    degraded: Tensor
    show: Callable[[Tensor], Tensor]
    write: Callable[[Path, Tensor], list[str]]
    doubts: Callable[[Tensor], Sequence[str]] = lambda _: ()
    reference: Tensor | None = None
    files: tuple[SourceFile, ...] = ()
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    noise_words: str | None = None
    kernel: KernelRecord | None = None
    physics: PhysicsRecord | None = None
    boundary: str | None = None
    linear_light: bool = False
    solver: str | None = None
    model: str | None = None
    energy: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Case, ...] = ()
    after: Callable[[Tensor], tuple[str, PhysicsRecord]] | None = None
    solve: Callable[[], Solution] | None = None
    excerpt: Callable[[Region], Case] | None = None
    origin: tuple[int, int] = (0, 0)
    adopt: Callable[[Case, Mapping[str, Tensor]], Case] | None = None
    wrote: tuple[Path, ...] = ()
    strength: Strength | None = None
    operator_bytes: float = 0.0
    slower: str = ""

    @property
    def pixels(self) -> int:
        """Pixels of what is solved, in one channel."""
        return math.prod(self.A.image_shape[-2:])

    @property
    def noise_in_words(self) -> str:
        return self.noise_words or noise_words(self.noise_level, self.noise_origin)


def early_stopped(case: Case, solver: str, nothing: Tensor) -> Case:
    """The case for a solver without a prior: its early stop is the regularisation.

    Args:
        nothing: where it starts, what an object of zeros is in the units of the pictures.
    """
    limits = {"max_iter": EARLY.get(solver, EARLY_OTHERS), "early": True}
    return replace(case, solver=solver, arguments={"start": nothing}, limits=limits)
