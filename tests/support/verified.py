"""A report with all its files in one folder, and what `pnp-recon verify` says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from pnp_recon.cli.listing import main
from pnp_recon.models.export import export
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from support.cli import only_line

LEVELS = (1 / 255, 50 / 255)
QUICK = ["--attack-steps", "0"]
UNRUN = [*QUICK, "--no-run"]
Plain = dict[str, Any]


def exported(folder: Path, seed: int, channels: int = 1) -> Path:
    torch.manual_seed(seed)
    config = EulerConfig(channels=channels, width=6 * channels, hidden=4, blocks=2)
    return export(EulerNet(config), folder, "tiny", LEVELS, {"seed": seed})


@dataclass(frozen=True)
class Good:
    """A report with all its files in one folder."""

    folder: Path
    source: Path
    output: Path
    model: Path

    @property
    def report(self) -> Path:
        return self.folder / "report"

    def read(self) -> Plain:
        found: Plain = json.loads((self.report / "report.json").read_text(encoding="utf-8"))
        return found

    def edit(self, change: Callable[[Plain], object]) -> None:
        plain = self.read()
        change(plain)
        (self.report / "report.json").write_text(json.dumps(plain, ensure_ascii=False))


def failing(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    """The line of a verification that fails."""
    capsys.readouterr()
    assert main(["verify", *map(str, args), "-q"]) == 4
    out = capsys.readouterr()
    assert out.out == ""
    return only_line("pnp-recon", out.err)


def claims(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> Plain:
    """Claim -> what was found of it."""
    capsys.readouterr()
    assert main(["verify", *map(str, args), "--json"]) == code
    return {one["what"]: one for one in json.loads(capsys.readouterr().out)["claims"]}
