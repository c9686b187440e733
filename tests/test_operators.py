"""Every registered operator keeps the contract; broken twins show that the tests can fail."""

from __future__ import annotations

import copy
import itertools
import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from torch import Tensor

import laws
from operators import (
    BOUNDARIES,
    Boundary,
    Convolution,
    GaussianNoise,
    LinearOperator,
    OperatorError,
    adjoint_mismatch,
    check_adjoint,
    from_deepinv,
    to_matrix,
)

F64 = torch.float64
DTYPES = [torch.float32, torch.float64]
every_operator = pytest.mark.parametrize("case", laws.OPERATORS, ids=lambda case: case.label)
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)
every_device = pytest.mark.parametrize("device", laws.DEVICES)


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class WrongAdjoint(Convolution):
    """Convolves where it should correlate."""

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self._forward_map(y)


class LossyAdjoint(Convolution):
    """Forgets to fold one row of the border back."""

    def _transpose_map(self, y: Tensor) -> Tensor:
        x = super()._transpose_map(y).clone()
        x[..., 0, :] *= 0.9
        return x


# ---- laws ----


@every_device
@pytest.mark.parametrize("dtype", DTYPES)
@every_operator
def test_adjoint_is_the_transpose(case: laws.OperatorCase, dtype: torch.dtype, device: str) -> None:
    check_adjoint(case.build(dtype).to(device), dtype=dtype)


