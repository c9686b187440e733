"""Reconstruction networks as priors: equivariance, what they were trained for, reconstruct."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from operators import Identity, RayTransform, parallel_beam
from pnp_recon import LearnedReconstruction, Status, Stopping, load_unrolled
from pnp_recon import reconstruct as run
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.models.export import export
from pnp_recon.priors.unrolled import measure_equivariance
from pnp_recon.priors.unrolled_domain import TrainedOn
from pnp_recon.solvers.unrolled import run_learned
from support.unrolled import (
    GREY,
    OPERATORS,
    SCAN,
    SIDE,
    TRAINED_ON,
    measured,
    model,
    network,
)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return export(network(), tmp_path, "tiny.v2", TRAINED_ON, {"seed": 7})


# ---- equivariance of the learned maps -----------------------------------------------------------


def test_equivariance_is_measured() -> None:
    for group, elements in (
        ("C4", "turns by 90°"),
        ("D4", "turns by 90° and flips"),
        ("C2", "turns by 180°"),
        ("D1", "flips"),
        ("C8", "turns by 90°"),
    ):
        found = measure_equivariance(network(group=group))
        assert found.promised
        assert found.elements == elements
        assert 0 < found.error < 1e-5
        assert "Celledoni et al. 2021" in str(found)
    silent = network()
    with torch.no_grad():
        for update in silent.updates:
            for weights in update.layers[-1].parameters():
                weights.zero_()
    assert measure_equivariance(silent).error == 0
    for group, width in (("C1", 8), ("C3", 9)):
        found = measure_equivariance(network(group=group, width=width))
        assert not found.promised
        assert found.error > 0.1
        assert "no group ties" in str(found)


def test_broken_ties_are_measured() -> None:
    """The twin: one filter of the plain network changed by a thousandth."""
    broken = model().network
    with torch.no_grad():
        broken.updates[1].layers[1].weight[0, 0, 0, 0] += 1e-3  # type: ignore[index]
    assert measure_equivariance(broken).error > 1e-5


# ---- what it was trained for -------------------------------------------------------------------


def test_the_same_scan_passes_whatever_its_unit_of_length() -> None:
    assert model().check(RayTransform(SCAN, GREY), window_hu=(-1024, 1500), incident=1e4) == ()
    # Lengths count in pixels.
    assert model().check(RayTransform(parallel_beam(7, SIDE, pixel_mm=1.7), GREY)) == ()


OTHERS = {
    "9 views instead of 7": parallel_beam(9, SIDE),
    "from 0° to 77.14° instead of from 0° to 154.3°": parallel_beam(
        7, SIDE, span=1.5707963267948966
    ),
    "detector_count of 30": replace(SCAN, detector_count=30),
    "detector of 1.2": replace(SCAN, detector_mm=1.2),
    "axis_offset of 0.5": replace(SCAN, axis_offset=0.5),
    "fan_flat beam instead of parallel": replace(
        SCAN, kind="fan_flat", source_radius=50.0, detector_radius=0.0
    ),
}


@pytest.mark.parametrize("words", OTHERS)
def test_another_scan_is_refused_or_warned_of(words: str) -> None:
    A = RayTransform(OTHERS[words], GREY)
    with pytest.raises(InputError) as caught:
        model().check(A)
    assert words in str(caught.value)
    assert "measure as it was trained (RayTransform, parallel beam with 7 views" in str(
        caught.value
    )
    warnings = model(other_geometry="warn").check(A)
    assert any(words in warning for warning in warnings)


def test_another_window_size_or_dose() -> None:
    A = RayTransform(SCAN, GREY)
    with pytest.raises(InputError, match="window of -200 to 300 HU instead of -1024 to 1500 HU"):
        model().check(A, window_hu=(-200, 300))
    (warning,) = model(other_geometry="warn").check(A, window_hu=(-200, 300))
    assert "window" in warning
    larger = RayTransform(SCAN, (1, 14, 13))
    with pytest.raises(InputError, match="13×14 pixels instead of 12×12"):
        model().check(larger)
    (warning,) = model(other_geometry="warn").check(larger)
    assert "13×14 pixels instead of 12×12" in warning
    # Never refused:
    (warning,) = model().check(A, incident=1e3)
    assert "1000 photons for each ray instead of 1e+04" in warning
    (warning,) = model().check(RayTransform(parallel_beam(7, SIDE, pixel_mm=5), GREY))
    assert "5 mm for each pixel" in warning


def test_another_operator_is_always_refused() -> None:
    lenient = model(other_geometry="warn")
    with pytest.raises(InputError, match=r"network for RayTransform .* found Identity"):
        lenient.check(Identity(GREY))
    with pytest.raises(InputError, match="pictures of 1 channels, found RayTransform and 3"):
        lenient.check(RayTransform(SCAN, (3, SIDE, SIDE)))


# ---- reconstruct --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATORS)
def test_it_reconstructs_with_every_operator(name: str) -> None:
    A = OPERATORS[name](torch.float32)
    domain = TrainedOn(type(A).__name__, A.image_shape)
    trained = network(channels=A.image_shape[0])
    y = measured(A)
    with torch.no_grad():
        expected = trained(y, A).clamp(0, 1)
    seen: list[int] = []
    reference = torch.rand(expected.shape)
    solution = run(
        y,
        A,
        LearnedReconstruction(trained, "net", domain),
        reference=reference,
        callback=lambda look: seen.append(look.iteration),
    )
    assert torch.equal(solution.image, expected)
    assert solution.status is Status.FIXED_DEPTH
    assert solution.status.succeeded
    assert solution.iterations == 3
    assert seen == solution.history.checked == [1, 2, 3]
    assert len(solution.history.psnr) == 3
    assert solution.solver == "learned-proximal-gradient"
    certificate = solution.certificate
    assert not certificate.proven
    assert not certificate.holds
    assert certificate.verdict.startswith("no guarantee: 3 learned iterations, a fixed number")
    assert "equivariant under turns by 90° (measured: relative error" in certificate.verdict
    assert solution.parameters["equivariance_error"] < 1e-5


def test_a_model_by_name(card: Path) -> None:
    A = RayTransform(SCAN, GREY)
    y = measured(A)
    for dtype in (torch.float32, torch.float64):
        found = run(y.to(dtype), A, str(card))
        assert found.image.dtype == dtype
    torch.testing.assert_close(found.image.float(), run(y, A, load_unrolled(str(card))).image)
    with pytest.raises(InputError, match=r"is in torch.float32 on cpu.*torch.float64"):
        run(y.double(), A, load_unrolled(str(card)))


def test_a_warning_stays_with_the_solution() -> None:
    other = RayTransform(parallel_beam(9, SIDE), GREY)
    found = run(measured(other), other, model(other_geometry="warn"))
    assert "9 views instead of 7" in found.certificate.verdict
    with pytest.raises(InputError, match="9 views instead of 7"):
        run(measured(other), other, model())


def test_settings_of_an_iteration_are_refused() -> None:
    A = RayTransform(SCAN, GREY)
    y = measured(A)
    settings: dict[str, Any] = {
        "fidelity": LeastSquares(A, y),
        "solver": "pnp-hqs",
        "acceleration": "none",
        "strength": 2.0,
        "step": 0.1,
        "gamma": 3.0,
        "denoiser_level": 0.1,
        "denoiser_scaling": 2.0,
        "relaxation": 0.5,
        "ridge": 0.1,
        "stopping": Stopping(),
        "start": torch.zeros(2, *GREY),
    }
    for name, value in settings.items():
        with pytest.raises(InputError, match=f"found with {name};"):
            run(y, A, model(), **{name: value})
    with pytest.raises(InputError, match="found with solver, step;"):
        run(y, A, model(), solver="pnp-pgd", step=1.0)
    assert run(y, A, model(), noise_level=0.1, allow_uncertified=True).iterations == 3


def test_what_is_not_finite_ends_the_run() -> None:
    A = RayTransform(SCAN, GREY)
    y = measured(A)
    y[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="y is not finite in 1 of"):
        run(y, A, model())
    found = run_learned(model(), y, A)
    assert found.status is Status.NON_FINITE
    assert found.iterations == 0


def test_ctrl_c_keeps_the_iterate() -> None:
    A = RayTransform(SCAN, GREY)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    found = run(measured(A), A, model(), callback=interrupt)
    assert found.status is Status.INTERRUPTED
    assert found.iterations == 1
