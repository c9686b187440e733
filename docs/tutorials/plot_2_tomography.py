"""
Reconstruct a scan
==================

A disc with holes is projected at 40 angles and reconstructed by filtered back-projection, by
total variation and by a learned energy. Needs ``pip install 'pnp-recon[ct]'``.
"""

import matplotlib.pyplot as plt
import torch

from pnp_recon import Stopping, reconstruct
from pnp_recon.operators import RayTransform, fbp, parallel_beam
from pnp_recon.pictures import psnr

side = 64
row, column = torch.meshgrid(*(torch.linspace(-1, 1, side),) * 2, indexing="ij")
x = (row**2 + column**2 < 0.7).float() * 0.5
for i in range(5):
    inside = (row - 0.5 + 0.25 * i) ** 2 + (column - 0.15 * (i - 2)) ** 2 < 0.012
    x[inside] = 0.2 * i
x = x[None, None]

# %%
# The ray transform is ODL's with its Euclidean transpose and a bracket of its norm that is
# proven.

A = RayTransform(parallel_beam(40, side), (1, side, side))
print(A.norm_certificate)
clean = A.A(x)
sigma = 0.01 * float(clean.max())
y = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))

# %%
# One call each; the certificate says what is proven.

stopping = Stopping(tol=1e-3, max_iter=600)
tv = reconstruct(y, A, "tv", noise_level=sigma, stopping=stopping)
energy = reconstruct(y, A, "energy_grey", noise_level=sigma, strength=1, stopping=stopping)
print(tv.certificate.label, "|", energy.certificate.label)

shown = {"filtered back-projection": fbp(A, y), "tv": tv.image, "energy_grey": energy.image}
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for axis, (name, picture) in zip(axes, {**shown, "true": x}.items(), strict=True):
    quality = "" if name == "true" else f", {float(psnr(picture.clamp(0, 1), x)):.1f} dB"
    axis.imshow(picture[0, 0], cmap="gray", vmin=0, vmax=1)
    axis.set_title(name + quality, fontsize=10)
    axis.set_axis_off()
