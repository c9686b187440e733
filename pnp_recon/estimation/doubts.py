"""Should a deblurred picture be trusted? It is held against the picture that it came from.

No truth is needed: the residual has to be as strong as the noise; a restored picture has no more
power at the frequencies that the kernel blocks than beside them, as amplified noise has, and a
wrong kernel's ringing; and it is sharper. Knows no solver. A theorem says that the fixed point was
found, and nothing of these.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from pnp_recon.estimation.noise.unseen import EDGES, ENOUGH
from pnp_recon.estimation.spectrum import spectrum

# Of the residual to the noise level. At the right level it was 0.4 to 1.4.
MISFIT = 2.0
# |k̂| below and above which frequencies of a ring are compared, and the ratio of their mean powers.
# Of pictures that were worse than their inputs it was 2.0 to 5.8, of others at most 1.8.
BLOCKED, CLEAR = 0.15, 0.3
EXCESS = 1.9


def doubts(
    degraded: Tensor, restored: Tensor, kernel: Tensor, residual: Tensor, noise_level: float
) -> tuple[str, ...]:
    """Why the result should not be trusted, in words; nothing where it may be.

    Args:
        degraded, restored: (1, C, H, W) in [0, 1], as shown.
        kernel: (h, w).
        residual: y − A x̂ of any shape, in the units of `noise_level`.
    """
    found = []
    left = float(residual.square().mean().sqrt())
    if noise_level > 0 and left > MISFIT * noise_level:
        found.append(
            f"what the result does not explain of the picture is {left / noise_level:.1f} times "
            f"the noise level: the noise is stronger (about {255 * left:.2g}/255 as --sigma), or "
            "the kernel is another; do not trust its details"
        )
    ratio = blocked_power(restored, kernel)
    if ratio is not None and ratio > EXCESS:
        found.append(
            "the result may be worse than the input: it is strongest where the kernel lets hardly "
            f"anything through ({ratio:.1f} times as strong as beside that), which is amplified "
            "noise or the ringing of a wrong kernel; raise --sigma or --strength, or give another "
            "kernel"
        )
    if variation(restored) <= variation(degraded):
        found.append(
            "the result is no sharper than the input: at this noise level there is little to "
            "restore. If the input is cleaner than that, lower --sigma or --strength"
        )
    return tuple(found)


def blocked_power(picture: Tensor, kernel: Tensor) -> float | None:
    """Power at the frequencies that a kernel nearly blocks, to that beside them.

    Ring by ring of the frequency plane, so that the fall of a picture's spectrum matters little;
    None where the kernel blocks too few.
    """
    if not bool(torch.isfinite(picture).all()):
        return None
    seen = spectrum(picture)
    passed = seen.passed(kernel)
    if passed is None:
        return None
    weak = strong = 0.0
    for low, high in pairwise(EDGES[1:]):
        ring = (seen.radius >= low) & (seen.radius < high)
        blocked = ring & (passed < BLOCKED**2)
        if int(blocked.sum()) < ENOUGH:
            continue
        beside = ring & (passed > CLEAR**2)
        # A round kernel blocks a ring as a whole.
        level = (
            seen.power[beside].mean() if int(beside.sum()) > ENOUGH else seen.power[ring].median()
        )
        weak += float(seen.power[blocked].mean()) * int(ring.sum())
        strong += float(level) * int(ring.sum())
    return weak / strong if strong > 0 else None


def variation(picture: Tensor) -> float:
    """Mean absolute difference of neighbours."""
    return float(picture.diff(dim=-1).abs().mean() + picture.diff(dim=-2).abs().mean())
