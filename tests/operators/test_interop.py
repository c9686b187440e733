"""To and from deepinv: the same maps, and no more claimed than is known."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    BOUNDARIES,
    Boundary,
    Convolution,
    GaussianNoise,
    Inpainting,
    OperatorError,
    Stacked,
    check_norm,
    from_deepinv,
)
from operators.checks import check_operator

F64 = torch.float64
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@every_boundary
def test_deepinv_sees_the_same_operator(boundary: Boundary) -> None:
    from deepinv.physics import LinearPhysics

    noise = GaussianNoise(0.1, torch.Generator().manual_seed(5))
    A = Convolution(laws.random_kernel((3, 5)), (2, 8, 9), boundary, noise_model=noise)
    physics = A.to_deepinv()
    assert isinstance(physics, LinearPhysics)
    x = rand(2, 2, 8, 9)
    y = A.A(x)
    assert torch.equal(physics.A(x), y)
    assert torch.equal(physics.A_adjoint(y), A.A_adjoint(y))
    assert torch.equal(physics.A_dagger(y), A.A_dagger(y))
    assert torch.equal(physics.prox_l2(x, y, 3.0), A.prox_l2(x, y, 3.0))
    assert torch.equal(physics.prox_l2(None, y, 3.0), A.prox_l2(0 * x, y, 3.0))
    assert float(physics.adjointness_test(x)) < 1e-10
    assert float((physics(x) - y).std()) == pytest.approx(0.1, rel=0.3)
    assert from_deepinv(physics, (2, 8, 9)) is A
    assert torch.equal(copy.deepcopy(physics).A(x), y)


def test_a_deepinv_operator_comes_in_with_only_what_is_known() -> None:
    from deepinv.physics import Blur, GaussianNoise

    blur = Blur(filter=torch.full((1, 1, 3, 3), 1 / 9), padding="replicate")
    blur.noise_model = GaussianNoise(0.1)
    A = from_deepinv(blur, (1, 10, 12))
    x = rand(2, 1, 10, 12, dtype=torch.float32)
    assert torch.equal(A.A(x), blur.A(x))
    assert A.to_deepinv() is blur
    assert not torch.equal(A(x), A.A(x))  # the noise came along
    assert A.adjoint_mismatch < 1e-5  # type: ignore[operator]
    assert not A.has_norm_bound
    with pytest.raises(OperatorError, match=r"norm_bound=\.\.\."):
        _ = A.norm_bound
    ours = Convolution(torch.full((3, 3), 1 / 9), (1, 10, 12), "replicate")
    y = A.A(x)
    assert torch.allclose(A.prox_l2(x, y, 2.0), ours.prox_l2(x, y, 2.0), atol=1e-5)
    bracketed = from_deepinv(blur, (1, 10, 12), nonnegative=True).norm_certificate
    assert bracketed.lower <= ours.norm_bound
    assert bracketed.value >= ours.norm_certificate.lower
    assert bracketed.looseness < 1.02
    declared = from_deepinv(blur, (1, 10, 12), norm_bound=1.5)
    assert declared.norm_bound == 1.5
    assert declared.norm_certificate.method == "declared by the user"


def test_false_statements_about_a_deepinv_operator_are_refused() -> None:
    from deepinv.physics import Blur, LinearPhysics

    mean = Blur(filter=torch.full((1, 1, 3, 3), 1 / 9), padding="circular")
    with pytest.raises(OperatorError, match=r"attained"):
        from_deepinv(mean, (1, 10, 12), norm_bound=0.8)
    sobel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    edge = Blur(filter=sobel[None, None], padding="circular")
    with pytest.raises(OperatorError, match="non-negative"):
        from_deepinv(edge, (1, 10, 12), nonnegative=True)
    unmatched = LinearPhysics(A=lambda x: x.cumsum(-1), A_adjoint=lambda y: y)
    with pytest.raises(OperatorError, match="not the transpose"):
        from_deepinv(unmatched, (1, 10, 12))
    flagged = from_deepinv(unmatched, (1, 10, 12), norm_bound=50.0, allow_unmatched=True)
    assert not flagged.adjoint_matched
    assert not flagged.has_norm_bound
    with pytest.raises(OperatorError, match="not the transpose"):
        _ = flagged.norm_bound
    with pytest.raises(OperatorError, match="LinearPhysics"):
        from_deepinv(torch.nn.Identity(), (1, 10, 12))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["Inpainting", "Downsampling", "Tomography", "Demosaicing"])
def test_physics_without_negative_entries_are_bracketed(name: str) -> None:
    from deepinv import physics as deepinv_physics

    shape = (3 if name == "Demosaicing" else 1, 16, 16)
    generator = torch.Generator().manual_seed(0)
    options = {
        "Inpainting": {"img_size": shape, "mask": 0.5, "rng": generator},
        "Downsampling": {
            "img_size": shape,
            "filter": "gaussian",
            "factor": 2,
            "padding": "reflect",
        },
        "Tomography": {"angles": 7, "img_width": 16, "normalize": False},
        "Demosaicing": {"img_size": shape},
    }
    physics = getattr(deepinv_physics, name)(**options[name])
    A = from_deepinv(physics, shape, nonnegative=True)
    report = check_operator(A)
    assert report.holds, report
    attained = check_norm(A)
    assert A.norm_certificate.looseness < 1.01
    declared = from_deepinv(physics, shape, norm_bound=1.001 * attained)
    assert declared.norm_bound == 1.001 * attained
    with pytest.raises(OperatorError, match="attained"):  # the twin: a false declaration
        from_deepinv(physics, shape, norm_bound=0.9 * attained)


def test_mri_comes_in_with_two_real_channels_and_a_declared_norm() -> None:
    from deepinv.physics import MRI

    mask = (rand(1, 1, 8, 8) < 0.5).float()
    physics = MRI(mask=mask, img_size=(2, 8, 8))
    A = from_deepinv(physics, (2, 8, 8), norm_bound=1.0)
    assert check_norm(A) == pytest.approx(1, abs=1e-5)
    assert A.norm_bound == 1.0
    with pytest.raises(OperatorError, match="declare norm_bound instead"):
        from_deepinv(physics, (2, 8, 8), nonnegative=True)


def test_a_deepinv_operator_can_be_part_of_a_combination() -> None:
    from deepinv.physics import Blur

    blur = from_deepinv(
        Blur(filter=torch.full((1, 1, 3, 3), 1 / 9), padding="replicate"), (1, 8, 9), norm_bound=1.2
    )
    whole = Inpainting(rand(8, 9) < 0.5) @ blur
    assert whole.certificate_dtype == F64  # its float32 coefficients have a twin in float64
    assert 1.2 <= whole.norm_bound < 1.2 + 1e-12  # the product
    assert check_norm(whole) < 1.2
    unknown = from_deepinv(blur.to_deepinv(), (1, 8, 9))  # type: ignore[arg-type]
    assert not (2 * unknown).has_norm_bound
    for nothing_known in (2 * unknown, Stacked([whole, unknown]), whole + unknown):
        with pytest.raises(OperatorError, match=r"its part 'deepinv Blur'"):
            _ = nothing_known.norm_bound


def test_measurements_that_are_no_real_tensors_are_refused() -> None:
    from deepinv.physics import Denoising, LinearPhysics, StackedLinearPhysics
    from deepinv.physics import Inpainting as DeepinvInpainting

    transform = LinearPhysics(A=lambda x: torch.fft.fft2(x), A_adjoint=lambda y: torch.fft.ifft2(y))
    with pytest.raises(OperatorError, match=r"complex64; .* part a channel each"):
        from_deepinv(transform, (1, 8, 8), norm_bound=8.0)
    with pytest.raises(OperatorError, match=r"TensorList ; .* operators.Stacked"):
        from_deepinv(StackedLinearPhysics([Denoising(), Denoising()]), (1, 8, 8))
    mask = DeepinvInpainting(img_size=(1, 6, 6), mask=0.5)
    with pytest.raises(OperatorError, match=r"cannot measure an image of shape \(1, 1, 8, 8\)"):
        from_deepinv(mask, (1, 8, 8), nonnegative=True)


def test_import_stays_light() -> None:
    heavy = "{'deepinv', 'torchvision', 'odl', 'matplotlib', 'scipy', 'skimage', 'pnp_recon'}"
    code = f"import sys, operators; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
