"""Should a deblurred picture be trusted? It is held against the picture that it came from.

No truth is needed: the residual has to be about as strong as the noise; a restored picture has no
more power at the frequencies that the kernel blocks than beside them, as amplified noise has, and a
wrong kernel's ringing; and it is sharper. Knows no solver. A theorem says that the fixed point was
found, and nothing of these.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from operators import kernels
from pnp_recon.estimation.noise.unseen import ENOUGH
from pnp_recon.estimation.noise.white import estimate_noise_level
from pnp_recon.estimation.spectrum import spectrum

# Of the residual to the noise level. At the right level it was 0.4 to 1.4.
MISFIT, OVERFIT = 2.0, 0.25
# |k̂| below and above which frequencies are compared, within so many cycles per pixel, and what
# share of those around must be clear.
BLOCKED, CLEAR, REACH, LEAST_SHARE = 0.15, 0.3, 0.06, 0.1
LOWEST, FALL = 0.06, 2.5
# The ratio of their powers. On val pictures without BSD68: of pictures that were worse than their
# inputs 2.2 to 6.1, of better ones at most 1.9, of 24 true pictures at most 1.8 (median 0.9).
EXCESS = 2.0
# Pixels under which variation is compared.
SMOOTHING = 1.0


def doubts(
    degraded: Tensor,
    restored: Tensor,
    kernel: Tensor,
    residual: Tensor,
    noise_level: float,
    peak: float | None = None,
    prior: bool = True,
) -> tuple[str, ...]:
    """Why the result should not be trusted, in words; nothing where it may be.

    Args:
        degraded, restored: (1, C, H, W) in [0, 1], as shown.
        kernel: (h, w).
        residual: y − A x̂ of any shape, in the units of `noise_level`.
        peak: the counts where the picture is 1, if photons make the noise; the residual is then
            scaled to noise of one level. None: the noise has one.
        prior: there is one, whose strength can be set; else the end of the iteration alone.
    """
    found = []
    counted = peak is not None
    setting, lower = ("--peak", "raise --peak") if counted else ("--sigma", "lower --sigma")
    raised = "lower --peak" if counted else "raise --sigma"
    stronger, weaker = ("raise --strength", "lower --strength")
    if not prior:
        stronger, weaker = ("end earlier with --max-iter", "go on with a larger --max-iter")
    left = float(residual.square().mean().sqrt())
    if noise_level > 0 and left > MISFIT * noise_level:
        ratio = left / noise_level
        other = (
            f"{255 * left:.2g}/255" if peak is None else f"{peak / ratio**2:.2g}"
        )  # n photons have the relative noise n^(−½)
        found.append(
            f"what the result does not explain of the picture is {ratio:.1f} times "
            f"the noise level: the noise is stronger (about {other} as {setting}), the kernel is "
            f"another, or the picture is too smooth ({weaker}); do not trust its details"
        )
    elif noise_level > 0 and left < OVERFIT * noise_level:
        found.append(
            f"the result explains the picture to {left / noise_level:.2g} of the noise level, so "
            f"that noise has become detail, or there is less of it; {stronger}, or "
            f"{lower} if the picture is that clean"
        )
    excess = blocked_power(restored, kernel)
    if excess is not None and excess > EXCESS:
        found.append(
            "the result may be worse than the input: it is strongest where the kernel lets hardly "
            f"anything through ({excess:.1f} times as strong as beside that), which is amplified "
            f"noise or the ringing of a wrong kernel; {raised}, {stronger}, or give "
            "another kernel"
        )
    # What the highest frequencies show of the noise, and never more than the level that was taken:
    # a clean picture that is smoothed at too high a level is to be told.
    noise = min(noise_level, estimate_noise_level(degraded))
    if variation(restored) <= variation(degraded, noise):
        found.append(
            "the result is no sharper than the input: at this noise level there is little to "
            f"restore. If the input is cleaner than that, {lower}, or {weaker}"
        )
    return tuple(found)


def blocked_power(picture: Tensor, kernel: Tensor) -> float | None:
    """Power at the frequencies that a kernel nearly blocks, to that of the clear ones around them.

    In the mean of logarithms, as a few edges make lines of much power in a spectrum. None where
    too few frequencies are blocked that have clear ones around them.
    """
    if not bool(torch.isfinite(picture).all()):
        return None
    seen = spectrum(picture)
    passed = None if seen is None else seen.passed(kernel)
    if seen is None or passed is None:
        return None
    # Without the fall that the spectra of pictures have, near ones are alike.
    flat = seen.power * seen.radius**FALL
    log = flat.clamp(min=1e-12).log()
    clear = ((passed > CLEAR**2) & (seen.radius > LOWEST)).to(log)
    share = _around(clear)
    chosen = (passed < BLOCKED**2) & (seen.radius > LOWEST) & (share > LEAST_SHARE)
    if int(chosen.sum()) < ENOUGH:
        return None
    beside = _around(clear * log) / share.clamp(min=LEAST_SHARE)
    return float((log - beside)[chosen].mean().exp())


def _around(values: Tensor) -> Tensor:
    """Mean over the neighbourhood of each frequency."""
    rows, columns = (max(1, round(REACH * side)) for side in values.shape)
    wrapped = functional.pad(values[None, None], (columns, columns, rows, rows), mode="circular")
    return functional.avg_pool2d(wrapped, (2 * rows + 1, 2 * columns + 1), stride=1)[0, 0]


def variation(picture: Tensor, noise_level: float = 0.0) -> float:
    """Root mean square difference of neighbours, under a Gaussian of one pixel: noise is not sharp.

    Of white noise of `noise_level` so smoothed the mean square is known, and is subtracted.
    """
    taps = kernels.gaussian(SMOOTHING, dtype=picture.dtype).to(picture.device)
    channels = picture.shape[1]
    if min(picture.shape[-2:]) > max(taps.shape):
        weight = taps.expand(channels, 1, *taps.shape)
        picture = functional.conv2d(picture, weight, groups=channels)
    else:
        taps = torch.ones_like(taps[:1, :1])
    of_noise = noise_level**2 * squared_differences(functional.pad(taps, (1, 1, 1, 1)), torch.sum)
    return max(0.0, squared_differences(picture, torch.mean) - of_noise) ** 0.5


def squared_differences(values: Tensor, of: Callable[[Tensor], Tensor]) -> float:
    """Sum or mean of the squared differences of neighbours, along rows and along columns."""
    return float(of(values.diff(dim=-1).square()) + of(values.diff(dim=-2).square()))
