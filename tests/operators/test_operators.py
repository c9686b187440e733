"""Every registered operator keeps the contract; broken twins show that the tests can fail."""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    BOUNDARIES,
    Boundary,
    Convolution,
    GaussianNoise,
    Identity,
    LinearOperator,
    OperatorError,
    RayTransform,
    Scaled,
    VaryingBlur,
)

F64 = torch.float64
DTYPES = [torch.float32, torch.float64]
every_operator = pytest.mark.parametrize("case", laws.OPERATORS, ids=lambda case: case.label)
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)
every_device = pytest.mark.parametrize("device", laws.DEVICES)


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# ---- a caller's autocast ----


def rounded_by_autocast(A: LinearOperator) -> bool:
    """Whether A, its transpose or the derivative of either comes out otherwise under autocast."""
    x, y = rand(1, *A.image_shape).float(), rand(1, *A.measurement_shape, seed=2).float()

    def found(cast: bool) -> list[Tensor]:
        out = []
        for apply, t in ((A.A, x.clone()), (A.A_adjoint, y.clone())):
            with torch.autocast("cpu", torch.bfloat16, enabled=cast):
                mapped = apply(t.requires_grad_())
            # Outside, as torch advises: products that it derives by products are cast inside.
            out += [mapped.detach(), *torch.autograd.grad(mapped.float().square().sum(), t)]
        return out

    pairs = zip(found(False), found(True), strict=True)
    return any(a.dtype != b.dtype or not torch.equal(a, b) for a, b in pairs)


@every_operator
def test_autocast_rounds_no_operator(case: laws.OperatorCase) -> None:
    assert not rounded_by_autocast(case.build(torch.float32))


def test_an_operator_that_autocast_rounds_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.base.kept_precision", lambda like: nullcontext())
    A = Convolution(torch.tensor([[0.2, 0.7, 0.1]]), (1, 8, 8), method="direct")
    assert rounded_by_autocast(A)


# ---- brightness ----


def brightness_off(A: LinearOperator) -> float:
    """How far the guess of a grey picture is from it at the typical pixel that is seen."""
    grey = torch.full((2, *A.image_shape), 0.25, dtype=F64)
    guess = A.initial_guess(A.A(grey))
    assert guess.shape == grey.shape
    assert bool(torch.isfinite(guess).all())
    light = A.normal(grey)
    return float((guess - grey)[light > 0.01 * light.max()].abs().median())


@every_operator
def test_guess_has_the_right_brightness(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    off = brightness_off(A)
    if isinstance(A, Convolution | VaryingBlur):
        # Its guess is y, right for kernels that sum to one, away from a dark border.
        assert not A.nonnegative or A.boundary == "constant" or off < 1e-12
    elif A.nonnegative:
        # That of a ray transform is its filtered back-projection, of few views here; its scale has
        # tests of its own.
        assert off < (0.1 if isinstance(A, RayTransform) else 0.05)


def test_a_guess_of_another_brightness_is_caught() -> None:
    class Transposed(Scaled):
        def initial_guess(self, y: Tensor) -> Tensor:
            return self.A_adjoint(y)

    assert brightness_off(Transposed(2.0, Identity((1, 4, 5)))) > 0.5


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
