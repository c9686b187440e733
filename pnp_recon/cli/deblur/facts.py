"""`pnp-deblur`: the case y = A x + noise from what is known of a picture, or of a part of it.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from operators import Inpainting
from operators.base import LinearOperator
from operators.borders import Boundary
from operators.fourier import next_smooth
from pnp_recon.cli.deblur.blur import Blur, refined, write_kernel
from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.cli.deblur.photons import LIKELY, WEIGHED, Photons, takes_likelihood
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.pictures import part_of, range_lines, writer
from pnp_recon.cli.run.region import Region
from pnp_recon.estimation.clipping import outshone
from pnp_recon.estimation.doubts import doubts
from pnp_recon.fidelity import Fidelity, WeightedLeastSquares
from pnp_recon.models import load
from pnp_recon.pictures.colour import linear_to_srgb
from pnp_recon.pictures.files import Picture
from pnp_recon.problems.simulate import blur as optics
from pnp_recon.report import SourceFile
from pnp_recon.solvers.catalogue import solvers_for
from pnp_recon.solvers.core.strength import Strength

# Weights are 1/σ²: no level is taken for less.
LEAST_LEVEL = 0.1 / 255
# Kernels around a region that are restored with it. What differs from the whole picture there was
# measured as 2.6/255 (root mean square) with one, 1.2 with two and 0.7 with three, of a whole that
# was 11/255 off the truth (a 9 pixel motion, noise 2.55/255).
MARGIN = 2


@dataclass(frozen=True, eq=False)
class Facts:
    """What the case of a picture, or of a part of it, is made of.

    Attributes:
        y, A: y = A x + noise, whatever the size of x.
        truth: the true picture where y is, if it is known; `clipped` has that size, too.
        photons: the counts behind the pixels, if they are known; y is then without the background.
        strength: where no trials are to find it.
    """

    y: Tensor
    A: LinearOperator
    blur: Blur
    kernel: Tensor
    level: float
    origin: str
    clipped: Tensor | None
    picture: Picture
    truth: Tensor | None
    files: tuple[SourceFile, ...]
    options: DeblurOptions
    photons: Photons | None = None
    strength: Strength | None = None
    boundary: Boundary | None = None
    # Of what is solved, what is shown.
    shown: Region | None = None

    @property
    def border(self) -> Boundary:
        return self.boundary or self.options.boundary.value


def case_of(facts: Facts) -> Case:
    """The case of these facts: what is solved, and what is shown of it."""
    y, A, options, picture = facts.y, facts.A, facts.options, facts.picture
    kh, kw = facts.kernel.shape[-2:]
    # With an unknown border the picture is larger than what the camera saw, by half a kernel.
    valid = facts.border == "valid"
    rows, columns = (inside(kh), inside(kw)) if valid else (slice(None), slice(None))
    part = (...,) if facts.shown is None else facts.shown.slices
    known = _known(A, y, facts.level, facts.clipped, options)
    fidelity = _fidelity(facts, known)
    photons = facts.photons
    noise = facts.level if photons is None else photons.variance(y, known).sqrt()

    def view(values: Tensor) -> Tensor:
        return linear_to_srgb(values) if options.linear_light else values

    def show(image: Tensor) -> Tensor:
        return view(image[..., rows, columns][part])

    def doubted(A: LinearOperator, kernel: Tensor, image: Tensor) -> tuple[str, ...]:
        shown = view(image[..., rows, columns]).clamp(0, 1)
        # In units of its noise, pixel by pixel where photons make it.
        residual = (y - A.A(image)) / noise * facts.level if photons else y - A.A(image)
        residual = residual if known is None else residual[known.expand_as(residual)]
        peak = None if photons is None else photons.peak
        has_prior = not options.without_prior
        return doubts(view(y).clamp(0, 1), shown, kernel, residual, facts.level, peak, has_prior)

    def write(kernel: Tensor, target: Path, image: Tensor) -> list[str]:
        write_kernel(kernel, options)
        return writer(picture, show, options.overwrite)(target, image)

    def adopt(case: Case, found: Mapping[str, Tensor]) -> Case:
        better, line = refined(facts.blur, found["kernel"])
        now = better.kernel.to(facts.kernel)
        now_A = optics(now, case.A.image_shape, facts.border)
        doubts, lines = partial(doubted, now_A, now), (*case.lines, line)
        return replace(
            case,
            A=now_A,
            doubts=doubts,
            kernel=better.record,
            lines=lines,
            write=partial(write, better.kernel),
        )

    lines = (*range_lines(picture), *facts.blur.lines())
    if photons is not None:
        lines = (*lines, LIKELY if takes_likelihood(options) else WEIGHED)
    solved, data = A, y if fidelity is None else fidelity.y
    arguments, left = _arguments(facts, fidelity), "carries no weight and is filled in"
    if known is not None and photons is None and options.named_solver in solvers_for("none"):
        # These know no weights: of clipped pixels nothing is measured.
        seen = Inpainting(known[0, 0], A.measurement_shape)
        solved, data = seen @ A, seen.A(y)
        arguments = {**_arguments(facts, None), "start": _lights(facts, known, rows, columns)}
        no_prior = f"{options.named_solver} has no prior to fill it in"
        left = f"carries no weight and begins as it is, since {no_prior}"
    return Case(
        y=data,
        A=solved,
        noise_level=facts.level,
        noise_origin=facts.origin,
        noise_words=None if photons is None else photons.words(y),
        degraded=view(y)[part],
        show=show,
        doubts=partial(doubted, A, facts.kernel),
        write=partial(write, facts.blur.kernel),
        reference=None if facts.truth is None else view(facts.truth)[part],
        files=facts.files,
        lines=lines,
        warnings=(*picture.notes, *facts.blur.warnings, *_clipping_words(picture, known, left)),
        kernel=facts.blur.record,
        boundary=facts.border,
        linear_light=options.linear_light,
        energy=load.ENERGIES.get(y.shape[1]),
        arguments=arguments,
        strength=facts.strength,
        # The kernels of a part of a field are not those of the whole.
        excerpt=None
        if facts.shown is not None or facts.kernel.dim() == 4
        else partial(_excerpt, facts),
        origin=(kh // 2, kw // 2) if valid and options.simulate else (0, 0),
        adopt=adopt,
        wrote=() if options.kernel_out is None else (options.kernel_out,),
    )


def _excerpt(facts: Facts, region: Region) -> Case:
    """A part with a margin; what lies beyond that is not known."""
    y, (kh, kw) = facts.y, facts.kernel.shape[-2:]
    height, width = y.shape[-2:]
    around = region.grown((MARGIN * kh, MARGIN * kw), (height, width))
    # Transforms of what is solved, with half a kernel around it, are fast at these lengths.
    rows, columns = (
        next_smooth(side + taps - 1) - (taps - 1)
        for side, taps in ((around.height, kh), (around.width, kw))
    )
    around = around.filled((rows, columns), (height, width))
    seen = y[around.slices].contiguous()
    grown = (y.shape[1], around.height + kh - 1, around.width + kw - 1)
    return case_of(
        replace(
            facts,
            y=seen,
            A=optics(facts.kernel, grown, "valid"),
            clipped=None if facts.clipped is None else facts.clipped[around.slices],
            picture=part_of(facts.picture, region, (height, width)),
            truth=None if facts.truth is None else facts.truth[around.slices],
            boundary="valid",
            shown=region.within(around),
        )
    )


def _known(
    A: LinearOperator, y: Tensor, level: float, clipped: Tensor | None, options: DeblurOptions
) -> Tensor | None:
    """(1, 1, H, W), False where clipped, for the methods that can leave pixels out; else None."""
    if clipped is None or options.model is not None or options.prior_kind == "none":
        return None
    return ~outshone(A, y, clipped, max(level, LEAST_LEVEL))


def _fidelity(facts: Facts, known: Tensor | None) -> Fidelity | None:
    """Least squares in which clipped pixels have no weight, or what photons ask for."""
    y, A = facts.y, facts.A
    if facts.photons is not None:
        return facts.photons.fidelity(A, y, known, facts.options)
    if known is None:
        return None
    weights = known.to(y).expand_as(y).contiguous() / max(facts.level, LEAST_LEVEL) ** 2
    return WeightedLeastSquares(A, y, weights)


def _arguments(facts: Facts, fidelity: Fidelity | None) -> dict[str, Any]:
    """Arguments of `reconstruct`; counts begin where least squares would."""
    known = {} if facts.strength is None else {"strength": facts.strength.value}
    if fidelity is None:
        return known
    if facts.photons is None or fidelity.y is facts.y:
        return {**known, "fidelity": fidelity}
    return {**known, "fidelity": fidelity, "start": facts.A.initial_guess(facts.y).clamp(0, 1)}


def _lights(facts: Facts, known: Tensor, rows: slice, columns: slice) -> Tensor:
    """The start of a solver that fills nothing in, zero but for what is clipped: a light that began
    at zero would end black. No measured value is in it, as `solvers.in_time` wants."""
    start = facts.y.new_zeros(len(facts.y), *facts.A.image_shape)
    start[..., rows, columns] = facts.y.masked_fill(known, 0.0)
    return start


def _clipping_words(picture: Picture, known: Tensor | None, left: str) -> tuple[str, ...]:
    if known is None:
        return ()
    share = float((~known).double().mean())
    return (
        f"{picture.source}: {share:.2%} of the picture is clipped (at the largest or the smallest "
        "value of the file, or beside such a pixel, or in the halo of a light brighter than white);"
        f" it {left}",
    )


def inside(taps: int) -> slice:
    """Without half a kernel at either end."""
    return slice(taps // 2, None if taps < 3 else -(taps // 2))
