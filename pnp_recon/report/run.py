"""What a report is about: one reconstruction with everything that is known about it.

Plain values, filled in by whoever ran the solver (the command, the benchmark, a notebook).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.contracts import PriorKind, PriorRecord
from pnp_recon.solvers import Solution


@dataclass(frozen=True)
class SourceFile:
    """A file that went in: `role` is "input", "reference", "kernel", "mask", "geometry"
    or "maps"."""

    role: str
    path: Path
    sha256: str
    shape: tuple[int, ...]
    bit_depth: int | None = None


@dataclass(frozen=True, eq=False)
class KernelRecord:
    """The blur kernel and where it came from.

    Attributes:
        weights: (kh, kw), summing to one; (C, kh, kw) by channel, (gh, gw, kh, kw) by place.
        name: "motion", "gaussian", ... or the name of the file.
        origin: "given", "estimated" or "file".
        parameters: numbers that it was made from (length, angle, size, seed ...).
        confidence: how sure the estimate is, in [0, 1]; None where nothing was estimated.
        method: how it was estimated, with the citation.
        given: which of the parameters of an estimated kernel were given all the same.
    """

    weights: Tensor
    name: str
    origin: str
    parameters: Mapping[str, float | int | str | None] = field(default_factory=dict)
    confidence: float | None = None
    method: str | None = None
    given: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PhysicsRecord:
    """How the measurement came about, where it is no blur.

    Attributes:
        name: "inpainting", "parallel beam", ...
        parameters: plain values (rate, seed, number of angles ...).
        words: sentences for somebody who reads no formulas.
        shown: caption of `Run.degraded` ("with missing pixels", "filtered back-projection").
        picture: (h, w) in [0, 1], shown beside the residuals (a mask, a sinogram), or None;
            `caption` says what it is.
    """

    name: str
    parameters: Mapping[str, float | int | str | None] = field(default_factory=dict)
    words: str = ""
    shown: str = "degraded"
    picture: Tensor | None = None
    caption: str = ""


# What a report calls a prior of each kind.
PRIOR_WORDS: dict[PriorKind, str] = {
    "denoiser": "denoiser",
    "functional": "regulariser",
    "energy": "energy",
    "network": "reconstruction network",
    "none": "regulariser",
}


@dataclass(frozen=True)
class Quality:
    """How close a picture is to the reference."""

    psnr: float
    ssim: float


@dataclass(frozen=True, eq=False)
class Run:
    """One reconstruction.

    Attributes:
        solution: what the solver returned.
        operator: the operator A; `boundary` its border rule in words.
        denoiser: the prior of the run: a denoiser, or what was in its place.
        kernel: the blur, or None where the operator is none.
        physics: what the measurement is where it is no blur.
        noise_level: standard deviation in the units of the measurement ([0, 1] for a picture);
            `noise_origin` says how it is known, `noise_words` both where σ·255 is not the unit.
        degraded, restored, reference: (1, C, H, W) in [0, 1], of one shape, as they are viewed.
        program: the command that ran, whose `options` these are; None for a run from Python.
        files: what went in, with hashes. `output` is the picture that came out, with its hash
            where it was written before the report.
        before, after: quality against the reference.
        psnr_track: (iteration, dB) pairs recorded during the run.
        timings: seconds by stage.
        options: what the user asked for, by name.
        simulated: the blur and the noise were made by us from a clean picture.
        linear_light: the sRGB curve was undone before and applied again after.
        notes: what must not be overlooked, in sentences; `doubts` are those among them that say
            why the picture should not be trusted, whatever was proven of the iteration.
    """

    solution: Solution
    operator: LinearOperator
    denoiser: PriorRecord
    degraded: Tensor
    restored: Tensor
    reference: Tensor | None = None
    boundary: str | None = None
    kernel: KernelRecord | None = None
    physics: PhysicsRecord | None = None
    noise_level: float | None = None
    noise_origin: str = "given"
    noise_words: str | None = None
    files: tuple[SourceFile, ...] = ()
    program: str | None = None
    output: Path | None = None
    output_sha256: str | None = None
    before: Quality | None = None
    after: Quality | None = None
    psnr_track: tuple[tuple[int, float], ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    simulated: bool = False
    linear_light: bool = False
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def prior_kind(self) -> str:
        """What the prior is: "denoiser", "regulariser" or "reconstruction network"."""
        return PRIOR_WORDS[self.denoiser.kind]


def noise_words(level: float, origin: str) -> str:
    """The noise level of a picture for reading; `level` on the [0, 1] scale."""
    return f"σ·255 = {255 * level:.3g} ({origin})"
