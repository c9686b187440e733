"""Photon counts, flat and dark fields, the window and the noise estimate of a scan."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from operators import Convolution, GaussianNoise, kernels
from pnp_recon.errors import InputError
from pnp_recon.scans import (
    PoissonNoise,
    Scan,
    Window,
    average_fields,
    hounsfield_window,
    inverse_variances,
    log_transform,
    photon_counts,
    sinogram_noise_level,
    statistical_weights,
    to_line_integrals,
)
from support.scans import half_turn, sinogram


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_scan(data: torch.Tensor, kind: str, **fields: torch.Tensor | None) -> Scan:
    given = {"angles": None, "flat": None, "dark": None, **fields}
    return Scan(data, kind=kind, source=Path("scan.h5"), key="", sha256="", **given)


# ---- counts --------------------------------------------------------------------------------


def test_counts_have_the_mean_and_the_variance_of_a_poisson_law() -> None:
    lines = torch.full((200_000,), 2.0, dtype=torch.float64)
    counts = photon_counts(lines, 1000.0, generator())
    mean = 1000 * torch.exp(torch.tensor(-2.0)).item()
    assert counts.mean().item() == pytest.approx(mean, rel=2e-3)
    assert counts.var().item() == pytest.approx(mean, rel=2e-2)
    assert bool((counts == counts.round()).all())


def test_weights_are_the_inverse_variances_of_the_log_data() -> None:
    for line, incident in ((0.5, 1e3), (3.0, 1e4)):
        lines = torch.full((200_000,), line, dtype=torch.float64)
        counts = photon_counts(lines, incident, generator())
        data = log_transform(counts, incident)
        weights = statistical_weights(counts)
        assert data.mean().item() == pytest.approx(line, abs=1.5 / weights.mean().item())
        assert data.var().item() * weights.mean().item() == pytest.approx(1, rel=0.03)
        # The law can fail: weights of another beam are not the inverse variances.
        assert data.var().item() * 2 * weights.mean().item() > 1.9


def test_zero_counts_are_half_a_photon_and_weigh_nothing() -> None:
    counts = torch.tensor([0.0, 1.0, 4.0])
    data = log_transform(counts, 4.0)
    assert torch.allclose(data, torch.tensor([8.0, 4.0, 1.0]).log())
    assert statistical_weights(counts).tolist() == [0, 1, 4]


def test_incident_photons_may_differ_from_ray_to_ray() -> None:
    counts = torch.tensor([[2.0, 8.0]])
    assert torch.allclose(log_transform(counts, counts), torch.zeros(1, 2))


def test_noise_model_of_an_operator() -> None:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16), boundary="circular")
    A.noise_model = PoissonNoise(1e5, generator(3))
    x = torch.rand(1, 1, 16, 16, generator=generator(1))
    first = A(x)
    A.noise_model = PoissonNoise(1e5, generator(3))
    assert torch.equal(first, A(x))
    assert first.dtype == x.dtype
    assert 0 < float((first - A.A(x)).abs().max()) < 0.05


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1.0, float("nan"), float("inf")], "2 values of 3 that are not finite"),
        ([1.0, -2.0, 5.0], "1 values of 3 that are negative"),
    ],
)
def test_bad_counts_are_refused_with_their_number(bad: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        log_transform(torch.tensor(bad), 10.0)
    with pytest.raises(InputError, match=message):
        statistical_weights(torch.tensor(bad))
    with pytest.raises(InputError, match=message):
        to_line_integrals(make_scan(torch.tensor(bad).reshape(1, 1, 3), "counts"), 10.0)


def test_bad_beams_are_refused() -> None:
    for incident in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="incident photons"):
            PoissonNoise(incident, generator())
    with pytest.raises(InputError, match="1 of 2 values"):
        log_transform(torch.ones(2), torch.tensor([1.0, 0.0]))
    with pytest.raises(InputError, match="mean count"):
        photon_counts(torch.tensor([-100.0]), 1e5, generator())
    with pytest.raises(InputError, match="not finite"):
        photon_counts(torch.tensor([float("nan")]), 1e5, generator())
    with pytest.raises(InputError, match="floor"):
        log_transform(torch.ones(2), 1.0, floor=0.0)


# ---- correction ----------------------------------------------------------------------------


def measured(detectors: int = 40) -> tuple[torch.Tensor, Scan]:
    """Line integrals, and the scan that an uneven beam and a dark current make of them."""
    lines = sinogram(half_turn(12), detectors, detectors / 2, scale=5.0).float()
    beam = torch.linspace(8000, 12000, detectors)[None]
    dark = torch.linspace(90, 110, detectors)[None]
    raw = dark + beam * torch.exp(-lines)
    return lines, make_scan(
        raw, "counts", flat=(beam + dark).repeat(5, 1, 1), dark=dark.repeat(3, 1, 1)
    )


def test_flat_and_dark_fields_give_the_line_integrals_back() -> None:
    lines, scan = measured()
    done = to_line_integrals(scan)
    assert torch.allclose(done.scan.data, lines, atol=2e-5)
    assert done.scan.kind == "line integrals"
    assert done.scan.flat is None
    assert torch.allclose(done.weights, scan.data - scan.dark[:1], rtol=1e-4)
    assert done.notes == []


def test_without_the_dark_field_the_result_is_another() -> None:
    lines, scan = measured()
    done = to_line_integrals(make_scan(scan.data, "counts", flat=scan.flat))
    assert float((done.scan.data - lines).abs().max()) > 1e-3


def test_a_flash_in_one_flat_field_does_not_move_the_median() -> None:
    lines, scan = measured()
    scan.flat[2, 0, 10] = 60000
    assert torch.allclose(to_line_integrals(scan).scan.data, lines, atol=2e-5)
    moved = to_line_integrals(scan, average="mean").scan.data - lines
    assert float(moved.abs().max()) > 0.1


def test_median_of_an_even_number_of_fields_is_between_the_middle_two() -> None:
    fields = torch.tensor([1.0, 2.0, 4.0, 9.0]).reshape(4, 1, 1)
    assert average_fields(fields).item() == 3
    assert average_fields(fields, "mean").item() == 4
    with pytest.raises(InputError, match="'median' or 'mean'"):
        average_fields(fields, "mode")
    with pytest.raises(InputError, match="fields, slices, detectors"):
        average_fields(fields[0])


def test_dead_pixels_are_interpolated_weightless_and_reported() -> None:
    lines, scan = measured()
    for place in (0, 20, 21, 39):
        scan.flat[:, :, place] = scan.dark[0, :, place]
    done = to_line_integrals(scan)
    assert torch.nonzero(done.dead[0]).flatten().tolist() == [0, 20, 21, 39]
    assert bool((done.weights[..., done.dead[0]] == 0).all())
    between = lines[..., 19] + (lines[..., 22] - lines[..., 19]) / 3
    assert torch.allclose(done.scan.data[..., 20], between, atol=2e-5)
    assert torch.allclose(done.scan.data[..., 0], lines[..., 1], atol=2e-5)
    assert torch.allclose(done.scan.data[..., 39], lines[..., 38], atol=2e-5)
    assert done.notes == ["4 of 40 detector pixels are dead: interpolated"]


def test_a_beam_that_was_off_is_refused() -> None:
    _, scan = measured()
    swapped = make_scan(scan.data, "counts", flat=scan.dark, dark=scan.flat)
    with pytest.raises(InputError, match=r"100 % .* which is which"):
        to_line_integrals(swapped)


def test_rays_without_light_are_floored_and_counted() -> None:
    _, scan = measured()
    scan.data[0, 3, 20] = scan.dark[0, 0, 20] - 5
    done = to_line_integrals(scan)
    assert done.floored == 1
    assert done.weights[0, 3, 20] == 0
    assert bool(torch.isfinite(done.scan.data).all())
    assert "1 of 480 rays" in done.notes[0]


def test_the_other_kinds_of_scan() -> None:
    lines, _ = measured()
    passed = to_line_integrals(make_scan(torch.exp(-lines), "intensities"))
    assert torch.allclose(passed.scan.data, lines, atol=1e-5)
    counted = to_line_integrals(make_scan(1e4 * torch.exp(-lines), "counts"), incident=1e4)
    assert torch.allclose(counted.scan.data, lines, atol=1e-5)
    assert float(counted.weights.max()) == pytest.approx(1e4, rel=1e-3)
    plain = to_line_integrals(make_scan(lines, "line integrals"))
    assert torch.equal(plain.scan.data, lines)
    assert plain.weights is None


def test_incident_photons_are_needed_where_nothing_else_says_them() -> None:
    lines, scan = measured()
    with pytest.raises(InputError, match="without flat fields; give the number"):
        to_line_integrals(make_scan(scan.data, "counts"))
    with pytest.raises(InputError, match="has flat fields; leave them out"):
        to_line_integrals(scan, incident=10.0)
    with pytest.raises(InputError, match="holds line integrals; leave them out"):
        to_line_integrals(make_scan(lines, "line integrals"), incident=10.0)


# ---- window --------------------------------------------------------------------------------


def test_the_problem_in_the_window_is_the_same_problem() -> None:
    A = Convolution(kernels.gaussian(1.5), (1, 20, 20), boundary="constant")
    window = hounsfield_window(mu_water=0.02)
    u = torch.rand(2, 1, 20, 20, dtype=torch.float64, generator=generator())
    x = window.from_unit(u)
    y = GaussianNoise(0.01, generator(1))(A.A(x))
    inside = window.measurements(A, y)
    assert torch.allclose(window.to_unit(x), u)
    left = (A.A(x) - y).square().sum()
    right = window.width**2 * (A.A(u) - inside).square().sum()
    assert torch.allclose(left, right, rtol=1e-10)
    spread = (inside - A.A(u)).std().item()
    assert spread == pytest.approx(window.noise_level(0.01), rel=0.1)
    weights = window.weights(torch.tensor(1 / 0.01**2))
    assert weights.item() == pytest.approx(window.noise_level(0.01) ** -2)
    # The law can fail: without the low end's own measurement the two differ.
    assert not torch.allclose(left, window.width**2 * (A.A(u) - y / window.width).square().sum())


def test_hounsfield_window_is_linear_in_the_attenuation() -> None:
    window = hounsfield_window(-1000, 1000, 0.02)
    assert (window.low, window.high) == (0.0, pytest.approx(0.04))
    assert hounsfield_window(mu_water=0.02).low == pytest.approx(-0.024 * 0.02)


def test_bad_windows_are_refused() -> None:
    for low, high in ((1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(InputError, match="the lower one first"):
            Window(low, high)
    with pytest.raises(InputError, match="mu_water"):
        hounsfield_window(mu_water=0.0)


# ---- noise level ---------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("views", [60, 180])
def test_noise_level_of_a_sinogram(views: int, percent: float) -> None:
    clean = sinogram(half_turn(views), 256, 127.5)
    sigma = percent / 100 * float(clean.max())
    found = sinogram_noise_level(GaussianNoise(sigma, generator())(clean))
    # Edges of the object add to little noise.
    assert found == pytest.approx(sigma, rel=0.1 if percent < 1 else 0.04)


def test_smoothed_noise_is_underestimated() -> None:
    clean = sinogram(half_turn(60), 256, 127.5)
    noise = torch.randn(clean.shape, generator=generator(), dtype=clean.dtype)
    smooth = (noise[..., 1:] + noise[..., :-1]) / 2**0.5  # of the same variance
    found = sinogram_noise_level(clean[..., 1:] + 0.02 * clean.max() * smooth)
    assert found < 0.8 * 0.02 * float(clean.max())


def test_too_little_to_estimate_noise_from() -> None:
    with pytest.raises(InputError, match="too small"):
        sinogram_noise_level(torch.zeros(4, 100))
    broken = torch.zeros(1, 10, 10)
    broken[0, 2, 3] = float("nan")
    with pytest.raises(InputError, match="1 values of 100"):
        sinogram_noise_level(broken)


def test_fewer_incident_photons_than_were_counted_are_refused() -> None:
    lines = torch.rand(1, 6, 8, generator=torch.Generator().manual_seed(0))
    counted = make_scan(1e4 * torch.exp(-lines), "counts")
    with pytest.raises(InputError, match="only 10 photons entered"):
        to_line_integrals(counted, incident=10.0)
    assert to_line_integrals(counted, incident=1e4).weights is not None


def _rays(gain: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Noise of rays through air and object, their true weights times `gain`, and their level."""
    seeded = generator(seed)
    weights = torch.cat([torch.full((4000,), 1e5), torch.linspace(300, 4000, 6000)]).double()
    noise = torch.randn(10000, generator=seeded, dtype=torch.float64) / weights.sqrt()
    return weights, gain * weights, float(noise.abs().median()) / 0.6745


def test_weights_of_any_gain_become_inverse_variances() -> None:
    weights, scaled, level = _rays(7.0)
    found = inverse_variances(scaled, level)
    torch.testing.assert_close(found / found[0], weights / weights[0])
    # One draw is good to 3 %, the mean of 40 to 0.5 %.
    draws = [_rays(7.0, seed) for seed in range(40)]
    gains = [float(inverse_variances(s, n)[0] / w[0]) for w, s, n in draws]
    assert sum(gains) / 40 == pytest.approx(1, abs=0.015)
    # The mean weight, taken for that of the typical ray, is far off.
    mean = scaled / (scaled.mean() * level**2)
    assert float((mean / weights).mean()) < 0.4


def test_rays_of_no_weight_have_no_part_in_the_gain() -> None:
    _, scaled, level = _rays(1.0)
    with_gaps = inverse_variances(torch.cat([scaled, torch.zeros(5000).double()]), level)
    torch.testing.assert_close(with_gaps[:10000], inverse_variances(scaled, level))
    assert not with_gaps[10000:].any()
    assert not inverse_variances(torch.zeros(3), 1.0).any()
