"""
Fill holes
==========

Half of the pixels are missing. What stands at a missing pixel is never looked at.
"""

import matplotlib.pyplot as plt
import torch

from pnp_recon import reconstruct
from pnp_recon.files import shipped
from pnp_recon.operators import Inpainting
from pnp_recon.operators.masks import random_pixels
from pnp_recon.pictures import psnr, read_picture
from pnp_recon.proximal import TotalVariation

x = read_picture(shipped("samples/coffee.png")).pixels[..., 40:136, 200:296]
mask = random_pixels(x.shape[-2:], 0.5, torch.Generator().manual_seed(0))
A = Inpainting(mask, x.shape[1:])

# %%
# Without noise the known pixels stay as they are: the solver projects onto them.

tv = reconstruct(A.A(x), A, TotalVariation(0.002, "vectorial", box=(0, 1)), noise_level=0.0)
learned = reconstruct(A.A(x), A, "euler_colour", noise_level=0.0, strength=1)
print(tv.solver, tv.certificate.verdict)
print(learned.solver, learned.certificate.verdict)

shown = {"known": A.A(x), "total variation": tv.image, "euler_colour": learned.image, "true": x}
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for axis, (name, picture) in zip(axes, shown.items(), strict=True):
    quality = (
        f", {float(psnr(picture.clamp(0, 1), x)):.1f} dB" if name not in ("known", "true") else ""
    )
    axis.imshow(picture[0].clamp(0, 1).permute(1, 2, 0))
    axis.set_title(name + quality, fontsize=10)
    axis.set_axis_off()
