"""Hamiltonian studies: figures that are known, twins, and the study from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.studies.hamiltonian import gradients, oscillator
from scripts.studies.hamiltonian.__main__ import main
from scripts.studies.hamiltonian.conserved import learned, problems


def test_gradients_vanish_but_for_the_symplectic_network() -> None:
    found = gradients.measured()
    plain, flow, symplectic = found.values()
    assert float(plain[0]) < 1e-12
    assert float(flow[0]) < 1e-2
    assert float(symplectic.min()) >= 1
    assert float(symplectic.max()) < 1e3


def test_energies_of_the_oscillator_stay_in_known_ranges() -> None:
    euler = oscillator.energies("symplectic_euler")
    assert float(euler.min()) == pytest.approx(0.952, abs=1e-3)
    assert float(euler.max()) == pytest.approx(1.053, abs=1e-3)
    verlet = oscillator.energies("stormer_verlet", 2000)
    assert float(abs(verlet - 1).max()) < 0.003
    middle = oscillator.energies("implicit_midpoint", 2000)
    assert float(abs(middle - 1).max()) < 1e-12
    # The twin: explicit Euler grows by 1 + h² in each step.
    assert float(oscillator.energies("euler", 200)[-1]) == pytest.approx(1.01**200, rel=1e-10)


def test_a_sum_is_kept_by_structure_whatever_was_learned() -> None:
    sir = problems(100)[0]
    kept, free = learned(sir, "S(x)·1, S skew", 2), learned(sir, "free", 2)
    assert kept.drift < 1e-12
    assert kept.words == "sum"
    assert free.drift > 1e-3
    assert free.words == "nothing"


def test_a_length_is_kept_by_structure_whatever_was_learned() -> None:
    advection = problems(10)[1]
    kept = learned(advection, "skew filter, midpoint", 2)
    assert kept.drift < 1e-12
    assert "Euclidean norm" in kept.words
    assert learned(advection, "free filter", 2).drift > 1e-6


def test_the_study_runs(tmp_path: Path) -> None:
    main(True, None, tmp_path, tmp_path)
    text = (tmp_path / "hamiltonian.md").read_text(encoding="utf-8")
    assert "| SIR, sum | S(x)·1, S skew |" in text
    assert "| implicit_midpoint | 1 | 1 |" in text
    text = (tmp_path / "hamiltonian_rods.md").read_text(encoding="utf-8")
    assert "| double pendulum | learned H, Gonzalez |" in text
    text = (tmp_path / "hamiltonian_totals.md").read_text(encoding="utf-8")
    assert "| camera | euler_grey, keep_total |" in text
    for name in ("gradients", "oscillator", "conserved", "rods"):
        assert (tmp_path / f"hamiltonian_{name}.png").exists()
