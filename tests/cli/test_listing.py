"""`pnp-recon list`: everything that is registered is shown, with what is proven about it."""

from __future__ import annotations

import json

import pytest

from operators.registry import OPERATORS
from pnp_recon.cli import listing
from pnp_recon.cli.listing import catalogue, main
from pnp_recon.models.store import shipped_models
from pnp_recon.priors.catalogue import CLASSICAL
from pnp_recon.proximal import REGULARISERS
from pnp_recon.solvers import ACCELERATIONS, SOLVERS
from support.cli import light


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {entry["name"] for entry in found["solvers"]} == set(SOLVERS)
    assert {entry["name"] for entry in found["accelerations"]} == set(ACCELERATIONS)
    assert {entry["name"] for entry in found["regularisers"]} == set(REGULARISERS)
    assert {entry["name"] for entry in found["operators"]} == set(OPERATORS)
    assert {entry["name"] for entry in found["models"]} == set(shipped_models())
    denoisers = shipped_models("denoiser")
    for entry in found["models"]:
        certified = entry["name"] in denoisers and not entry["name"].startswith("dncnn")
        words = "α = 0.99" if certified else "no guarantee"
        assert words in entry["guarantee"]
    guarantees = {entry["name"]: entry["guarantee"] for entry in found["denoisers"]}
    assert set(CLASSICAL) <= set(guarantees)
    for name, entry in CLASSICAL.items():
        assert guarantees[name] == str(entry.load()().denoiser().guarantee)
    for kind, entries in found.items():
        assert entries, kind
        for entry in entries:
            assert entry["what"], (kind, entry["name"])
            assert entry["guarantee"], (kind, entry["name"])
    symmetries = {e["name"]: e["what"] for e in found["models"] if "commutes with" in e["what"]}
    assert set(symmetries) == {"euler_grey_eq"}
    assert "commutes with D4" in symmetries["euler_grey_eq"]


def test_plain_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "solvers:" in lines
    (row,) = [line for line in lines if line.startswith("  pnp-drs\t")]
    assert len(row.split("\t")) == 3
    assert not set("┃│") & set("".join(lines))


def test_tables_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    listing._print_tables(catalogue())
    text = capsys.readouterr().out
    assert "what is proven" in text
    assert "euler_grey" in text
    assert "┃" in text


def test_registries_load_nothing() -> None:
    for home in ("priors.catalogue", "proximal.catalogue", "solvers.catalogue", "cli.catalogue"):
        light(f"import pnp_recon.{home}", {"torch", "numpy"})
