"""
Bring your own denoiser
=======================

Any function of a picture and a noise level runs in the plug-and-play solvers. Without a
declaration there is no guarantee, and the certificate says so; with one it reads "certified if
…".
"""

import torch
from skimage.filters import gaussian

from pnp_recon import guarantees, reconstruct, wrap
from pnp_recon.operators import Convolution, kernels

x = torch.zeros(1, 1, 48, 48)
x[..., 12:36, 12:36] = 0.8
A = Convolution(kernels.gaussian(1.5), x.shape[1:], boundary="circular")
y = A.A(x) + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))

# %%
# A smoothing by scikit-image, of which nothing is known to the package:


def smooth(picture, sigma):
    """Width by noise level; (B, C, H, W) to the same."""
    made = gaussian(picture.numpy(), sigma=(0, 0, 20 * sigma, 20 * sigma))
    return torch.from_numpy(made).to(picture)


unknown = wrap(smooth, "smooth")
solution = reconstruct(y, A, unknown, noise_level=0.02, solver="pnp-pgd", strength=1)
print(solution.certificate.verdict)

# %%
# A map of which you know that it is firmly nonexpansive:

shrink = wrap(
    lambda x, sigma: x / (1 + sigma), "shrink", guarantees.firm("a multiple of the identity")
)
solution = reconstruct(y, A, shrink, noise_level=0.02, strength=1)
print(solution.certificate.label, *solution.certificate.conditions, sep="\n  ")
