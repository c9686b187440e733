"""What the fully sampled centre of k-space tells: coil maps, the phase of the picture, a scale.

All of it is a heuristic of which nothing is proven; what is proven later is proven of the operator
with these maps and this phase, whatever they are. Maps are low-resolution coil images over their
root sum of squares, as in Pruessmann et al. 1999 and Roemer et al. 1990: they are normalised at
every pixel, so that the norm of the operator is 1 up to rounding, and the phase of the picture is
in them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.mri import centred_fft, centred_ifft
from pnp_recon.errors import InputError

# The centre is cut to a square of at most so many frequencies: maps and phases are smoother.
LARGEST = 32
# Fewer frequencies tell nothing of maps.
LEAST = 4
# The outermost share of the sampled frequencies, where noise is looked for.
OUTER = 0.1
# Coils whose noise is so many times the usual are said.
UNLIKE = 4.0
# Pictures have little in the corners of their field of view; so many times the middle is odd. A
# border has less than this share of their power.
SURELY, AIR = 1.5, 0.5
# Median of the modulus of complex normal noise with deviation 1 in each part (Rayleigh).
RAYLEIGH = math.sqrt(2 * math.log(2))


def centre_side(mask: Tensor) -> int:
    """Side of the largest centred square of k-space that is fully sampled, at most `LARGEST`."""
    height, width = mask.shape
    side = 0
    for half in range(1, min(height, width, LARGEST) // 2 + 1):
        rows = slice(height // 2 - half, height // 2 + half)
        if not bool(mask[rows, width // 2 - half : width // 2 + half].all()):
            break
        side = 2 * half
    return side


def low_resolution(data: Tensor, mask: Tensor) -> Tensor:
    """Coil images of the centre alone under a raised cosine, (N, H, W) complex.

    Args:
        data: k-space (N, H, W), complex.
        mask: (H, W), True where sampled.

    Raises:
        InputError: the centre is not fully sampled.
    """
    side = centre_side(mask)
    if side < LEAST:
        raise InputError(
            f"only {side}×{side} frequencies around zero are sampled without a gap, expected at "
            f"least {LEAST}×{LEAST} to see coil maps and phase; give the maps (--maps FILE), or "
            "measure the centre"
        )
    height, width = mask.shape
    taper = torch.cos(math.pi * (torch.arange(side, dtype=torch.float64) - side // 2) / (side + 1))
    taper = taper.square().to(data.device, data.real.dtype)
    block = torch.zeros_like(data)
    rows = slice(height // 2 - side // 2, height // 2 + side // 2)
    columns = slice(width // 2 - side // 2, width // 2 + side // 2)
    block[..., rows, columns] = data[..., rows, columns] * taper[:, None] * taper
    return centred_ifft(block)


def with_centred_picture(data: Tensor) -> Tensor:
    """k-space (N, H, W) of the picture moved from its first corner to the middle.

    What the FFT of a picture gives that was not shifted before, `fftshift(fft2(x))`, is that of
    the picture moved by half its size; here it is moved back. Every frequency keeps its modulus.
    """
    return centred_fft(torch.fft.ifftshift(centred_ifft(data), (-2, -1)))


def corners_over_middle(values: Tensor) -> float:
    """Power of (N, H, W) in the outer quarters at the four corners, over that in the middle."""
    power = values.abs().square().sum(0)
    height, width = power.shape
    rows, columns = height // 4, width // 4
    inside, outside = (
        float(one[rows : height - rows, columns : width - columns].sum())
        for one in (power, torch.fft.ifftshift(power))
    )
    return outside / inside if inside > 0 else math.inf


def moved_by_half(images: Tensor) -> bool:
    """Does the picture (N, H, W) lie in the corners of its field of view, with its border amidst?

    A heuristic, whose rates `docs/results/heuristics.md` counts. Bright corners alone are a bright
    background as often as a picture that was moved. That one has its border, and there air, along
    the middle row and column, out to their ends; a background is there as bright as in the corners.
    """
    if corners_over_middle(images) <= SURELY:
        return False
    power = images.abs().square().sum(0)
    height, width = power.shape
    tall, wide = max(1, height // 8), max(1, width // 8)
    rows, columns = (
        slice(n // 2 - max(1, n // 32), n // 2 + max(1, n // 32)) for n in (height, width)
    )
    ends = (power[rows, :wide], power[rows, -wide:], power[:tall, columns], power[-tall:, columns])
    tall, wide = height // 4, width // 4
    corners = (power[:tall], power[-tall:])
    corner = torch.cat([torch.cat([one[:, :wide], one[:, -wide:]]) for one in corners]).mean()
    return max(float(one.mean()) for one in ends) < AIR * float(corner)


def root_sum_of_squares(images: Tensor) -> Tensor:
    """√Σ|I_c|² of coil images (N, H, W): (H, W), real."""
    return torch.linalg.vector_norm(images, dim=0)


def estimated_maps(images: Tensor) -> Tensor:
    """Coil maps (N, H, W), Σ|s_c|² = 1 at every pixel, of low-resolution coil images."""
    total = root_sum_of_squares(images)
    even = torch.full_like(images, len(images) ** -0.5)
    return torch.where(total > 0, images / total.clamp_min(torch.finfo(total.dtype).tiny), even)


def normalised(maps: Tensor) -> Tensor:
    """Maps scaled to Σ|s_c|² = 1 where they are not zero, so that ‖A‖ ≤ 1."""
    total = root_sum_of_squares(maps)
    return torch.where(total > 0, maps / total.clamp_min(torch.finfo(total.dtype).tiny), maps)


def smooth_phase(images: Tensor, maps: Tensor | None) -> Tensor:
    """The phase (H, W) of a low-resolution picture: of its coils combined by the maps."""
    combined = images.sum(0) if maps is None else (maps.conj() * images).sum(0)
    return combined.angle()


def global_phase(picture: Tensor) -> float:
    """The angle after whose removal most of the energy is real, and the sum not negative.

    ½ arg Σ x² maximises Σ Re(e^{−iφ} x)².
    """
    wide = picture.to(torch.complex128)
    angle = 0.5 * float(wide.square().sum().angle())
    turned = float((wide.sum() * torch.polar(torch.ones(()), torch.tensor(-angle))).real)
    return angle if turned >= 0 else angle + math.pi


def noise_level(data: Tensor, mask: Tensor) -> float:
    """Standard deviation of the noise in each part of k-space, from its outermost frequencies.

    The median modulus among the tenth of the sampled frequencies that lie farthest from zero,
    over that of complex normal noise: an estimate, too high where the picture has detail there.

    Args:
        data: (N, H, W), complex.
        mask: (H, W), True where sampled.

    Raises:
        InputError: nothing is left but zeros.
    """
    found = _outermost(data, mask).median()
    if not float(found) > 0:
        raise InputError(
            "--sigma auto: the outermost frequencies are zero (they were filled, or filtered "
            "away), so that the noise cannot be seen there; give its level"
        )
    return float(found) / RAYLEIGH


def unlike_noise(data: Tensor, mask: Tensor) -> tuple[str, ...]:
    """A sentence where the noise of one coil (`noise_level` of it alone) is far above the usual."""
    levels = _outermost(data, mask).median(1).values
    usual = float(levels.median())
    loud = torch.nonzero(levels > UNLIKE * usual).flatten().tolist()
    if not loud or not usual > 0:
        return ()
    return (
        f"coil {loud[0]} has {float(levels[loud[0]]) / usual:.3g} times the noise of the others: "
        "one level is taken for all; whiten the coils, or leave this one out",
    )


def _outermost(data: Tensor, mask: Tensor) -> Tensor:
    """Moduli (N, count) of the sampled frequencies that lie farthest from zero."""
    height, width = mask.shape
    row = (torch.arange(height, device=mask.device) - height // 2)[:, None] / height
    column = (torch.arange(width, device=mask.device) - width // 2) / width
    distance = (row.square() + column.square()).masked_fill(~mask, -1.0)
    count = max(1, round(OUTER * int(mask.sum())))
    return data.abs().flatten(1)[:, distance.flatten().topk(count).indices]
