"""
Train and export a denoiser
===========================

A few steps of training on three pictures, the certificate of what came out, and its use. A real
training is the same with more of everything: ``pnp-train denoiser --data BSDS500``.
"""

import tempfile
from pathlib import Path

import torch

from pnp_recon import load_denoiser
from pnp_recon.files import shipped
from pnp_recon.models.export import export
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.pictures import psnr, read_picture, to_grey
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer

names = ("camera", "coffee", "chelsea")
pictures = [to_grey(read_picture(shipped(f"samples/{name}.png")).pixels) for name in names]
bytes_ = [(p[0] * 255).round().byte() for p in pictures]

# %%
# The network is a chain of Euler steps of a gradient flow, averaged by construction: training
# cannot lose the guarantee.

config = EulerConfig(
    channels=1, width=16, hidden=16, blocks=4, kernel_size=3, activation="clip", lifting="haar"
)
recipe = DenoiserRecipe(steps=60, batch=4, patch=48, bf16=False)
folder = Path(tempfile.mkdtemp())
trainer = DenoiserTrainer(build_network(config, seed=0), recipe, bytes_, bytes_[:1], folder / "run")
trainer.run(print, every=30)

# %%
# Export proves the constants in float64, for every picture size, and writes weights and card.

network = trainer.average
network.certify()
card = export(network, folder, "mine", (recipe.sigma_min, recipe.sigma_max), {})
denoiser = load_denoiser(str(card))
print(denoiser.guarantee)

# %%
# It runs wherever a shipped model does: ``pnp-deblur photo.jpg --denoiser mine.json``.

x = pictures[0][..., 100:228, 180:308]
noisy = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
print(float(psnr(noisy, x)), float(psnr(denoiser(noisy, 0.1).clamp(0, 1), x)))
