"""How close a picture is to a reference, one number per picture of the batch.

Whole picture, no crop, no rounding; values outside [0, 1] count as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from pnp_recon.errors import InputError

# The Gaussian window of SSIM reaches 5 pixels to each side (3.5 standard deviations of 1.5).
SSIM_WINDOW = 11
LPIPS_WEIGHTS = "alexnet-owt-7be5be79.pth"


def psnr(
    x: Float[Tensor, "B C H W"], ref: Float[Tensor, "B C H W"], peak: float = 1.0
) -> Float[Tensor, " B"]:
    """Peak signal-to-noise ratio 10 log₁₀(peak² / mean (x − ref)²) in dB, per picture.

    Computed in float64; infinite for equal pictures, NaN where a value is NaN.

    Raises:
        InputError: shapes differ or are not (B, C, H, W), or `peak` is not positive.
    """
    if not peak > 0:
        raise InputError(f"peak is {peak}; expected the largest possible value, e.g. 1")
    return 10 * torch.log10(peak**2 / _mean_square(x, ref))


def psnr_clean_peak(
    x: Float[Tensor, "B C H W"], ref: Float[Tensor, "B C H W"]
) -> Float[Tensor, " B"]:
    """PSNR in dB whose peak is the maximum of each clean picture `ref`.

    The convention of Sherry et al. 2024 ("Designing stable neural networks using convex analysis
    and ODEs"); never above `psnr` for pictures in [0, 1]. NaN where `ref` has no positive value.
    """
    error = _mean_square(x, ref)
    peak = ref.double().flatten(1).amax(1)
    ratio = 10 * torch.log10(peak**2 / error)
    return torch.where(peak > 0, ratio, torch.nan)


def ssim(x: Float[Tensor, "B C H W"], ref: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Structural similarity (Wang, Bovik, Sheikh & Simoncelli 2004), per picture, at most 1.

    Gaussian weights of standard deviation 1.5 in an 11×11 window, data range 1, population
    covariance, mean over the positions where the window fits and over the channels: the paper's
    own setting, computed by scikit-image in float64 on the CPU.

    NaN for a picture with a side below 11 pixels, where the window does not fit.

    Raises:
        InputError: shapes differ or are not (B, C, H, W).
    """
    from skimage.metrics import structural_similarity

    _check_shapes(x, ref)
    if min(x.shape[-2:]) < SSIM_WINDOW:
        return torch.full((x.shape[0],), torch.nan, dtype=torch.float64)
    values = [
        structural_similarity(
            one.numpy(),
            clean.numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=0,
        )
        for one, clean in zip(_float64(x), _float64(ref), strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def lpips(x: Float[Tensor, "B C H W"], ref: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"] | None:
    """Learned perceptual distance (Zhang et al. 2018, AlexNet), or None where it is not installed.

    Computed by deepinv through torchmetrics, which has to be there, as have AlexNet's weights (in
    the folder `checkpoints` of torch's hub, see `LPIPS_WEIGHTS`): nothing is downloaded. Grey
    pictures count as three equal channels; values are clipped to [0, 1].
    """
    _check_shapes(x, ref)
    if min(x.shape[-2:]) < 64:  # AlexNet's pooling leaves nothing of less
        return None
    network = _lpips(str(x.device))
    if network is None:
        return None
    pair = [part.detach().float().clamp(0, 1).expand(-1, 3, -1, -1) for part in (x, ref)]
    return network(*pair).double().cpu().reshape(-1)


@cache
def _lpips(device: str) -> Callable[..., Tensor] | None:
    weights = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_WEIGHTS
    if find_spec("torchmetrics") is None or not weights.is_file():
        return None
    from deepinv.loss.metric import LPIPS

    network: Callable[..., Tensor] = LPIPS(device=device)
    return network


def _float64(x: Tensor) -> Tensor:
    return x.detach().to("cpu", torch.float64)


def _mean_square(x: Tensor, ref: Tensor) -> Tensor:
    _check_shapes(x, ref)
    return (x.double() - ref.double()).square().flatten(1).mean(1)


def _check_shapes(x: Tensor, ref: Tensor) -> None:
    if x.shape != ref.shape or x.ndim != 4 or not x.numel():
        raise InputError(
            f"pictures have shapes {tuple(x.shape)} and {tuple(ref.shape)}; expected two equal "
            "shapes (B, C, H, W)"
        )
