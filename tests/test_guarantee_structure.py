"""What maps keep, and lower constants: rules of composition and inversion, each with its twin."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.guarantees import INVARIANT, INVERTIBLE, SYMPLECTIC, VOLUME, Guarantee

MASS = INVARIANT + "mass"
NOTHING = guarantees.none("nobody looked")


def linear(T: Tensor, *keeps: str) -> Guarantee:
    """The tight guarantee of a matrix."""
    values = torch.linalg.svdvals(T)
    held = guarantees.lipschitz(float(values[0]) * (1 + 1e-14), "a matrix")
    return guarantees.structured(held, *keeps, lower=float(values[-1]) * (1 - 1e-14))


def assert_lower(T: Tensor, held: Guarantee) -> None:
    assert float(torch.linalg.svdvals(T)[-1]) >= held.lower, "the lower constant is too large"


def matrix(seed: int, size: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, size, generator=generator, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=5))
def test_lower_constants_multiply(seeds: list[int]) -> None:
    maps = [matrix(seed) for seed in seeds]
    held = guarantees.compose(*(linear(T) for T in maps))
    product = torch.linalg.multi_dot(maps)
    assert_lower(product, held)
    assert INVERTIBLE in held.keeps


def test_lower_constants_are_attained_and_a_larger_one_is_seen() -> None:
    T = torch.diag(torch.tensor([2.0, 0.25], dtype=torch.float64))
    held = guarantees.compose(linear(T), linear(T))
    assert held.lower == pytest.approx(1 / 16)
    assert_lower(T @ T, held)
    with pytest.raises(AssertionError, match="too large"):
        assert_lower(T @ T, guarantees.structured(held, lower=0.07))


def test_the_inverse_has_the_inverse_constants() -> None:
    T = matrix(3)
    held = guarantees.inverse(linear(T, VOLUME))
    values = torch.linalg.svdvals(torch.linalg.inv(T))
    assert held.lipschitz == pytest.approx(float(values[0]))
    assert float(values[0]) <= held.lipschitz
    assert held.lower == pytest.approx(float(values[-1]))
    assert held.keeps == {INVERTIBLE, VOLUME}
    assert not guarantees.inverse(guarantees.firm("a projection")).holds
    bare = guarantees.inverse(guarantees.structured(NOTHING, INVERTIBLE))
    assert not bare.holds
    assert bare.keeps == {INVERTIBLE}


def test_a_composition_keeps_what_all_keep() -> None:
    """With twins that keep less: what one factor breaks is not claimed of the whole."""
    shear = guarantees.structured(NOTHING, INVERTIBLE, SYMPLECTIC, MASS)
    assert shear.keeps == {INVERTIBLE, SYMPLECTIC, VOLUME, MASS}, "symplectic maps keep the volume"
    assert guarantees.compose(shear, shear, shear).keeps == shear.keeps
    stretched = guarantees.compose(shear, linear(2 * torch.eye(2).double()))
    assert stretched.keeps == {INVERTIBLE}
    assert not stretched.holds
    folded = guarantees.compose(shear, guarantees.firm("a projection"))
    assert folded.keeps == frozenset()
    assert folded.lower == 0


def test_the_volume_of_a_composition() -> None:
    shears = [torch.eye(3).double() + torch.diag(matrix(k)[0, :2], 1) for k in range(3)]
    product = torch.linalg.multi_dot(shears)
    assert VOLUME in guarantees.compose(*(linear(T, VOLUME) for T in shears)).keeps
    assert float(torch.linalg.det(product)) == pytest.approx(1)
    twin = guarantees.compose(*(linear(T, VOLUME) for T in shears), linear(1.1 * shears[0]))
    assert VOLUME not in twin.keeps


@pytest.mark.parametrize(
    "rule",
    [
        guarantees.isometric_lifting,
        guarantees.group_average,
        guarantees.padding_average,
        lambda part: guarantees.relax(part, 0.5),
        lambda part: guarantees.convex_combination([part, part], [0.5, 0.5]),
    ],
)
def test_other_rules_claim_nothing(rule: object) -> None:
    """Rightly: half of I and half of −I is no bijection, and keeps no volume."""
    for part in (linear(torch.eye(2).double(), VOLUME), guarantees.structured(NOTHING, VOLUME)):
        found = rule(part)  # type: ignore[operator]
        assert found.keeps == frozenset()
        assert found.lower == 0


def test_scaling_keeps_all_but_invariants() -> None:
    part = guarantees.structured(guarantees.averaged(0.2, "test"), SYMPLECTIC, MASS, lower=0.6)
    held = guarantees.scale(part, 2.0)
    assert held.lower == 0.6
    assert held.keeps == {INVERTIBLE, SYMPLECTIC, VOLUME}


def test_impossible_structure_is_refused() -> None:
    with pytest.raises(ValueError, match="lower constant"):
        Guarantee(1.0, None, "test", lower=1.5)
    with pytest.raises(ValueError, match="lower constant"):
        Guarantee(None, None, "test", lower=-0.1)
    with pytest.raises(ValueError, match="an invariant is"):
        Guarantee(1.0, None, "test", keeps=frozenset({"volumes"}))


def test_words() -> None:
    held = guarantees.structured(guarantees.lipschitz(3.0, "test"), MASS, lower=0.5)
    words = "Lipschitz, constant 3, lower constant 0.5, keeps invariant: mass, invertible (test)"
    assert str(held) == words
    assert str(guarantees.structured(NOTHING, VOLUME)) == (
        "no guarantee: nobody looked, keeps volume"
    )
    assert str(guarantees.lipschitz(3.0, "test")) == "Lipschitz, constant 3 (test)"
