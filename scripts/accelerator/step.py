"""Energy, data and update, and the training step in the fastest form that works on the device.

On a GPU the step is captured in a CUDA graph, as it is and with a compiled core. Schedules and
files are not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.networks.energies import potentials
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.networks.energies.ridge import RidgeNet
from pnp_recon.training.energy.denoising import RATES
from scripts.accelerator.data import Patches, split
from scripts.accelerator.losses import CriticalLoss, Loss, ProximalLoss, noisy_patches, root_error
from scripts.accelerator.optimiser import Optimiser
from scripts.accelerator.settings import Settings

Run = Callable[[], None]


def log(name: str, *parts: object) -> None:
    print(f"[{time.strftime('%H:%M:%S')} {name}]", *parts, flush=True)


@dataclass
class Phase:
    """A stretch of training: until this part of the budget, in this arithmetic, with this loss."""

    end: float
    dtype: torch.dtype | None
    kind: str  # "denoise" or "critical"


class Stepper:
    """A training step of one energy.

    Attributes:
        losses: sum and count of the finite losses since they were last set to nought.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.device = settings, torch.device(settings.device)
        torch.manual_seed(settings.seed)
        self.energy = settings.network().to(self.device)
        self.split = split(settings.data)
        pictures = self.split.training[: settings.pictures or None]
        self.data = Patches(pictures, self.energy.config.channels, self.device)
        self.losses = torch.zeros(2, device=self.device)
        self.proximal: ProximalLoss | None = None
        self.critical: CriticalLoss | None = None
        named = dict(self.energy.named_parameters())
        if isinstance(self.energy, RidgeNet):
            self.proximal = ProximalLoss(self.energy, settings.inner, settings.cg, self.device)
        elif isinstance(self.energy, GradientStepNet) and settings.critical > 0:
            self.critical = CriticalLoss(self.energy, self.data, settings.patch, settings.seed)
        self.core: Callable[[Tensor, Tensor, Tensor], Tensor] = self._denoising_error
        self.optimiser = Optimiser(
            named,
            self.energy.inner_filters(),
            settings.muon_rate,
            settings.adam_rate,
            settings.clip,
            settings.decay,
            RATES if self.proximal else {},
        )

    def step(self, phase: Phase) -> None:
        batch = self.settings.batch
        if isinstance(self.energy, GradientStepNet):
            self.energy.compute_dtype = phase.dtype
        if phase.kind == "critical" and self.critical is not None:
            first, found = self._denoise(batch // 2)
            second, loss = self.critical(max(2, batch // 4))
            differentiated, loss = first + second, loss + found
        else:
            differentiated, loss = self._denoise(batch)
        params = self.optimiser.params
        grads = torch.autograd.grad(differentiated, params, allow_unused=True)
        full = [torch.zeros_like(p) if g is None else g for g, p in zip(grads, params, strict=True)]
        self.optimiser.step(full, loss + 0 * differentiated.detach())
        fine = torch.isfinite(loss)
        counted = torch.stack((torch.where(fine, loss, torch.zeros_like(loss)), fine.float()))
        self.losses.add_(counted)

    def mean_loss(self) -> float:
        """The mean of the finite losses since the last call; nan if half of them were not."""
        total, count = self.losses.tolist()
        self.losses.zero_()
        return total / count if count >= self.settings.every / 2 else float("nan")

    def average(self) -> Energy:
        """The energy with averaged weights, for evaluation."""
        energy = self.settings.network().to(self.device)
        energy.load_state_dict(self.averages())
        return energy.eval().requires_grad_(False)

    def averages(self) -> dict[str, Tensor]:
        pairs = zip(self.optimiser.names, self.optimiser.average, strict=True)
        return {name: a.float() for name, a in pairs}

    # ---- losses ----------------------------------------------------------------------------------

    def _denoising_error(self, noisy: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
        return root_error(self.energy.denoise(noisy, sigma) - clean, sigma)

    def _denoise(self, batch: int) -> Loss:
        noisy, clean, sigma = noisy_patches(self.data, batch, self.settings.patch)
        if self.proximal is not None:
            return self.proximal(noisy, clean, sigma)
        loss = self.core(noisy, clean, sigma)
        return loss, loss.detach()

    # ---- forms of the step -----------------------------------------------------------------------

    def variants(self, phase: Phase, wanted: Sequence[str]) -> dict[str, Run]:
        """The forms of the step that work here; building them learns nothing.

        Raises:
            RuntimeError: none works.
        """
        found: dict[str, Run] = {}
        saved = self._at_rest()
        for mode in wanted:
            began = time.time()
            try:
                self._compile("compile" in mode)
                if "graph" in mode:
                    found[mode] = self._captured(phase)
                else:
                    self.step(phase)
                    found[mode] = lambda: self.step(phase)
                took = time.time() - began
                log(self.settings.name, f"built {mode} for {phase} in {took:.1f} s")
            except Exception as error:  # a form that fails on this machine is not used
                words = f"{mode} failed: {type(error).__name__}: {str(error)[:400]}"
                log(self.settings.name, words)
                self.wait()
        self._go_on(saved)
        if not found:
            raise RuntimeError("no form of the step works")
        return found

    def seconds(self, run: Run, steps: int = 10) -> float:
        """Seconds for a step; nothing is learned."""
        saved = self._at_rest()
        run()
        self.wait()
        began = time.time()
        for _ in range(steps):
            run()
        self.wait()
        took = (time.time() - began) / steps
        self._go_on(saved)
        return took

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _at_rest(self) -> dict[str, Tensor]:
        saved = self.optimiser.snapshot()
        self.optimiser.rate.zero_()
        self.optimiser.average_rate.zero_()
        return saved

    def _go_on(self, saved: dict[str, Tensor]) -> None:
        self.optimiser.load(saved)
        self.optimiser.skipped.zero_()
        self.losses.zero_()

    def _captured(self, phase: Phase) -> Run:
        """The step as a CUDA graph."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step(phase)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self.step(phase)
        torch.cuda.synchronize()
        return graph.replay

    def _compile(self, on: bool) -> None:
        def made(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
            return torch.compile(function, dynamic=False) if on else function

        if isinstance(self.energy, RidgeNet):
            self.energy.secant = made(potentials.secant)
            self.energy.slope = made(potentials.slope)
            return
        self.core = made(self._denoising_error)
