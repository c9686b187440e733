"""To and from deepinv: the same maps, and no more claimed than is known."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor

import laws
from operators import (
    BOUNDARIES,
    Boundary,
    Convolution,
    GaussianNoise,
    OperatorError,
    from_deepinv,
)

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


def test_import_stays_light() -> None:
    heavy = "{'deepinv', 'torchvision', 'odl', 'matplotlib', 'scipy', 'skimage', 'pnp_recon'}"
    code = f"import sys, operators; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
