"""Classical deblurring for the tables: vectorial total variation, and Wiener's filter."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from operators import LinearOperator
from pnp_recon import reconstruct
from pnp_recon.proximal import TotalVariation
from pnp_recon.solvers import Stopping


def total_variation(A: LinearOperator, y: Tensor, weight: float) -> Tensor:
    """argmin ½‖A x − y‖² + weight·TV(x) over the box [0, 1], by PDHG to a residual of 1e-5.

    TV is isotropic and vectorial: the gradients of all channels of a pixel share one norm
    (Blomgren & Chan 1998), the stronger choice for colour. `y` is (B, C, H, W).
    """
    prior = TotalVariation(weight, "vectorial", box=(0.0, 1.0))
    return reconstruct(y, A, prior, stopping=Stopping(tol=1e-5, max_iter=3000)).image


def wiener(kernel: Tensor, y: Tensor, balance: float) -> Tensor:
    """Wiener–Hunt deconvolution (scikit-image), each channel by itself."""
    from skimage.restoration import wiener as wiener_hunt

    psf = kernel.double().numpy()
    planes = [wiener_hunt(plane.double().numpy(), psf, balance) for plane in y.flatten(0, 1)]
    return torch.from_numpy(np.stack(planes)).to(y).reshape(y.shape).clamp(0, 1)
