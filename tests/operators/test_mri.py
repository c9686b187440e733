"""MRI: deepinv's physics, norms with and without normalised maps, phases, masks of k-space."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import MRI, GaussianNoise, OperatorError, from_deepinv
from operators.checks import check_adjoint, check_norm, to_matrix
from operators.kspace_masks import centre_share, equispaced_lines, radial_spokes, random_lines
from operators.mri import centred_fft, to_channels, to_complex

F64 = torch.float64
SIZE = (6, 5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rand(*shape: int, seed: int = 0, dtype: torch.dtype = F64) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=F64).to(dtype)


def normalised(maps: Tensor) -> Tensor:
    return maps / torch.linalg.vector_norm(maps, dim=0)


MASK, MAPS = laws.random_mask(SIZE), laws.random_maps(F64)


# ---- deepinv -------------------------------------------------------------------------------------


@pytest.mark.parametrize("coils", [False, True])
@pytest.mark.parametrize("size", [(6, 5), (8, 8), (5, 7)])
def test_deepinv_measures_the_same(coils: bool, size: tuple[int, int]) -> None:
    from deepinv import physics as deep

    mask = laws.random_mask(size)
    maps = torch.complex(rand(3, *size, seed=1), rand(3, *size, seed=2)) if coils else None
    ours = MRI(mask, maps)
    theirs: Any = deep.MultiCoilMRI(mask.double(), maps) if coils else deep.MRI(mask.double())
    x = rand(2, 2, *size)
    y = rand(2, *ours.measurement_shape, seed=3)
    assert torch.allclose(ours.A(x), theirs.A(x), rtol=0, atol=1e-13)
    assert torch.allclose(ours.A_adjoint(y), theirs.A_adjoint(y), rtol=0, atol=1e-13)
    physics = ours.to_deepinv()
    assert torch.equal(physics.A(x), ours.A(x))
    assert from_deepinv(physics, ours.image_shape) is ours
    back = from_deepinv(theirs, ours.image_shape, norm_bound=ours.norm_bound)
    assert back.adjoint_matched
    assert torch.allclose(back.A(x), ours.A(x), rtol=0, atol=1e-13)
    with pytest.raises(OperatorError):  # what is declared too small is refuted
        from_deepinv(theirs, ours.image_shape, norm_bound=0.5 * ours.norm_certificate.lower)


# ---- norm ----------------------------------------------------------------------------------------


def test_one_coil_has_norm_one_to_the_last_bit() -> None:
    for A in (MRI(MASK), MRI(MASK, phase=laws.random_phase(F64))):
        assert A.norm_bound == A.norm_certificate.lower == 1.0
        assert A.prox_closed_form
        assert float(torch.linalg.matrix_norm(to_matrix(A), 2)) == pytest.approx(1, abs=1e-13)
    assert MRI(MASK | True).gram_lower_bound == 1.0
    assert MRI(MASK).gram_lower_bound == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_normalised_maps_have_norm_one_up_to_their_rounding(dtype: torch.dtype) -> None:
    maps = normalised(MAPS).to(torch.complex64 if dtype == torch.float32 else torch.complex128)
    A = MRI(MASK | True, maps)
    dense = torch.linalg.svdvals(to_matrix(A))
    assert float(dense.max()) <= A.norm_bound
    assert A.norm_bound == pytest.approx(1, abs=100 * torch.finfo(dtype).eps)
    assert 0 < A.gram_lower_bound <= float(dense.min()) ** 2
    assert not A.prox_closed_form


def test_the_norm_is_that_of_the_worst_pixel() -> None:
    maps = MAPS.clone()
    maps[:, 2, 3] *= 9
    whole, part = MRI(MASK | True, maps), MRI(MASK, maps)
    peak = float(torch.linalg.vector_norm(maps[:, 2, 3]))
    assert whole.norm_bound == pytest.approx(peak, rel=1e-12)
    assert whole.norm_certificate.looseness < 1 + 1e-12
    for A in (whole, part):
        dense = float(torch.linalg.matrix_norm(to_matrix(A), 2))
        assert A.norm_certificate.lower <= dense * (1 + 1e-12)
        assert dense <= A.norm_bound


class MeanOfMaps(MRI):
    """A twin whose bound is that of a mean pixel."""

    def _prove_norm(self) -> Any:
        found = super()._prove_norm()
        typical = float(self._sum_of_squares().mean().sqrt())
        return type(found)(typical, 0.0, found.method, found.source)


class NoConjugate(MRI):
    """A twin that combines coils by the maps themselves."""

    def _combined(self, w: Tensor) -> Tensor:
        from operators.mri import centred_ifft

        factor = self._factor(w)
        assert factor is not None
        return (factor * centred_ifft(w)).sum(1)


def test_broken_twins_are_caught() -> None:
    maps = MAPS.clone()
    maps[:, 2, 3] *= 9
    check_norm(MRI(MASK | True, maps))
    with pytest.raises(OperatorError):
        check_norm(MeanOfMaps(MASK | True, maps))
    check_adjoint(MRI(MASK, MAPS))
    with pytest.raises(OperatorError):
        check_adjoint(NoConjugate(MASK, MAPS))


# ---- phase ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("maps", [None, MAPS])
def test_a_phase_turns_the_picture_and_changes_nothing_else(maps: Tensor | None) -> None:
    phase = laws.random_phase(F64)
    plain, turned = MRI(MASK, maps), MRI(MASK, maps, phase)
    z = to_complex(rand(2, 2, *SIZE))
    back = to_channels(torch.polar(torch.ones_like(phase), -phase) * z)
    assert torch.allclose(turned.A(back), plain.A(to_channels(z)), rtol=0, atol=1e-13)
    assert turned.norm_bound == plain.norm_bound


def test_what_was_kept_is_made_anew_with_other_maps() -> None:
    A, x = MRI(MASK, MAPS), rand(1, 2, *SIZE)
    before, bound = A.A(x), A.norm_bound
    assert A.maps is not None
    A.maps.mul_(2)
    assert A.norm_bound == pytest.approx(2 * bound)
    assert torch.allclose(A.A(x), 2 * before)
    assert torch.allclose(A.to(torch.float32).A(x.float()), 2 * before.float(), atol=1e-5)


# ---- data ----------------------------------------------------------------------------------------


def test_zero_frequency_is_in_the_middle_and_noise_where_it_was_measured() -> None:
    flat = torch.ones(1, 6, 5, dtype=torch.complex128)
    spectrum = centred_fft(flat)
    assert float(spectrum[0, 3, 2].real) == pytest.approx(30**0.5)
    assert float(spectrum.abs().sum()) == pytest.approx(30**0.5)
    mask = laws.random_mask((40, 41))
    A = MRI(mask, noise_model=GaussianNoise(0.1, seeded()))
    x = rand(1, 2, 40, 41)
    error = A(x) - A.A(x)
    assert bool((error[..., ~mask] == 0).all())
    assert float(error[..., mask].std()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.full(SIZE, 0.5),), "not binary: 30 of 30"),
        ((torch.zeros(SIZE),), "no frequency is sampled"),
        ((torch.ones(1, *SIZE),), r"expected \(H, W\)"),
        (([[1]],), "a list"),
        ((MASK, MAPS.real), "expected a complex tensor"),
        ((MASK, MAPS[0]), r"expected \(N, 6, 5\)"),
        ((MASK, MAPS[..., :4]), r"expected \(N, 6, 5\)"),
        ((MASK, 0 * MAPS), "zero everywhere"),
        ((MASK, MAPS / 0), "not finite"),
        ((MASK, None, torch.ones(5, 5)), r"expected \(6, 5\)"),
        ((MASK, None, torch.ones(SIZE).cfloat()), "no real tensor"),
    ],
)
def test_what_is_no_measurement_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        MRI(*arguments)


# ---- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("acceleration", [1, 2, 4, 8])
def test_lines_are_as_many_as_asked_for_with_the_centre(acceleration: float) -> None:
    drawn = random_lines((10, 128), acceleration, seeded())
    for mask in (drawn, equispaced_lines((10, 128), acceleration)):
        assert mask.shape == (10, 128)
        assert bool((mask == mask[:1]).all())
        assert int(mask[0].sum()) == 128 / acceleration
        middle = round(centre_share(acceleration) * 128)
        first = 64 - middle // 2
        assert bool(mask[0, first : first + middle].all())
    assert torch.equal(drawn, random_lines((10, 128), acceleration, seeded()))
    if acceleration in (2, 4):
        assert not torch.equal(drawn, random_lines((10, 128), acceleration, seeded(1)))


def test_spokes_cross_in_the_middle() -> None:
    mask = radial_spokes((64, 60), 4)
    share = float(mask.double().mean())
    assert 0.25 <= share < 0.3
    assert bool(mask[32, 30])
    assert torch.equal(radial_spokes((9, 9), 1), radial_spokes((9, 9), 1))


@pytest.mark.parametrize("bad", [0.5, float("nan"), float("inf")])
def test_no_mask_has_more_than_all_frequencies(bad: float) -> None:
    for draw in (equispaced_lines, radial_spokes):
        with pytest.raises(OperatorError, match="acceleration"):
            draw((8, 8), bad)
    with pytest.raises(OperatorError, match="centre"):
        equispaced_lines((8, 8), 2, centre=1.5)
