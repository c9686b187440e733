"""Complex pictures: the window, a phase as an isometry of priors, what the centre tells."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import MRI
from operators.mri import centred_fft, centred_ifft, to_channels, to_complex
from pnp_recon import load_denoiser, load_energy, reconstruct
from pnp_recon.errors import InputError
from pnp_recon.kspace import (
    ComplexWindow,
    centre_side,
    estimated_maps,
    global_phase,
    head,
    low_resolution,
    noise_level,
    normalised,
    polynomial_phase,
    ring_maps,
    root_sum_of_squares,
    smooth_phase,
    window_for,
)
from pnp_recon.problems.masks import sampling_mask
from pnp_recon.problems.noise import command_noise, phase_weights
from pnp_recon.problems.simulate import magnetic_resonance
from pnp_recon.solvers import Stopping

F64 = torch.float64
SIDE = 32


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def turned(x: Tensor, angle: Tensor, radius: float = 1.0) -> Tensor:
    """e^{i angle} x, unitary for radius 1."""
    return to_channels(torch.polar(torch.full_like(angle, radius), angle) * to_complex(x))


# ---- the window ----------------------------------------------------------------------------------


def test_the_window_changes_the_data_and_not_the_operator() -> None:
    A = MRI(laws.random_mask((6, 5)), laws.random_maps(F64), laws.random_phase(F64))
    x = 3 * rand(2, 2, 6, 5) - 1
    window = ComplexWindow(-1.5, -2.0, 4.0)
    u = window.to_unit(x)
    assert torch.allclose(window.from_unit(u), x)
    assert torch.allclose(A.A(u), window.measurements(A, A.A(x)), atol=1e-13)
    assert window.noise_level(0.2) == 0.05
    assert "real part -1.5 to 2.5" in window.words


@pytest.mark.parametrize("nearly_real", [True, False])
def test_the_window_holds_what_it_is_for(nearly_real: bool) -> None:
    window = window_for(2.0, nearly_real)
    angle = torch.linspace(-math.pi / 2, math.pi / 2, 9, dtype=F64)
    if nearly_real:  # the real part is not negative, the imaginary one at most half of the scale
        angle = angle / 3
    x = 2 * torch.stack([angle.cos(), angle.sin()])[None, :, None]
    u = window.to_unit(x)
    assert 0 <= float(u.min()) <= float(u.max()) <= 1
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="window"):
            ComplexWindow(0.0, 0.0, bad)


# ---- priors --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def points() -> tuple[Tensor, Tensor, Tensor]:
    """Two complex pictures that differ in fine detail, and a phase."""
    x = rand(1, 2, SIDE, SIDE)
    return x, x + 0.05 * rand(1, 2, SIDE, SIDE, seed=1), 9 * rand(SIDE, SIDE, seed=2)


def excess(D: object, x: Tensor, z: Tensor, alpha: float) -> float:
    """‖Dx − Dz‖² + (1−α)/α ‖(x − Dx) − (z − Dz)‖² − ‖x − z‖², over ‖x − z‖²: ≤ 0 if α-averaged."""
    assert callable(D)
    a, b = D(x), D(z)
    total = float((a - b).square().sum() + (1 - alpha) / alpha * (x - a - z + b).square().sum())
    size = float((x - z).square().sum())
    return total / size - 1


def test_a_grey_denoiser_of_both_parts_keeps_its_constant_behind_a_phase(
    points: tuple[Tensor, Tensor, Tensor],
) -> None:
    x, z, phase = points
    denoiser = load_denoiser("euler_grey", dtype=F64)
    alpha = denoiser.guarantee.averagedness
    assert alpha is not None

    def conjugated(radius: float) -> object:
        """r e^{iφ} D(r e^{−iφ} x): r = 1 is a unitary lifting."""
        return lambda p: turned(denoiser(turned(p, -phase, radius), 0.1), phase, radius)

    with torch.no_grad():
        parts = torch.cat([denoiser(x[:, :1], 0.1), denoiser(x[:, 1:], 0.1)], 1)
        assert torch.allclose(denoiser(x, 0.1), parts, atol=1e-12)
        assert excess(lambda p: denoiser(p, 0.1), x, z, alpha) <= 1e-12
        assert excess(conjugated(1.0), x, z, alpha) <= 1e-12
        assert excess(conjugated(1.5), x, z, alpha) > 0.1  # no unitary map, no constant


def test_an_energy_behind_a_phase_has_the_turned_gradient(
    points: tuple[Tensor, Tensor, Tensor],
) -> None:
    x, _, phase = points
    energy = load_energy("energy_grey", dtype=F64).in_double()
    direction = rand(1, 2, SIDE, SIDE, seed=3) - 0.5

    def value(p: Tensor) -> float:
        return float(energy.value(turned(p, -phase), 0.05))

    gradient = turned(energy.gradient(turned(x, -phase), 0.05), phase)
    step = 1e-5
    measured = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
    assert measured == pytest.approx(float((gradient * direction).sum()), rel=1e-5)
    forgotten = energy.gradient(turned(x, -phase), 0.05)
    assert measured != pytest.approx(float((forgotten * direction).sum()), rel=1e-2)


# ---- what the centre tells -----------------------------------------------------------------------


def seen(coils: int, acceleration: float = 2.0, sigma: float = 0.0) -> tuple[Tensor, ...]:
    """k-space (N, H, W), its mask, the maps and the complex picture."""
    modulus = head(64)
    phase = polynomial_phase(64, 64, phase_weights(0)).float()
    x = torch.cat([modulus * phase.cos(), modulus * phase.sin()], 1)
    mask = sampling_mask("random", (64, 64), acceleration, 0)
    maps = ring_maps(coils, 64, 64)
    y = magnetic_resonance(x, mask, maps, sigma, command_noise(0)).y
    return torch.complex(*y[0]), mask, maps, to_complex(x)[0]


def test_simulated_maps_are_normalised_and_the_centre_is_found() -> None:
    data, mask, maps, _ = seen(4)
    assert torch.allclose(root_sum_of_squares(maps), torch.ones(64, 64), atol=1e-6)
    # A tenth of 64 lines at least, and lines that were drawn beside them.
    assert 10 <= centre_side(mask) <= 14
    assert centre_side(mask | True) == 32
    assert centre_side(~mask) == 0
    with pytest.raises(InputError, match="--maps FILE"):
        low_resolution(data, ~mask)


def test_estimated_maps_see_the_object_as_the_true_ones_do() -> None:
    data, mask, maps, x = seen(4)
    found = estimated_maps(low_resolution(data, mask))
    assert torch.allclose(root_sum_of_squares(found), torch.ones(64, 64), atol=1e-5)
    assert MRI(mask, found).norm_bound == pytest.approx(1, abs=1e-5)
    agreement = (found.conj() * maps).sum(0).abs()  # whatever phase is in them
    assert float(agreement[x.abs() > 0.05].mean()) > 0.99
    scrambled = (found.flip(0).conj() * maps).sum(0).abs()
    assert float(scrambled[x.abs() > 0.05].mean()) < 0.9
    assert torch.allclose(normalised(3 * maps), maps, atol=1e-6)


def test_the_phase_of_the_centre_makes_the_picture_nearly_real() -> None:
    data, mask, maps, x = seen(4)
    phase = smooth_phase(low_resolution(data, mask), maps)
    back = x * torch.polar(torch.ones_like(phase), -phase)
    whole = float(x.abs().square().sum())
    assert float(back.imag.square().sum()) < 0.05 * whole < float(x.imag.square().sum())
    assert float(back.real.sum()) > 0


def test_one_angle_puts_most_of_the_energy_into_the_real_part() -> None:
    picture = torch.complex(1 + rand(9, 9), 0.1 * rand(9, 9, seed=1))
    for angle in (0.3, 2.0, -2.5):
        tilted = picture * torch.polar(torch.ones(()), torch.tensor(angle))
        found = global_phase(tilted)
        back = tilted * torch.polar(torch.ones(()), torch.tensor(-found))
        assert float(back.real.sum()) > 0
        for other in (-0.1, 0.1):
            worse = back * torch.polar(torch.ones(()), torch.tensor(other))
            assert float(worse.real.square().sum()) < float(back.real.square().sum())


def test_noise_is_seen_in_the_outermost_frequencies() -> None:
    data, mask, _, _ = seen(4, sigma=0.2)
    assert noise_level(data, mask) == pytest.approx(0.2, rel=0.15)
    with pytest.raises(InputError, match="outermost frequencies are zero"):
        noise_level(centred_fft(0 * data), mask)


# ---- a run ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("coils", [1, 4])
def test_a_certified_run_comes_closer_than_the_zero_filled_picture(coils: int) -> None:
    data, mask, maps, x = seen(4, sigma=0.01)
    if coils == 1:
        data = torch.where(mask, centred_fft(x[None]), 0)
    phase = x.angle()
    A = MRI(mask, maps if coils == 4 else None, phase)
    y = to_channels(data[None] if coils == 4 else data)
    window = window_for(1.5, True)
    solution = reconstruct(
        window.measurements(A, y),
        A,
        load_denoiser("euler_grey"),
        noise_level=window.noise_level(0.01),
        solver="pnp-drs",
        strength=1.0,
        coupling=4.0,
        denoiser_level=2 / 255,
        stopping=Stopping(tol=1e-3),
    )
    assert solution.certificate.holds
    found = to_complex(window.from_unit(solution.image))[0].abs()
    plain = to_complex(A.A_adjoint(y))[0].abs()
    truth = x.abs()
    assert float((found - truth).norm()) < 0.7 * float((plain - truth).norm())


def test_transforms_are_unitary() -> None:
    z = torch.complex(rand(2, 6, 5), rand(2, 6, 5, seed=1))
    assert torch.allclose(centred_ifft(centred_fft(z)), z)
    assert float(centred_fft(z).norm()) == pytest.approx(float(z.norm()))