@every_operator
def test_matrix_of_the_adjoint_is_the_transposed_matrix(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    matrix = to_matrix(A)
    eye = torch.eye(matrix.shape[0], dtype=F64).reshape(-1, *A.measurement_shape)
    transposed = A.A_adjoint(eye).reshape(matrix.shape)
    assert torch.allclose(transposed, matrix, rtol=0, atol=1e-14)
    assert A.nonnegative == bool((matrix > -1e-15).all())


@every_operator
def test_prox_solves_the_dense_system(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    matrix = to_matrix(A)
    z, y = rand(3, *A.image_shape), rand(3, *A.measurement_shape, seed=2)
    gamma = torch.tensor([0.3, 2.0, 40.0], dtype=F64)
    x, error = A.prox_l2_with_error(z, y, gamma, tol=1e-9, max_iter=500)
    for i in range(3):
        system = torch.eye(matrix.shape[1], dtype=F64) + gamma[i] * matrix.T @ matrix
        right = z[i].flatten() + gamma[i] * matrix.T @ y[i].flatten()
        exact = torch.linalg.solve(system, right).reshape(A.image_shape)
        distance = float(torch.linalg.vector_norm(x[i] - exact))
        assert distance < 2e-9
        assert distance <= float(error[i]) + 1e-12


@every_operator
def test_dagger_is_the_pseudo_inverse(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    matrix = to_matrix(A)
    y = rand(2, *A.measurement_shape)
    x = A.A_dagger(y, tol=1e-12, max_iter=2000).flatten(1)
    exact = y.flatten(1) @ torch.linalg.pinv(matrix, rtol=1e-12).T
    assert torch.allclose(x, exact, rtol=1e-5, atol=1e-5)


@every_operator
def test_linear_differentiable_and_blind_to_the_batch(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    x = rand(3, *A.image_shape).requires_grad_()
    y = A.A(x)
    assert y.shape == (3, *A.measurement_shape)
    assert torch.allclose(y[1:2], A.A(x[1:2]), rtol=0, atol=1e-14)
    v = rand(*y.shape, seed=4)
    (gradient,) = torch.autograd.grad((y * v).sum(), x)
    assert torch.allclose(gradient, A.A_adjoint(v), rtol=0, atol=1e-13)
    assert torch.equal(A(x), y)  # no noise model


def test_wrong_adjoints_are_caught() -> None:
    kernel = laws.random_kernel((3, 3))
    for twin in (WrongAdjoint, LossyAdjoint):
        broken = twin(kernel, (1, 64, 64), "replicate")
        with pytest.raises(OperatorError, match="not the transpose"):
            check_adjoint(broken)
        with pytest.raises(OperatorError, match="not the transpose"):
            check_adjoint(broken, dtype=torch.float32)
    measured = adjoint_mismatch(
        Convolution(kernel, (1, 64, 64), "replicate"), torch.Generator().manual_seed(3)
    )
    assert measured < 1e-15


# ---- against independent implementations ----

SCIPY_MODE = {
    "circular": "wrap",
    "replicate": "nearest",
    "reflect": "mirror",  # the border pixel is not repeated
    "constant": "constant",
}


@pytest.mark.parametrize("method", laws.METHODS)
@pytest.mark.parametrize("blur", laws.BLURS, ids=lambda blur: blur.label)
@every_boundary
def test_agrees_with_scipy(boundary: Boundary, blur: laws.Blur, method: str) -> None:
    kernel = laws.random_kernel(blur.kernel, signed=blur.signed)
    A = Convolution(kernel, blur.image, boundary, center=blur.center, method=method)  # type: ignore[arg-type]
    x = rand(2, *blur.image)
    y = A.A(x).numpy()
    for image, channel in itertools.product(range(2), range(blur.image[0])):
        picture = x[image, channel].numpy()
        if boundary == "valid":
            expected = scipy.signal.convolve2d(picture, kernel.numpy(), mode="valid")
        else:
            # scipy's centre of a flipped kernel lies at size // 2; `origin` moves it to ours.
            origin = [c - n // 2 for c, n in zip(A.center, kernel.shape, strict=True)]
            expected = _scipy(picture, kernel.numpy(), SCIPY_MODE[boundary], origin)
        np.testing.assert_allclose(y[image, channel], expected, rtol=0, atol=1e-13)


def _scipy(picture: np.ndarray, kernel: np.ndarray, mode: str, origin: list[int]) -> np.ndarray:
    padded = [abs(o) for o in origin]
    widened = np.pad(kernel, [(p, p) for p in padded])  # room to move the centre to the middle
    widened = np.pad(widened, [(0, 1 - n % 2) for n in widened.shape])
    middle = [n // 2 for n in widened.shape]
    center = [n // 2 + o + p for n, o, p in zip(kernel.shape, origin, padded, strict=True)]
    shift = [m - c for m, c in zip(middle, center, strict=True)]
    return scipy.ndimage.convolve(picture, np.roll(widened, shift, (0, 1)), mode=mode)


def test_circular_agrees_with_brute_force_fourier() -> None:
    kernel = laws.random_kernel((5, 3))
    x = rand(2, 3, 11, 13)
    spread = torch.zeros(11, 13, dtype=F64)
    for i, j in itertools.product(range(5), range(3)):
        spread[(i - 2) % 11, (j - 1) % 13] = kernel[i, j]
    expected = torch.fft.ifft2(torch.fft.fft2(x) * torch.fft.fft2(spread)).real
    for method in laws.METHODS:
        y = Convolution(kernel, (3, 11, 13), "circular", method=method).A(x)
        assert torch.allclose(y, expected, rtol=0, atol=1e-14)


def test_a_bright_pixel_becomes_the_kernel_itself() -> None:
    kernel = laws.random_kernel((3, 5))
    point = torch.zeros(1, 1, 9, 9, dtype=F64)
    point[0, 0, 4, 4] = 1
    y = Convolution(kernel, (1, 9, 9), "constant").A(point)
    assert torch.allclose(y[0, 0, 3:6, 2:7], kernel, atol=1e-15)
    assert not torch.allclose(y[0, 0, 3:6, 2:7], kernel.flip(0, 1), atol=1e-3)  # no correlation


# ---- precision, devices, caches ----


@every_device
@every_boundary
def test_follows_the_dtype_of_the_image_and_survives_moves(boundary: Boundary, device: str) -> None:
    kernel = laws.random_kernel((7, 7))
    A = Convolution(kernel, (1, 12, 14), boundary, method="fft")
    x = rand(1, 1, 12, 14)
    wide, narrow = A.A(x), A.A(x.float())
    assert (wide.dtype, narrow.dtype) == (F64, torch.float32)
    assert torch.allclose(wide, narrow.double(), atol=1e-6)
    assert not torch.equal(wide, narrow.double())
    rounded = Convolution(kernel.float(), (1, 12, 14), boundary, method="fft")
    A.to(device).float()  # rounds the kernel: a stale transform would still answer `wide`
    answer = A.A(x.to(device)).cpu()
    assert torch.allclose(answer, rounded.A(x), rtol=0, atol=1e-14)
    assert not torch.allclose(answer, wide, rtol=0, atol=1e-14)


def test_a_kernel_changed_in_place_gets_new_transforms_and_a_new_proof() -> None:
    A = Convolution(laws.random_kernel((7, 7)), (1, 10, 10), method="fft")
    x = rand(1, 1, 10, 10)
    before, bound = A.A(x), A.norm_bound
    A.kernel.mul_(3)
    assert torch.allclose(A.A(x), 3 * before)
    assert A.norm_bound == pytest.approx(3 * bound, rel=1e-12)
    other = Convolution(laws.random_kernel((7, 7), seed=9), (1, 10, 10), method="fft")
    A.load_state_dict(other.state_dict())
    assert torch.equal(A.A(x), other.A(x))
    assert A.norm_bound == other.norm_bound


def test_inference_mode_leaves_nothing_behind() -> None:
    with torch.inference_mode():
        A = Convolution(laws.random_kernel((7, 7)), (1, 10, 10))
        _ = A.A(rand(1, 1, 10, 10)), A.norm_bound
    x = rand(1, 1, 10, 10).requires_grad_()
    A.A(x).sum().backward()
    assert x.grad is not None


def test_auto_picks_direct_for_small_kernels_and_fft_for_large() -> None:
    small = Convolution(laws.random_kernel((3, 3)), (1, 20, 20))
    large = Convolution(laws.random_kernel((9, 9)), (1, 20, 20))
    assert not small._uses_fft(torch.float32)
    assert large._uses_fft(torch.float32)


# ---- conjugate gradients ----


def test_error_bound_holds_when_cut_short_and_warm_start_saves_work() -> None:
    A = Convolution(laws.random_kernel((5, 5)), (1, 16, 16), "reflect")
    z, y = rand(2, 1, 16, 16), rand(2, 1, 16, 16, seed=2)
    exact = A.prox_l2(z, y, 30.0, tol=1e-12, max_iter=1000)
    for dtype, iterations in itertools.product(DTYPES, (0, 1, 3, 8)):
        x, error = A.prox_l2_with_error(
            z.to(dtype), y.to(dtype), 30.0, tol=0.0, max_iter=iterations
        )
        assert x.dtype == dtype
        distance = (x.double() - exact).flatten(1).norm(dim=1)
        # The inputs themselves are rounded in float32; the map z, y -> prox has norm below 31.
        assert bool((distance <= error.double() + (0 if dtype == F64 else 1e-4)).all())
        assert float(distance.max()) > 1e-7  # the bound had something to bound
    again, error = A.prox_l2_with_error(z, y, 30.0, exact, tol=1e-9, max_iter=0)
    assert torch.equal(again, exact)
    assert float(error.max()) < 1e-9


def test_converged_images_are_frozen_and_images_do_not_mix() -> None:
    A = Convolution(laws.random_kernel((5, 5)), (1, 12, 12), "constant")
    z, y = rand(2, 1, 12, 12), rand(2, 1, 12, 12, seed=2)
    alone = A.prox_l2(z[:1], y[:1], 5.0, tol=1e-11)
    start = torch.cat([alone, z[1:]])  # the first image is there already
    both = A.prox_l2(z, y, 5.0, x0=start, tol=1e-10)
    assert torch.equal(both[:1], alone)
    assert torch.allclose(both[1:], A.prox_l2(z[1:], y[1:], 5.0, tol=1e-10), atol=1e-9)


def test_circular_prox_is_closed_form_and_equals_conjugate_gradients() -> None:
    A = Convolution(laws.random_kernel((5, 5)), (3, 10, 12))
    z, y = rand(2, 3, 10, 12), rand(2, 3, 10, 12, seed=2)
    x, error = A.prox_l2_with_error(z, y, 7.0)
    assert A.prox_closed_form
    assert torch.equal(error, torch.zeros(2, dtype=F64))
    iterated, _ = LinearOperator.prox_l2_with_error(A, z, y, 7.0, tol=1e-11)
    assert torch.allclose(x, iterated, rtol=0, atol=1e-10)


# ---- errors ----

GOOD = laws.random_kernel((3, 3))


@pytest.mark.parametrize(
    ("kernel", "options", "message"),
    [
        (torch.zeros(3, 3), {}, "zero everywhere"),
        (torch.full((3, 3), float("nan")), {}, "not finite"),
        (torch.rand(4, 3), {}, "center="),
        (torch.rand(4, 3), {"center": (4, 0)}, "outside"),
        (torch.rand(9, 3), {}, "larger than the image"),
        (torch.rand(3), {}, "expected \\(kh, kw\\)"),
        (torch.ones(3, 3, dtype=torch.int64), {}, "float32 or float64"),
        (np.ones((3, 3)), {}, "ndarray"),
        (GOOD, {"boundary": "wrap"}, "choose one of circular"),
        (GOOD, {"method": "spectral"}, "choose auto"),
        (GOOD, {"image_shape": (8, 8)}, "image"),
    ],
)
def test_bad_kernels_are_refused(kernel: Tensor, options: dict[str, object], message: str) -> None:
    arguments = {"image_shape": (1, 8, 8), **options}
    with pytest.raises(OperatorError, match=message):
        Convolution(kernel, **arguments)  # type: ignore[arg-type]


def test_bad_tensors_are_refused() -> None:
    A = Convolution(GOOD, (1, 8, 9), "valid")
    for x, message in (
        (rand(1, 1, 8, 8), r"shape \(1, 1, 8, 8\); .* expects \(B, 1, 8, 9\)"),
        (rand(1, 8, 9), "expects"),
        (rand(1, 3, 8, 9), "expects"),
        (rand(1, 1, 8, 9).to(torch.uint8), "uint8"),
        (rand(1, 1, 8, 9).half(), "float16"),
        (np.zeros((1, 1, 8, 9)), "ndarray"),
    ):
        with pytest.raises(OperatorError, match=message):
            A.A(x)  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="measurement"):
        A.A_adjoint(rand(1, 1, 8, 9))
    z, y = rand(2, 1, 8, 9), rand(2, 1, 6, 7)
    for gamma in (0.0, -1.0, float("nan"), torch.ones(3)):
        with pytest.raises(OperatorError, match="gamma"):
            A.prox_l2(z, y, gamma)


def test_noise_is_seeded_and_of_the_stated_size() -> None:
    x = rand(1, 1, 64, 64)

    def measure(seed: int) -> Tensor:
        noise = GaussianNoise(0.1, torch.Generator().manual_seed(seed))
        return Convolution(GOOD, (1, 64, 64), noise_model=noise)(x)

    clean = Convolution(GOOD, (1, 64, 64)).A(x)
    assert torch.equal(measure(5), measure(5))
    assert not torch.equal(measure(5), measure(6))
    assert float((measure(5) - clean).std()) == pytest.approx(0.1, rel=0.05)
    with pytest.raises(OperatorError, match="sigma"):
        GaussianNoise(-1.0, torch.Generator())


# ---- deepinv ----


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
    edge = Blur(filter=torch.tensor([[[[1.0, 0.0, -1.0]]]]), padding="circular")
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
