"""`pnp-deblur --noise poisson`: pixels that counted photons, and what is solved for them.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.cli.deblur.options import DeblurOptions
from pnp_recon.errors import InputError
from pnp_recon.estimation.photons import photon_variance
from pnp_recon.fidelity import Fidelity, KullbackLeibler, WeightedLeastSquares
from pnp_recon.pictures.files import Picture
from pnp_recon.solvers.catalogue import LIKELIHOOD_SOLVER

WEIGHED = (
    "fidelity: least squares, each pixel weighed by the photon noise that the mean around it "
    "stands for; the weights are estimates, and proofs are about the energy with these weights"
)
LIKELY = (
    "fidelity: Kullback–Leibler, the likelihood of the counts; it has a minimiser where some "
    "picture explains every count, which the certificate states or leaves open"
)
# A rounded number is off by at most half of it, evenly: this share of its square.
ROUNDED = 1 / 12


@dataclass(frozen=True)
class Photons:
    """What is known of the counts behind a picture.

    Attributes:
        peak: expected counts where the picture is 1.
        background: expected counts without an object.
        readout: variance of the noise of the readout and of rounding, in counts².
        origin: how the noise is known.
    """

    peak: float
    background: float
    readout: float
    origin: str

    @property
    def offset(self) -> float:
        """What the background adds to the picture."""
        return self.background / self.peak

    def variance(self, y: Tensor, known: Tensor | None = None) -> Tensor:
        """See `photon_variance`; y is without the background here and below."""
        return photon_variance(y + self.offset, self.peak, self.readout, known)

    def level(self, y: Tensor) -> float:
        """Root mean square of the noise, in the units of the picture."""
        return math.sqrt(float(self.variance(y).mean()))

    def words(self, y: Tensor) -> str:
        mean = self.peak * float(y.mean()) + self.background
        beside = f", {self.background:g} of them background" if self.background else ""
        return (
            f"photons, {self.peak:g} counts expected where the picture is 1 (white), {mean:.3g} on "
            f"average{beside}; there σ·255 = {255 * self.level(y):.3g} ({self.origin})"
        )

    def fidelity(
        self, A: LinearOperator, y: Tensor, known: Tensor | None, options: DeblurOptions
    ) -> Fidelity:
        """How misfit is measured: by the likelihood where total variation is split off by pdhg,
        by weighted least squares elsewhere. With an energy that was as good on pictures of val
        without BSD68 (within 0.1 dB from 200 photons on, 0.2 dB better at 20), and has all solvers.
        """
        if takes_likelihood(options):
            counted = (y + self.offset).clamp_min(0)
            photons = self.peak if known is None else self.peak * known.to(y).expand_as(y)
            return KullbackLeibler(A, counted, self.offset, photons, self.readout)
        weights = 1 / self.variance(y, known)
        if known is not None:
            weights = known.to(y) * weights
        return WeightedLeastSquares(A, y, weights.contiguous())


def takes_likelihood(options: DeblurOptions) -> bool:
    """Whether the likelihood itself is solved for."""
    solver = options.named_solver
    return (
        options.prior_kind == "functional"
        and solver in (None, LIKELIHOOD_SOLVER)
        and options.ridge is None
    )


def photons_of(picture: Picture, options: DeblurOptions) -> Photons | None:
    """The photons that the options speak of; None: the noise is Gaussian.

    Raises:
        InputError: the numbers of the file are no counts, with --peak counts.
    """
    if not options.counted:
        return None
    peak, rounding = options.peak_counts, 0.0
    scale = picture.value_range
    if peak is None:
        low, high = (0.0, 0.0) if scale is None else (scale.low, scale.high)
        if scale is None and picture.bit_depth in (8, 16):
            high = 2.0**picture.bit_depth - 1
        if low != 0 or high <= 1:
            found = "values from 0 to 1" if scale is None else f"the range {scale.words}"
            raise InputError(
                f"--peak counts takes the numbers of {picture.source} for counts, and it has "
                f"{found}; give the counts that are expected where the picture is 1, --peak N"
            )
        peak = high
    elif picture.bit_depth == 8 and not options.simulate:
        rounding = ROUNDED * (peak / 255) ** 2
    readout = (options.level() or 0.0) * peak
    origin = "simulated" if options.simulate else "given by --peak"
    return Photons(peak, options.background or 0.0, readout**2 + rounding, origin)


def check_counts(y: Tensor, photons: Photons, picture: Picture) -> None:
    """Refuses a picture that cannot be counts.

    Raises:
        InputError: it is negative beyond what the readout makes of darkness.
    """
    low = float(torch.nan_to_num(y).min()) * photons.peak
    if low < -max(1.0, 10 * math.sqrt(photons.readout)):
        raise InputError(
            f"{picture.source} holds {low:.3g} counts: counts are not negative, as they are where "
            "a background was taken off; give the picture with its background and --background B"
        )
