"""Losses of energies as denoisers. A loss is a pair: what is differentiated, and what is reported.

Nothing looks at a number on the device, so that a step can be captured in a CUDA graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnp_recon.networks.energies.conjugate import solve
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.ridge import RidgeNet

Loss = tuple[Tensor, Tensor]
# The potentials of ridge energies learn faster than the filters: factors of the rate, by name.
RATES = {"log_scale": 3.0, "logit_mu": 5.0, "rise": 10.0, "fall": 10.0, "drop": 10.0}


def expected_error(sigma: Tensor) -> Tensor:
    """About the mean squared error of a good denoiser: 1e-4 at σ·255 = 5, with exponent 1.3."""
    return 1e-4 * (sigma * 51) ** 1.3


def root_error(error: Tensor, sigma: Tensor) -> Tensor:
    """Mean over the batch of the root of the squared error relative to the expected one."""
    return (error.square().mean((1, 2, 3)) / expected_error(sigma) + 1e-3).sqrt().mean()


def direct_loss(energy: Energy, noisy: Tensor, clean: Tensor, sigma: Tensor) -> Loss:
    """The error of a denoiser that is a feed-forward graph."""
    loss = root_error(energy.denoise(noisy, sigma) - clean, sigma)
    return loss, loss.detach()


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
