"""What the files of one call share: options, device, precision, and networks once loaded.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

import torch
from torch import Tensor

from pnp_recon.cli.run.flags import Precision
from pnp_recon.cli.run.options import Options
from pnp_recon.cli.run.timings import Stopwatch
from pnp_recon.cli.shell import choose_device
from pnp_recon.models import load
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction


@dataclass
class Session(Generic[Options]):
    """Options, device, precision, and networks once loaded.

    Attributes:
        heard: a line of text, once known, for whoever waits; None where nobody does.
        watch: seconds by stage of the input at hand; a case names what it does.
    """

    options: Options
    heard: Callable[[str], None] | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)
    device: torch.device = field(init=False)
    dtype: torch.dtype = field(init=False)
    priors: dict[str, Denoiser | LearnedEnergy] = field(default_factory=dict)
    _learned: LearnedReconstruction | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.device = choose_device(self.options.device)
        is_double = self.options.dtype == Precision.float64
        self.dtype = torch.float64 if is_double else torch.float32

    def say(self, line: str) -> None:
        """Says a line, where somebody waits for it."""
        if self.heard is not None:
            self.heard(line)

    def look_up(self) -> None:
        """Loads what --denoiser or --model names.

        Raises:
            WeightsError: there is no such model, or it is of another kind.
        """
        if self.options.denoiser != "auto":
            self.prior(self.options.denoiser)
        self.learned()

    def prior(self, name: str) -> Denoiser | LearnedEnergy:
        """The denoiser or energy of that name, once loaded.

        Raises:
            WeightsError: it is a reconstruction network.
        """
        if name not in self.priors:
            found = load.load(name, device=str(self.device), dtype=self.dtype)
            if isinstance(found, LearnedReconstruction):
                found = load.load_denoiser(name)  # says what it is, and where it goes
            self.priors[name] = found
        return self.priors[name]

    def learned(self) -> LearnedReconstruction | None:
        """The reconstruction network that --model names, if it names one."""
        name = self.options.model
        if self._learned is None and name is not None:
            self._learned = load.load_unrolled(name, device=str(self.device), dtype=self.dtype)
        return self._learned

    def tensor(self, values: Tensor) -> Tensor:
        return values.to(self.device, self.dtype)
