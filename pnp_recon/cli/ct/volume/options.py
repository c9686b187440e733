"""The options of `pnp-ct --slices`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.cli.ct.file_options import ScanFileOptions
from pnp_recon.cli.run.checks import given, refuse
from pnp_recon.cli.shell import parse_positive
from pnp_recon.contracts import PriorKind
from pnp_recon.errors import InputError
from pnp_recon.solvers.catalogue import solvers_for

# Files that only volumes have.
VOLUMES = (".h5", ".hdf5", ".zarr")


@dataclass(frozen=True)
class VolumeOptions(ScanFileOptions):
    """A stack of slices, each by itself."""

    # fmt: off
    stretch: Annotated[str | None, typer.Option(
        "--slices", metavar="all|I:J[:STEP]",
        help="Reconstruct these slices one by one into a volume OUT (.h5, .zarr, .npy, .tif or a "
        "folder), with a certificate for each. The same command goes on after a stop.",
    )] = None
    across: Annotated[str | None, typer.Option(
        "--across", metavar="auto|W",
        help="With --slices: all slices are one problem with one certificate, whose prior ties "
        "neighbours: --method tv in three dimensions, or the energy and a bond across slices. 1 "
        "(auto) is the usual strength of the tie. The volume is held in memory.",
    )] = None
    workers: Annotated[int, typer.Option(
        "--workers", min=1, help="With --slices: work in so many processes.",
    )] = 1
    dask: Annotated[str | None, typer.Option(
        "--dask", metavar="ADDRESS",
        help="With --slices: work on the Dask cluster of this scheduler, such as "
        "tcp://host:8786. Its workers need the same paths.",
    )] = None
    film: Annotated[Path | None, typer.Option(
        "--film", metavar="GIF|MP4",
        help="With --slices: write a film that goes through the slices of the volume.",
    )] = None
    # fmt: on

    @property
    def tie(self) -> float:
        """The number of --across; 1 where it is auto or not given."""
        return parse_positive(self.across or "auto", "--across") or 1.0

    def check_volume(self) -> None:
        """What does not go with a volume, and what goes with nothing else.

        Raises:
            InputError: naming the option.
        """
        own = given(self, "across", "workers", "dask", "film")
        if self.stretch is None:
            refuse(own, "a run without --slices; add --slices all")
            if Path(self.output or "").suffix.lower() in VOLUMES:
                raise InputError(
                    f"-o is {self.output}, the file of a volume, which --slices writes; add "
                    "--slices all"
                )
            return
        others = ("slices", "simulate", "reference", "report", "residuals", "timings")
        refuse(given(self, *others), "--slices, which writes a line of JSON for each slice")
        refuse(given(self, "workers"), "--dask, which has its own; give one", self.dask is not None)
        self._check_across()
        if len(self.inputs) != 1:
            raise InputError(f"--slices takes one scan, {len(self.inputs)} were given")

    def _check_across(self) -> None:
        """What has no prior across slices, or several processes for what is one problem."""
        tied, _ = given(self, "across"), self.tie
        refuse(tied, f"--method {self.method.value}, which has no prior", self.prior_kind == "none")
        refuse(tied, "--model, which is a network of slices", self.model is not None)
        kind: PriorKind = "functional" if self.prior_kind == "functional" else "energy"
        fits = self.named_solver in (None, *solvers_for(kind))
        named = ", ".join(solvers_for(kind))
        refuse(tied, f"--solver {self.solver.value}; it goes with {named}", not fits)
        apart = given(self, "workers", "dask") if tied else []
        refuse(apart, "--across, where all slices are one problem")
