"""Ray transforms: back ends, what cannot be built and why, and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from operators import (
    OperatorError,
    RayTransform,
    ScanGeometry,
    check_adjoint,
    cone_beam,
    fan_beam,
    parallel_beam,
)
from operators._memory import coefficient_count
from operators._odl import import_tomo
from support.tomography import FULL_SCANS, SIZE, Disc, picture, rand, relative

ROOT = Path(__file__).resolve().parents[2]

# ---- back ends without a matched transpose ----


def test_skimage_says_that_its_back_projection_is_not_the_transpose() -> None:
    scan = parallel_beam(12, 16, pixel_mm=0.5)
    A = RayTransform(scan, (1, 16, 16), backend="skimage")
    assert not A.adjoint_matched
    assert not A.has_norm_bound
    assert A.measured_mismatch is not None
    assert A.measured_mismatch > 1e-4
    assert f"unmatched adjoint: mismatch {A.measured_mismatch:.1e}" in repr(A)
    with pytest.raises(OperatorError, match="back-projection is not the transpose"):
        _ = A.norm_bound
    with pytest.raises(OperatorError, match="not the transpose"):
        check_adjoint(A)
    x = picture(Disc(2.5, 0.0, 0.0), 16, 0.5).float()[None, None]
    # Its pixel grid is half a pixel off (scikit-image turns about pixel n // 2).
    assert relative(A.A(x), RayTransform(scan, (1, 16, 16)).A(x)) < 0.2


@pytest.mark.cuda
@pytest.mark.parametrize("kind", ["parallel", "parallel_3d", "fan_flat", "cone"])
def test_cuda_back_end_is_measured(kind: str) -> None:
    try:
        import_tomo("astra_cuda")
    except OperatorError as error:
        pytest.skip(str(error))
    shape = (16, 32, 32) if kind in ("parallel_3d", "cone") else (1, 32, 32)
    scan = {
        "parallel": parallel_beam(20, 32),
        "parallel_3d": parallel_beam(20, 32, slices=True),
        "fan_flat": fan_beam(20, 32, 60, 40),
        "cone": cone_beam(20, shape, 60, 40),
    }[kind]
    A = RayTransform(scan, shape, backend="astra_cuda")
    x = rand(2, *shape, dtype=torch.float32).cuda()
    assert A.A(x).device == x.device
    assert A.measured_mismatch is not None
    assert A.measured_mismatch < 1e-2
    assert A.adjoint_matched == (A.measured_mismatch <= 1e-5)
    if kind != "cone":
        assert relative(A.A(x).cpu(), RayTransform(scan, shape).A(x.cpu())) < 1e-2


# ---- refusals ----


@pytest.mark.parametrize(
    ("scan", "shape", "options", "message"),
    [
        (cone_beam(3, (4, 8, 8), 20, 20), (4, 8, 8), {"backend": "astra_cpu"}, "take astra_cuda"),
        (FULL_SCANS["fan curved"], (1, 64, 64), {"storage": "on_the_fly"}, "from its matrix only"),
        (FULL_SCANS["fan flat"], (1, 64, 64), {"backend": "skimage"}, "no fan_flat projector"),
        (parallel_beam(3, 8), (1, 8, 8), {"backend": "gpu"}, "choose one of auto"),
        (parallel_beam(3, 8), (1, 8, 8), {"storage": "disk"}, "choose auto, matrix"),
        (parallel_beam(3, 8), (8, 8), {}, r"expected three positive numbers"),
        (parallel_beam(3, 8), (1, 8, 9), {"backend": "skimage"}, "square"),
        (fan_beam(3, 8, 20, 20), (1, 64, 64), {}, "inside the picture"),
        ({"kind": "parallel"}, (1, 8, 8), {}, "is a dict; expected a ScanGeometry"),
        (
            parallel_beam(3, 8),
            (1, 8, 8),
            {"backend": "skimage", "storage": "matrix"},
            "needs the back end astra_cpu",
        ),
    ],
)
def test_what_cannot_be_built_says_why(
    scan: ScanGeometry, shape: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OperatorError, match=message):
        RayTransform(scan, shape, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_cone_beam_needs_a_gpu() -> None:
    with pytest.raises(OperatorError, match="needs a CUDA device"):
        RayTransform(cone_beam(3, (4, 8, 8), 20, 20), (4, 8, 8))


def test_a_missing_astra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from odl.applications import tomo

    monkeypatch.setattr(tomo, "ASTRA_AVAILABLE", False)
    refused = r"install pnp-recon\[ct\]"
    with pytest.raises(OperatorError, match=refused):
        RayTransform(FULL_SCANS["fan flat"], (1, SIZE, SIZE))
    # The matrix of a parallel beam is computed without ASTRA, calls of it are not.
    assert RayTransform(parallel_beam(3, 8), (1, 8, 8)).storage == "matrix"
    called = RayTransform(parallel_beam(3, 8), (1, 8, 8), storage="on_the_fly")
    with pytest.raises(OperatorError, match=refused):
        called.A(torch.ones(1, 1, 8, 8))
    assert called.fbp(torch.ones(1, *called.measurement_shape)).isfinite().all()


@pytest.mark.parametrize(
    ("scan", "works"), [("parallel_beam(3, 8)", 1), ("fan_beam(3, 8, 20, 20)", 0)]
)
def test_parallel_beams_need_no_library_of_tomography(scan: str, works: int) -> None:
    code = (
        "import sys\nfor name in ('odl', 'astra', 'skimage'): sys.modules[name] = None\n"
        "import torch\nfrom operators import OperatorError, RayTransform, fan_beam, parallel_beam\n"
        f"try: A = RayTransform({scan}, (1, 8, 8))\n"
        "except OperatorError as error: sys.exit('ODL cannot be imported' not in str(error) or 9)\n"
        "assert A.A_dagger(A.A(torch.ones(1, 1, 8, 8))).isfinite().all() and A.norm_bound > 1"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == (0 if works else 9), done.stderr


def test_a_sinogram_of_another_size_is_refused() -> None:
    A = RayTransform(parallel_beam(3, 8), (1, 8, 8))
    y = rand(1, 1, 3, A.geometry.detector_count - 1)
    with pytest.raises(OperatorError, match=r"shape \(1, 1, 3, 11\); .* expects \(B, 1, 3, 12\)"):
        A.A_adjoint(y)


# ---- memory ----


def test_what_does_not_fit_is_refused_before_it_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(OperatorError, match=r"needs about .* GB, and .* of memory are free"):
        RayTransform(parallel_beam(720, 2048, slices=True), (10**6, 2048, 2048))
    monkeypatch.setattr("operators._memory.available_bytes", lambda device: 1_000_000)
    with pytest.raises(OperatorError, match=r"1 x 64 x 64 needs about .* MB, and 1 MB"):
        RayTransform(FULL_SCANS["parallel"], (1, 64, 64))


def test_a_matrix_beyond_the_budget_is_computed_on_the_fly() -> None:
    scan = parallel_beam(7, (9, 8), pixel_mm=0.5)
    assert RayTransform(scan, (1, 9, 8)).storage == "matrix"
    assert RayTransform(scan, (1, 9, 8), memory_budget=100).storage == "on_the_fly"


@pytest.mark.parametrize("label", FULL_SCANS)
def test_the_estimate_of_the_matrix_is_close(label: str) -> None:
    A = RayTransform(FULL_SCANS[label], (1, SIZE, SIZE))
    stored = A._projector._matrix(torch.zeros(1), False).values().numel()  # type: ignore[attr-defined]
    assert coefficient_count(A.geometry, (SIZE, SIZE)) == pytest.approx(stored, rel=0.1)
