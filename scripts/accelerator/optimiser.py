"""One fused update: Muon on inner filters, Adam on the rest, clipping, averaging.

It never asks the device for a number, so it can be captured in a CUDA graph. The rate is a device
scalar that the schedule sets; networks and losses are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def orthogonalise(m: Tensor, dtype: torch.dtype, steps: int = 5) -> Tensor:
    """Quintic Newton–Schulz iteration towards the orthogonal polar factor of m (n, r, c)."""
    x = m.to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.square().sum((-2, -1), keepdim=True).sqrt() + 1e-7)
    for _ in range(steps):
        g = x @ x.mT
        x = 3.4445 * x + (-4.7750 * g + 2.0315 * g @ g) @ x
    return (x.mT if tall else x).to(m.dtype)


class Optimiser:
    """Muon (filters of equal shape at once) and Adam; all state on the device.

    A step whose loss or gradient is not finite changes nothing and is counted in `skipped`.

    Args:
        named: the parameters.
        muon: those that move by an orthogonalised update.
        muon_rate, adam_rate: multiplied by `rate` in [0, 1].
        clip: largest norm of the gradient.
        decay: of Muon's parameters.
        adam_scale: factors of the rate, by the first part of a parameter's name.
    """

    MOMENTUM, BETAS = 0.95, (0.9, 0.99)

    def __init__(
        self,
        named: Mapping[str, nn.Parameter],
        muon: list[nn.Parameter],
        muon_rate: float,
        adam_rate: float,
        clip: float = 1.0,
        decay: float = 0.0,
        adam_scale: Mapping[str, float] | None = None,
    ) -> None:
        self.names, self.params = list(named), list(named.values())
        self.muon_rate, self.adam_rate, self.clip, self.decay = muon_rate, adam_rate, clip, decay
        ids = {id(p) for p in muon}
        self.adam = [i for i, p in enumerate(self.params) if id(p) not in ids]
        groups: dict[tuple[int, int], list[int]] = {}
        for i, p in enumerate(self.params):
            if id(p) in ids:
                groups.setdefault((p.shape[0], p[0].numel()), []).append(i)
        self.groups = list(groups.values())
        flat = torch.contiguous_format
        self.first = [torch.zeros_like(p, memory_format=flat) for p in self.params]
        self.second = [torch.zeros_like(self.params[i], memory_format=flat) for i in self.adam]
        self.average = [p.detach().clone(memory_format=flat) for p in self.params]
        scales = adam_scale or {}
        self.scale = [scales.get(self.names[i].split(".")[0], 1.0) for i in self.adam]
        device = self.params[0].device
        self.count, self.rate, self.skipped, self.norm = (
            torch.zeros((), device=device) for _ in range(4)
        )
        self.average_rate = torch.ones((), device=device)
        self.precision = torch.bfloat16 if device.type == "cuda" else torch.float32

    @torch.no_grad()
    def step(self, grads: list[Tensor], loss: Tensor) -> None:
        grads = [g.float().contiguous() for g in grads]
        norm = torch.stack(torch._foreach_norm(grads)).square().sum().sqrt()
        fine = torch.isfinite(norm) & torch.isfinite(loss)
        good = fine.float()
        self.skipped.add_(1 - good)
        self.norm.copy_(torch.where(fine, norm, self.norm))
        factor = torch.where(fine, self.clip / norm.clamp_min(self.clip), torch.zeros_like(norm))
        grads = [torch.where(fine, g, torch.zeros_like(g)) for g in grads]
        torch._foreach_mul_(grads, factor)
        self.count.add_(good)
        self._muon(grads, good)
        self._adam(grads, good)
        difference = torch._foreach_sub(self.params, self.average)
        torch._foreach_mul_(difference, self.average_rate)
        torch._foreach_add_(self.average, difference)

    def _muon(self, grads: list[Tensor], good: Tensor) -> None:
        live = self.rate * good * self.muon_rate
        for group in self.groups:
            g = torch.stack([grads[i].flatten(1) for i in group])
            m = torch.stack([self.first[i].flatten(1) for i in group])
            m = m * (1 - (1 - self.MOMENTUM) * good) + g * (1 - self.MOMENTUM)
            mixed = g * (1 - self.MOMENTUM) + m * self.MOMENTUM
            update = orthogonalise(mixed, self.precision)
            rows, columns = update.shape[1:]
            update = update * (live * max(1.0, rows / columns) ** 0.5)
            for j, i in enumerate(group):
                p = self.params[i]
                self.first[i].copy_(m[j].view(p.shape))
                if self.decay:
                    p.mul_(1 - live * self.decay)
                p.sub_(update[j].view(p.shape))

    def _adam(self, grads: list[Tensor], good: Tensor) -> None:
        b1, b2 = self.BETAS
        n = self.count.clamp_min(1)
        c1, c2 = 1 - b1**n, (1 - b2**n).sqrt()
        for scale, i, v in zip(self.scale, self.adam, self.second, strict=True):
            p, g, m = self.params[i], grads[i], self.first[i]
            m.add_((g - m) * ((1 - b1) * good))
            v.add_((g * g - v) * ((1 - b2) * good))
            live = self.rate * good * self.adam_rate * scale
            p.sub_((m / c1) / (v.sqrt() / c2 + 1e-10) * live)

    # ---- snapshots and checkpoints --------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Parameters, moments and averages, for an exact continuation."""
        found = {f"p.{n}": p.detach() for n, p in zip(self.names, self.params, strict=True)}
        found |= {f"m.{n}": m for n, m in zip(self.names, self.first, strict=True)}
        found |= {f"v.{self.names[i]}": v for i, v in zip(self.adam, self.second, strict=True)}
        found |= {f"a.{n}": a for n, a in zip(self.names, self.average, strict=True)}
        return found | {"count": self.count}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        for key, tensor in self.state().items():
            tensor.copy_(state[key])

    def snapshot(self) -> dict[str, Tensor]:
        return {key: tensor.detach().clone() for key, tensor in self.state().items()}
