"""What is differentiated in training: denoising, and the error at the critical point of an energy.

A loss is a pair: what is differentiated, and the number that is reported. Nothing looks at a number
on the device, so that a step can be captured in a CUDA graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pnp_recon.networks.energies.conjugate import solve
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.ridge import RidgeNet
from scripts.accelerator.data import Patches
from scripts.accelerator.evaluate import blur, trajectory_kernel, transfer

Loss = tuple[Tensor, Tensor]
Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
# Noise levels of the training, σ·255; the root of the level is uniform.
LEVELS = (0.5, 50.0)


def draw_levels(batch: int, device: torch.device) -> Tensor:
    low, high = (math.sqrt(level) for level in LEVELS)
    return (low + (high - low) * torch.rand(batch, device=device)).square() / 255


def expected_error(sigma: Tensor) -> Tensor:
    """About the mean squared error of a good denoiser: 1e-4 at σ·255 = 5, with exponent 1.3."""
    return 1e-4 * (sigma * 51) ** 1.3


def root_error(error: Tensor, sigma: Tensor) -> Tensor:
    """Mean over the batch of the root of the squared error relative to the expected one."""
    return (error.square().mean((1, 2, 3)) / expected_error(sigma) + 1e-3).sqrt().mean()


def noisy_patches(data: Patches, batch: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy and clean patches, and their levels."""
    clean = data.draw(batch, size)
    sigma = draw_levels(batch, clean.device)
    return clean + sigma[:, None, None, None] * torch.randn_like(clean), clean, sigma


class ProximalLoss:
    """The error of the proximal map of a ridge energy, by implicit differentiation.

    With H = I + ∇²R at the proximal point x, the derivative of the loss is that of −⟨v, ∇R(x)⟩ with
    H v = dloss/dx, solved by conjugate gradients.

    Attributes:
        residual: how far the inner iterations were from the proximal point, relative to the move.
    """

    def __init__(self, energy: RidgeNet, iterations: int, cg: int, device: torch.device) -> None:
        self.energy, self.iterations, self.cg = energy, iterations, cg
        self.residual = torch.zeros((), device=device)

    def __call__(self, noisy: Tensor, clean: Tensor, sigma: Tensor) -> Loss:
        energy = self.energy
        w, pot = energy.normalised_filters(), energy.potentials(sigma)
        fixed, still = tuple(k.detach() for k in w), pot.detach()
        with torch.no_grad():
            x = energy.prox(noisy, fixed, still, self.iterations)
        leaf = x.detach().requires_grad_()
        loss = root_error(leaf - clean, sigma)
        (b,) = torch.autograd.grad(loss, leaf)
        with torch.no_grad():
            bend = energy.hessian(x, fixed, still)
        v = solve(lambda u: u + bend(u), b, self.cg)
        gradient = energy.gradient_with(x, w, pot)
        with torch.no_grad():
            self.residual.copy_((x - noisy + gradient).norm() / (x - noisy).norm())
        return -(v * gradient).sum(), loss.detach()


class CriticalLoss:
    """The error at the critical point of ½‖Ax − y‖² + λR_σ(x), three blurs to one mask.

    It is differentiated with the identity in place of ∇²R: v = (AᵀA + λ)⁻¹ dloss/dx. That is not
    the derivative, and training with it diverged (see README.md); it is here to be mended.

    Attributes:
        coupling: three trained numbers, of which λ is made for each level and ratio.
    """

    def __init__(
        self, energy: GradientStepNet, data: Patches, patch: int, warm: int, device: torch.device
    ) -> None:
        self.energy, self.data, self.patch, self.warm, self.device = (
            energy, data, patch, warm, device,
        )  # fmt: skip
        self.coupling = nn.Parameter(torch.zeros(3, device=device))
        self.gradient: Gradient = energy.value_and_gradient
        kernels = [trajectory_kernel(9 + 2 * (i % 9), seed=1000 + i) for i in range(48)]
        q = torch.arange(25) - 12.0
        for i in range(16):
            g = torch.exp(-0.5 * (q / (0.6 + 0.2 * i)) ** 2)
            kernels.append(g[:, None] * g[None, :] / g.sum() ** 2)
        fitting = [k for k in kernels if k.shape[0] <= patch]
        self.kernels = torch.stack([transfer(k, patch) for k in fitting]).to(device)

    def __call__(self, batch: int) -> Loss:
        device, size = self.device, self.patch
        clean, cut = self.data.draw(batch, size), max(1, batch // 4)
        level, sigma, weight = self._levels(batch)
        chosen = torch.randint(len(self.kernels), (batch - cut,), device=device)
        k = self.kernels[chosen][:, None]
        k2 = k.abs().square()
        mask = (torch.rand(cut, 1, size, size, device=device) < 0.5).float()
        noise = level[:, None, None, None] * torch.randn_like(clean)
        y = torch.cat((mask * (clean[:cut] + noise[:cut]), blur(clean[cut:], k) + noise[cut:]))
        back = torch.cat((y[:cut], blur(y[cut:], k.conj())))

        def solve(rhs: Tensor, c: Tensor) -> Tensor:
            """(AᵀA + c)⁻¹ rhs."""
            two = torch.fft.rfft2(rhs[cut:]) / (k2 + c[cut:])
            return torch.cat((rhs[:cut] / (mask + c[:cut]), torch.fft.irfft2(two, s=(size, size))))

        fixed = weight.detach()[:, None, None, None]
        with torch.no_grad():
            mean = (mask * clean[:cut]).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True)
            x = torch.cat((mask * y[:cut] + (1 - mask) * mean, y[cut:]))
            z = x
            for i in range(self.warm):
                g = self.gradient(z, sigma)[1]
                new = solve(back + fixed * (1.3 * z - g), fixed * 1.3)
                z = new + (i / (i + 3)) * (new - x)
                x = new
            x = x.clamp(-0.5, 1.5)
        leaf = x.detach().requires_grad_()
        error = (leaf - clean).square().mean((1, 2, 3))
        loss = (error / (expected_error(level) * 6) + 1e-3).sqrt().mean()
        (b,) = torch.autograd.grad(loss, leaf)
        with torch.no_grad():
            v = solve(b, fixed)
        residual = torch.cat((mask * x[:cut], blur(x[cut:], k2))) - back
        total = residual + weight[:, None, None, None] * self.gradient(x, sigma)[1]
        return -(v.detach() * total).sum(), loss.detach()

    def _levels(self, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Noise of the data, σ of the energy, and λ."""

        def uniform(low: float, high: float) -> Tensor:
            return torch.empty(batch, device=self.device).uniform_(low, high)

        level = torch.exp(uniform(0.0, math.log(20.0))) / 255
        sigma = (torch.exp(uniform(0.0, math.log(6.0))) * level).clamp_max(50 / 255)
        ratio = sigma / level
        features = (torch.ones_like(level), torch.log(level / 0.03), torch.log(ratio))
        t = torch.stack(features, -1) @ self.coupling
        return level, sigma, torch.exp(t + uniform(-0.35, 0.35)) / ratio**2
