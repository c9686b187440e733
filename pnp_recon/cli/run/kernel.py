"""The options of commands with --kernel NAME|FILE. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pnp_recon.cli.run.options import RunOptions
from pnp_recon.cli.run.places import place_in_file
from pnp_recon.errors import InputError
from pnp_recon.files import split_frame


class KernelOptions(RunOptions):
    """Which file --kernel means, if it means one.

    The field is the derived class's, which says what its kernels are.
    """

    kernel: str
    kernels: ClassVar[tuple[str, ...]]  # those that have names

    @property
    def kernel_file(self) -> Path | None:
        return None if self.kernel in self.kernels else place_in_file(self.kernel)[0]

    @property
    def kernel_key(self) -> str | None:
        """Which array of the kernel file."""
        return None if self.kernel in self.kernels else place_in_file(self.kernel)[1]

    def companions(self, source: Path) -> tuple[Path, ...]:
        return () if self.kernel_file is None else (self.kernel_file,)

    def check(self) -> None:
        super().check()
        if self.kernel_file is not None and not split_frame(self.kernel_file)[0].exists():
            raise InputError(
                f"--kernel is {self.kernel!r}; expected {', '.join(self.kernels)} or an existing "
                "kernel file"
            )
