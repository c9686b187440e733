"""
Deblur a photograph
===================

A photograph is blurred by a motion of nine pixels, seen with noise, and restored with a
certificate.
"""

# %%
# The measurement
# ---------------
# Pictures are tensors (B, C, H, W) in [0, 1]; a blur is an operator with a proven norm. Here it
# wraps around at the border; photographs do not, and for them ``boundary="valid"`` leaves what lies
# beyond the border unknown.

import matplotlib.pyplot as plt
import torch

from pnp_recon import load_denoiser, reconstruct
from pnp_recon.files import shipped
from pnp_recon.operators import Convolution, kernels
from pnp_recon.pictures import psnr, read_picture

x = read_picture(shipped("samples/chelsea.png")).pixels[..., 60:188, 140:268]
A = Convolution(kernels.linear_motion(length=9, angle=30), x.shape[1:], boundary="circular")
y = A.A(x) + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))

# %%
# The reconstruction
# ------------------
# ``euler_colour`` is an averaged denoiser; any strength keeps the theorem. The energy, which is
# the default of the commands, gives the better picture and takes longer.

averaged = reconstruct(y, A, load_denoiser("euler_colour"), noise_level=0.01, strength=1)
energy = reconstruct(y, A, "energy_colour", noise_level=0.01, strength=1)
for solution in (averaged, energy):
    print(solution.status.name, *solution.certificate.lines(), sep="\n")

# %%
# The pictures
# ------------

shown = {"measured": y, "euler_colour": averaged.image, "energy_colour": energy.image, "true": x}
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for axis, (name, picture) in zip(axes, shown.items(), strict=True):
    quality = "" if name == "true" else f", {float(psnr(picture.clamp(0, 1), x)):.1f} dB"
    axis.imshow(picture[0].clamp(0, 1).permute(1, 2, 0))
    axis.set_title(name + quality, fontsize=10)
    axis.set_axis_off()

# %%
# The same from the command line, where kernel and noise are estimated:
#
# .. code-block:: sh
#
#    pnp-deblur photo.jpg --kernel motion
