"""
Read a certificate
==================

What is proven, what was checked on the run, and what only you declared.
"""

import matplotlib.pyplot as plt
import torch

from pnp_recon import Stopping, load_denoiser, reconstruct
from pnp_recon.files import shipped
from pnp_recon.operators import Convolution, kernels
from pnp_recon.pictures import read_picture, to_grey

x = to_grey(read_picture(shipped("samples/camera.png")).pixels[..., 100:196, 180:276])
A = Convolution(kernels.disk(3.0), x.shape[1:], boundary="circular")
y = A.A(x) + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
denoiser = load_denoiser("euler_grey")
solution = reconstruct(
    y, A, denoiser, noise_level=0.02, strength=1, stopping=Stopping(tol=1e-5), acceleration="none"
)
certificate = solution.certificate

# %%
# The verdict in a line, in a word, and whether anything hangs on your word:

print(certificate.verdict)
print(certificate.label, certificate.conditions)

# %%
# **Proven**: constants, each an upper bound for the weights and the operator that ran. Power
# iteration gives lower bounds and is never among them.

for constant in certificate.constants:
    print(constant)

# %%
# **Checked**: laws that the theorem implies, on this run. One broken law would make the verdict
# read FAILED: the proof would then be about something else than what ran.

for observation in certificate.observed:
    print(observation)

# %%
# The residuals of an averaged map never increase, and lie below their bound:

history = solution.history
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
axis.loglog([row[0] for row in history.residuals], label="‖z_{k+1} − z_k‖")
if history.bounds:
    axis.loglog([row[0] for row in history.bounds], "--", label="the theorem's bound")
axis.set_xlabel("iteration")
axis.legend()

# %%
# Without a theorem the words say why. bfloat16 rounds more than any theorem here covers:

fast = load_denoiser("euler_grey", precision="bfloat16")
print(
    reconstruct(
        y, A, fast, noise_level=0.02, strength=1, stopping=Stopping(max_iter=5)
    ).certificate.verdict
)
