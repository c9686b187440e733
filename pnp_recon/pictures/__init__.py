"""Pictures: files of every kind <-> tensors, masks and kernels from files, colour, and quality.

    from pnp_recon.pictures import psnr, read_picture, write_picture

    picture = read_picture("photo.jpg")             # .pixels (1, C, H, W) in [0, 1]
    write_picture("restored.png", x, like=picture)  # its depth, alpha and colour profile

Names are resolved when they are first used (PEP 562): the modules load torch, this does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.registry import by_need

if TYPE_CHECKING:
    from pnp_recon.pictures.colour import linear_to_srgb, srgb_to_linear, to_grey
    from pnp_recon.pictures.crops import centre_crop
    from pnp_recon.pictures.files import Picture, read_picture, write_picture
    from pnp_recon.pictures.kernels import load_kernel
    from pnp_recon.pictures.masks import read_mask
    from pnp_recon.pictures.metrics import psnr, ssim

__all__ = [
    "Picture",
    "centre_crop",
    "linear_to_srgb",
    "load_kernel",
    "psnr",
    "read_mask",
    "read_picture",
    "srgb_to_linear",
    "ssim",
    "to_grey",
    "write_picture",
]

_HOMES = {
    "linear_to_srgb": "colour",
    "srgb_to_linear": "colour",
    "to_grey": "colour",
    "centre_crop": "crops",
    "Picture": "files",
    "read_picture": "files",
    "write_picture": "files",
    "load_kernel": "kernels",
    "read_mask": "masks",
    "psnr": "metrics",
    "ssim": "metrics",
}


__getattr__ = by_need(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
