"""Noise is drawn by the named rules of `pnp_recon.problems`, and hardly anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRAWS = re.compile(r"torch\.(randn|randn_like|normal|poisson|Generator)\(")

# Where else numbers are drawn, and for what; of folders all files.
ALLOWED = {
    "pnp_recon/problems": "the rules themselves",
    "pnp_recon/scans/counts.py": "photons, from the generator that is given",
    "pnp_recon/datasets/labelled.py": "how the digits are split, once for all",
    "pnp_recon/networks/blocks.py": "the weights that a network begins with",
    "pnp_recon/networks/equivariant/checks.py": "pictures that a law is checked on",
    "pnp_recon/networks/energies": "the weights that a network begins with",
    "pnp_recon/networks/flows/fields.py": "the weights that a network begins with",
    "pnp_recon/models/energies.py": "a picture at which a gradient is checked",
    "pnp_recon/models/unproven.py": "where an attack starts",
    "pnp_recon/models/euler.py": "where an attack and a power iteration start",
    "pnp_recon/models/portable.py": "pictures that an exported model is compared on",
    "pnp_recon/models/precision.py": "pictures that rounding is measured on",
    "pnp_recon/priors/attack.py": "where an attack starts",
    "pnp_recon/priors/energies/base.py": "a picture on which operations are looked at",
    "pnp_recon/solvers/descent/differences.py": "signs along which a gradient is checked",
    "pnp_recon/solvers/pnp/directions.py": "where the search for a false constant starts",
    "pnp_recon/strength/probe.py": "the signs by which degrees of freedom are measured",
    "scripts/studies/false_constants": "maps, pictures and noise of the study",
    "pnp_recon/training/trainer.py": "the generator that a run goes on with",
    "scripts/accelerator": "noise inside a captured step, and pictures that a device is checked on",
    "pnp_recon/networks/invertible/density.py": "samples of a density",
    "scripts/studies/control": "the weights that a network begins with",
    "scripts/studies/half_moons": "points of the plane, and the signs of a determinant",
    "scripts/studies/optimisers/ica.py": "signals that are mixed, and where the search starts",
    "scripts/studies/patch_flow": "noise of the study by the rules' generators, and chains",
    "scripts/studies/reversible/memory.py": "a state whose memory is measured",
    "scripts/studies/planar/data.py": "points of the plane",
    "scripts/studies/repeated": "the noise that orbits start with",
    "scripts/studies/robust": "where attacks start",
    "scripts/studies/research/activations.py": "what an activation begins with",
    "scripts/studies/research/kernels.py": "the weights that a network begins with",
    "scripts/studies/research/trials.py": "the weights that a network begins with",
}


def drawn(root: Path) -> Iterator[tuple[str, int]]:
    """File and line of everything that draws."""
    for package in ("pnp_recon", "scripts"):
        for path in sorted((root / package).rglob("*.py")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if DRAWS.search(line):
                    yield path.relative_to(root).as_posix(), number


def allowed(file: str) -> str | None:
    """The entry that allows a file to draw."""
    return next((entry for entry in ALLOWED if file == entry or file.startswith(entry + "/")), None)


def elsewhere(root: Path) -> list[str]:
    return [f"{file}:{line}" for file, line in drawn(root) if allowed(file) is None]


def test_noise_is_drawn_in_one_place() -> None:
    assert elsewhere(ROOT) == []


def test_nothing_is_allowed_that_draws_nothing() -> None:
    assert {allowed(file) for file, _ in drawn(ROOT)} == set(ALLOWED)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("pnp_recon/cli/case.py", "y = y + torch.randn(y.shape)"),
        ("scripts/table.py", "generator = torch.Generator().manual_seed(0)"),
        ("pnp_recon/problems.py", "counts = torch.poisson(rate)"),
    ],
)
def test_a_draw_elsewhere_is_found(tmp_path: Path, file: str, line: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(f"import torch\n{line}\n")
    assert elsewhere(tmp_path) == [f"{file}:2"]
