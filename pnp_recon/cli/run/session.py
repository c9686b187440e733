"""What the files of one call share: options, device, precision, and networks once loaded.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

import torch
from torch import Tensor

from pnp_recon.cli.run.options import Options, Precision
from pnp_recon.cli.shell import choose_device
from pnp_recon.models import load
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.unrolled import LearnedReconstruction


@dataclass
class Session(Generic[Options]):
    """Options, device, precision, and networks once loaded."""

    options: Options
    device: torch.device = field(init=False)
    dtype: torch.dtype = field(init=False)
    denoisers: dict[str, Denoiser] = field(default_factory=dict)
    _learned: LearnedReconstruction | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.device = choose_device(self.options.device)
        is_double = self.options.dtype == Precision.float64
        self.dtype = torch.float64 if is_double else torch.float32

    def denoiser(self, channels: int, model: str | None = None) -> Denoiser:
        """The denoiser that --denoiser names; `model` is what auto means, None: by channels."""
        name = self.options.denoiser
        if name == "auto":
            name = load.AUTO[channels] if model is None else model
        if name not in self.denoisers:
            self.denoisers[name] = load.load_denoiser(
                name, device=str(self.device), dtype=self.dtype
            )
        return self.denoisers[name]

    def learned(self) -> LearnedReconstruction | None:
        """The reconstruction network that --model names, if it names one."""
        name = self.options.model
        if self._learned is None and name is not None:
            self._learned = load.load_unrolled(name, device=str(self.device), dtype=self.dtype)
        return self._learned

    def tensor(self, values: Tensor) -> Tensor:
        return values.to(self.device, self.dtype)
