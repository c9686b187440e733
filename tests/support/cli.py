"""What the tests of the reconstruction commands share: a tiny denoiser, errors, what help loads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import torch
import typer

from pnp_recon.cli.catalogue import COMMANDS
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy

Load = Callable[[Denoiser | LearnedEnergy], None]


def smooth(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """½(I + M), M a mean over neighbours, ‖M‖ ≤ 1: firmly nonexpansive."""
    mean = sum(torch.roll(x, shift, dim) for shift in (-1, 1) for dim in (-1, -2)) / 4
    return 0.5 * (x + mean)


def only_line(program: str, text: str) -> str:
    """The single line of an error."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith(f"{program}: error: ")
    return lines[0]


def app_of(name: str) -> typer.Typer:
    """The typer application behind a command of the catalogue."""
    found: typer.Typer = import_module(COMMANDS[name].home.partition(":")[0]).app
    return found


def light(statement: str, heavy: set[str]) -> str:
    """What `statement` prints, in a process of its own that must load nothing `heavy`."""
    code = (
        f"import sys\n{statement}\n"
        f"heavy = {heavy!r} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
