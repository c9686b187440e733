"""A measurement that can refute what is declared of an operator, and that proves nothing.

What is known by construction is not measured. For the rest: the dot-product test, the sign of
what 0/1 pictures are mapped to, and the gain that power iterations attain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.checks.measures import ADJOINT_TOLERANCE, adjoint_mismatch
from operators.conjugate_gradient import image_norms, per_image
from operators.deadlines import expired

# Pictures of zeros and ones with so many ones, and how many with a single one.
DENSITIES = (0.5, 0.05, 0.005)
SINGLE_PIXELS = 8
# Power iterations: at most so many, and at rest where so many in a row gain less than this.
ITERATIONS = 50
AT_REST = (8, 1e-5)
# Rounding of one application, below which an attained gain is put, relative.
ALLOWANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
# A transpose that is off by a factor alone is so to this.
PURE = 1e-3


@dataclass(frozen=True)
class Probe:
    """What was measured of one operator; None for what was not asked.

    Attributes:
        operator: its name.
        mismatch: relative mismatch of the dot-product test, and what is `allowed`.
        factor: A_adjoint is so many times the transpose, where that is the whole fault.
        narrow: the mismatch is that of float32, and float64 was promised.
        negative: the most negative value that a non-negative picture (or measurement) is mapped
            to, where no entry is said to be negative; relative to the largest.
        gain: ‖A x‖ / ‖x‖ of some x, rounded down.
        bound: the bound of the norm that it is held against.
    """

    operator: str
    allowed: float
    mismatch: float | None = None
    factor: float | None = None
    narrow: bool = False
    negative: float | None = None
    gain: float | None = None
    bound: float | None = None

    @property
    def refuted(self) -> str | None:
        """A sentence that names the fact that is false; None where nothing was refuted."""
        if any(n is not None and not math.isfinite(n) for n in (self.negative, self.gain)):
            return f"'{self.operator}' returns values that are not finite"
        if self.mismatch is not None and not self.mismatch <= self.allowed:
            words = (
                f"A_adjoint of '{self.operator}' is not the transpose of A (relative mismatch "
                f"{self.mismatch:.1e}, allowed {self.allowed:.0e})"
            )
            if self.factor is not None:
                return f"{words}: it is {self.factor:.3g} times the transpose"
            if self.narrow:
                return f"{words}: it computes in float32; set certificate_dtype = torch.float32"
            return words
        if self.negative is not None:
            return (
                f"'{self.operator}' was declared non-negative, but maps a non-negative tensor to "
                f"{self.negative:.3g} of its largest value; declare norm_bound instead"
            )
        if self.gain is not None and self.bound is not None and not self.gain <= self.bound:
            return (
                f"the norm of '{self.operator}' was declared to be at most {self.bound:.6g}, but "
                f"{self.gain:.6g} is attained"
            )
        return None


def probe(A: LinearOperator, *, norm: bool) -> Probe:
    """Measures what is not known by construction; kept until the operator changes.

    Args:
        A: any operator. About one whose `adjoint_matched` is False nothing is said of the
            transpose, and about one without `nonnegative` nothing of the sign.
        norm: whether the bound of the norm is relied on.
    """
    found: Probe = A._keep(("probe", norm), lambda: _probe(A, norm))
    return found


def _probe(A: LinearOperator, norm: bool) -> Probe:
    seeded = torch.Generator().manual_seed(0)
    allowed = ADJOINT_TOLERANCE[A.certificate_dtype]
    found = Probe(A.name, allowed)
    if A.transpose_by != "construction" and A.adjoint_matched:
        mismatch = adjoint_mismatch(A, seeded)
        found = Probe(A.name, allowed, mismatch)
        if not mismatch <= allowed:
            narrow = mismatch <= ADJOINT_TOLERANCE[torch.float32]
            factor = None if narrow else transpose_factor(A, seeded)
            return Probe(A.name, allowed, mismatch, factor, narrow)
    if A.sign_by != "construction" and A.nonnegative:
        negative = negative_entry(A, seeded)
        if negative is not None:
            return Probe(A.name, allowed, found.mismatch, negative=negative)
    if norm and A.norm_by != "construction" and A.has_norm_bound:
        bound = A.norm_bound
        return Probe(A.name, allowed, found.mismatch, gain=attained(A, seeded, bound), bound=bound)
    return found


def transpose_factor(A: LinearOperator, generator: torch.Generator) -> float | None:
    """c where A_adjoint is c times the transpose of A, as far as three pairs can tell; or None."""
    quotients = []
    for trial in range(3):
        x, y = (_drawn(A, generator, shape) for shape in (A.image_shape, A.measurement_shape))
        if trial:  # of one sign the inner product is large, and says less about the rest
            x, y = x - 0.25 * trial, y - 0.25 * trial
        forth, back = (A.A(x) * y).sum(), (x * A.A_adjoint(y)).sum()
        quotients.append(float(back / forth))
    middle = sorted(quotients)[1]
    pure = all(abs(q - middle) <= PURE * abs(middle) for q in quotients)
    return middle if pure and middle != 0 else None


def negative_entry(A: LinearOperator, generator: torch.Generator) -> float | None:
    """The most negative value that 0/1 tensors are mapped to by A or its transpose, or None.

    Relative to the largest of all results; what rounding explains is not counted. NaN where a
    result is not finite. Tensors of several densities add up many entries, and single ones show
    one column each.
    """
    lowest, largest = 0.0, 0.0
    tolerance = ADJOINT_TOLERANCE[A.certificate_dtype]
    maps = ((A.A, A.image_shape), (A.A_adjoint, A.measurement_shape))
    for apply, shape in maps[: 2 if A.adjoint_matched else 1]:
        for trial in range(len(DENSITIES) + SINGLE_PIXELS):
            draw = _drawn(A, generator, shape)
            if trial < len(DENSITIES):
                picture = (draw < DENSITIES[trial]).to(draw)
            else:
                picture = (draw == draw.max()).to(draw)
            result = apply(picture)
            # Not each result by itself: what a part sees nothing of is rounding alone.
            largest = max(largest, float(result.abs().max()))
            if not math.isfinite(largest):
                return math.nan
            lowest = min(lowest, float(result.min()))
    return lowest / largest if lowest < -tolerance * largest else None


def attained(A: LinearOperator, generator: torch.Generator, enough: float = math.inf) -> float:
    """A gain that A attains, rounded down: power iterations from three starts at once.

    From normal numbers, from positive ones, which see the peak of a blur, and from a few pixels.
    Stops above `enough`, at rest, or at a deadline. NaN where a result is not finite.
    """
    normal = torch.randn(
        (1, *A.image_shape), generator=generator, dtype=torch.float64, device=generator.device
    )
    positive = _drawn(A, generator, A.image_shape)
    draw = _drawn(A, generator, A.image_shape)
    few = (draw >= draw.max() - 0.01).to(draw)
    v = torch.cat([normal.to(positive), positive, few])
    best, history = 0.0, [0.0]
    for _ in range(ITERATIONS):
        y = A.A(v)
        gains = image_norms(y.double()) / image_norms(v.double())
        if not bool(torch.isfinite(gains).all()):
            return math.nan
        best = max(best, float(gains.max()) * (1 - ALLOWANCE[A.certificate_dtype]))
        history.append(float(gains.sum()))
        rows, gained = AT_REST
        rest = len(history) > rows and history[-1] - history[-1 - rows] <= gained * history[-1]
        if best > enough or rest or expired():
            break
        v = A.A_adjoint(y)
        size = image_norms(v)
        if not bool((size > 0).any()):
            break
        empty = per_image(size == 0, v)  # a start in the kernel goes on from another
        v = torch.where(empty, v[int(size.argmax())], v / per_image(size.clamp_min(1e-300), v))
    return best


def norm_or_attained(A: LinearOperator) -> float:
    """The bound of ‖A‖ or, where none is known, a gain that A attains, and 1 where it attains none.

    For settings that no proof rests on: an attained gain is no bound. Kept until A changes.
    """
    if A.has_norm_bound:
        return A.norm_bound
    seeded = torch.Generator().manual_seed(0)
    with torch.no_grad():
        found: float = A._keep("attained", lambda: attained(A, seeded))
    return found if 0 < found < math.inf else 1.0


def _drawn(A: LinearOperator, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    """Uniform numbers in [0, 1], (1, *shape), in the precision and on the device of A."""
    draw = torch.rand(
        (1, *shape), generator=generator, dtype=torch.float64, device=generator.device
    )
    return draw.to(A.certificate_start().device, A.certificate_dtype)
