"""Total variation and wavelets: what is particular to them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from operators import Gradient
from operators.conjugate_gradient import image_norms
from pnp_recon.errors import InputError
from pnp_recon.proximal import (
    COUPLINGS,
    Coupling,
    GradientNorm,
    OrthogonalWavelets,
    TotalVariation,
    WaveletL1,
)
from pnp_recon.proximal.coupling import pixel_norms, project
from pnp_recon.proximal.total_variation import _Denoising
from pnp_recon.proximal.wavelet import ORTHONORMAL, orthonormality_defect

every_coupling = pytest.mark.parametrize("coupling", COUPLINGS)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread only waits for tensors as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- norms of the gradient ---------------------------------------------------------------------


def jacobians(p: Tensor) -> np.ndarray:
    """The 2 × C matrices of a gradient (1, 2, C, H, W), one for each pixel."""
    return p[0].flatten(2).permute(2, 0, 1).numpy()


def gradients(channels: int, seed: int = 0) -> Tensor:
    """Random ones, parallel ones, tiny ones, and none."""
    p = random_tensor(1, 2, channels, 5, 6, seed=seed)
    p[:, 1, :, 1] = 2 * p[:, 0, :, 1]
    p[..., 2, :] *= 1e-9
    p[..., 3, :] = 0
    return p


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@every_coupling
def test_pixel_norms_and_projections_by_singular_values(coupling: Coupling, channels: int) -> None:
    p = gradients(channels)
    J = jacobians(p)
    U, S, V = np.linalg.svd(J, full_matrices=False)
    if coupling == "nuclear":
        norms, nearest = S.sum(1), U @ (np.minimum(S, 0.4)[..., None] * V)
    elif coupling == "vectorial":
        size = np.sqrt((S**2).sum(1))
        norms, nearest = size, J * np.minimum(1, 0.4 / np.maximum(size, 1e-300))[:, None, None]
    else:
        size = np.linalg.norm(J, axis=1)
        norms, nearest = size, J * np.minimum(1, 0.4 / np.maximum(size, 1e-300))[:, None]
    found = pixel_norms(p, coupling)[0].flatten(1).T.numpy().squeeze()
    assert np.allclose(found, norms.squeeze(), rtol=1e-12, atol=1e-20)
    assert np.allclose(jacobians(project(p, 0.4, coupling)), nearest, rtol=1e-12, atol=1e-14)
    assert float(project(p, 0.0, coupling).abs().max()) == 0
    # A second projection moves nothing.
    once = project(p, 0.4, coupling)
    assert torch.allclose(project(once, 0.4, coupling), once, rtol=1e-14, atol=0)


def test_couplings_agree_on_grey_and_differ_on_colour() -> None:
    grey, colour = picture(1, 1, 5, 6), picture(1, 3, 5, 6)
    values = [float(TotalVariation(1.0, coupling).value(grey)) for coupling in COUPLINGS]
    assert values == pytest.approx([values[0]] * 3)
    values = [float(TotalVariation(1.0, coupling).value(colour)) for coupling in COUPLINGS]
    isotropic, vectorial, nuclear = values
    assert vectorial < nuclear
    assert vectorial < isotropic
    # Where all channels are alike, the Jacobian has rank one, and two of the norms coincide.
    alike = grey.expand(1, 3, 5, 6)
    values = [float(TotalVariation(1.0, coupling).value(alike)) for coupling in COUPLINGS]
    assert values == pytest.approx([3 * values[1] / math.sqrt(3), values[1], values[1]])


# ---- the proximal map of total variation -------------------------------------------------------


def test_two_pixels_in_closed_form() -> None:
    """Two pixels move towards each other by λ each, at most to their mean."""
    x = torch.tensor([[[[0.1, 0.9]]], [[[0.5, 0.52]]]], dtype=torch.float64)
    u, error = TotalVariation(0.1).prox(x, 1.0, tol=1e-8)
    exact = torch.tensor([[[[0.2, 0.8]]], [[[0.51, 0.51]]]], dtype=torch.float64)
    assert bool((image_norms(u - exact) <= error).all())
    assert float(error.max()) <= 3e-7


@every_coupling
def test_large_weights_give_the_mean_and_none_give_the_picture(coupling: Coupling) -> None:
    x = picture(2, 3, 6, 7)
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    u, error = TotalVariation(50.0, coupling).prox(x, 1.0, tol=1e-4)
    assert bool((image_norms(u - mean) <= error + 1e-12).all())
    u, error = TotalVariation(0.0, coupling).prox(x, 1.0)
    assert torch.equal(u, x)
    assert float(error.max()) < 1e-7
    u, _ = TotalVariation(0.0, coupling, box=(0.2, 0.4)).prox(x, 1.0)
    assert torch.equal(u, x.clamp(0.2, 0.4))
    one = picture(1, 3, 1, 1)
    assert torch.equal(TotalVariation(1.0, coupling).prox(one, 1.0)[0], one)


@pytest.mark.parametrize("box", [None, (0.2, 0.7)])
@every_coupling
def test_gap_is_the_difference_of_the_two_problems(
    coupling: Coupling, box: tuple[float, float] | None
) -> None:
    """The sum of terms ≥ 0 against P(v) − d(p) written out, at points far from optimal."""
    x, radius = picture(2, 3, 4, 5), 0.07
    D = Gradient((3, 4, 5))
    problem = _Denoising(x, radius, coupling, box, D, 4.0)
    p = project(random_tensor(2, 2, 3, 4, 5), radius, coupling)
    v = picture(2, 3, 4, 5, seed=1)
    v = v if box is None else v.clamp(*box)
    u, bound, floor = problem.certify(D, p, v)
    tv = TotalVariation(radius, coupling)

    def primal(v: Tensor) -> Tensor:
        return tv.value(v) + 0.5 * image_norms(v - x).square()

    dual = 0.5 * image_norms(u - x).square() + (u * D.A_adjoint(p)).flatten(1).sum(1)
    expected = torch.minimum(primal(u) - dual, 2 * (primal(v) - dual)).sqrt()
    assert torch.allclose(bound, expected, rtol=1e-6)
    assert float(floor.max()) < 1e-5 * float(bound.min())
    # A dual variable outside of its ball is brought inside before it proves anything.
    _, outside, _ = problem.certify(D, 3 * random_tensor(2, 2, 3, 4, 5), v)
    assert bool((outside > 0).all())


def test_tolerance_is_kept_and_a_memory_saves_work(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[int] = []
    certify = _Denoising.certify

    def counted(self: _Denoising, *arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        checks.append(1)
        return certify(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(_Denoising, "certify", counted)
    x = picture(1, 1, 16, 17)
    g = TotalVariation(0.1)
    _, error, memory = g.prox_from(x, 1.0, tol=1e-4)
    cold = len(checks)
    assert float(error.max()) <= 1e-4
    _, error, memory = g.prox_from(x, 1.0, tol=1e-4, memory=memory)
    assert len(checks) - cold == 1, "the kept dual variable and picture are good enough"
    assert float(error.max()) <= 1e-4
    near = x + 1e-3 * random_tensor(1, 1, 16, 17)
    _, error, memory = g.prox_from(near, 1.0, tol=1e-3, memory=memory)
    assert float(error.max()) <= 1e-3
    checks.clear()
    g.prox(x, 1.0, tol=1e-4)  # without it nothing is remembered
    assert len(checks) == cold
    small = picture(1, 3, 4, 4)
    other, error, _ = g.prox_from(small, 1.0, tol=1e-3, memory=memory)  # of another shape
    assert other.shape == (1, 3, 4, 4)
    assert float(error.max()) <= 1e-3


def test_iteration_limit_is_told_by_the_bound() -> None:
    x = picture(1, 1, 16, 17)
    _, error = TotalVariation(1.0, max_iter=3).prox(x, 1.0, tol=1e-6)
    assert 1e-6 < float(error) < math.inf


def test_result_lies_in_the_box_and_its_bound_covers_float32() -> None:
    x = picture(2, 3, 6, 7)
    g = TotalVariation(0.05, "vectorial", box=(0.3, 0.6))
    exact, rest = g.prox(x, 1.0, tol=1e-7)
    assert float(exact.min()) >= 0.3
    assert float(exact.max()) <= 0.6
    narrow, error = g.prox(x.float(), 1.0, tol=1e-7)
    moved = image_norms(x.float().double() - x)  # the map is 1-Lipschitz
    assert bool((image_norms(narrow.double() - exact) <= error + rest + moved).all())


def test_outer_is_what_a_splitting_needs() -> None:
    g = TotalVariation(0.3, "nuclear", box=(0.0, 1.0))
    assert g.outer == GradientNorm(0.3, "nuclear")
    p = 5 * random_tensor(1, 2, 3, 4, 5)
    dual = g.outer.conjugate_prox(p, 0.7)
    assert torch.equal(dual, g.outer.conjugate_prox(p, 20.0))
    assert np.linalg.svd(jacobians(dual), compute_uv=False).max() <= 0.3 * (1 + 1e-12)


# ---- wavelets ----------------------------------------------------------------------------------

SIZES = [(8, 8), (7, 9), (5, 12), (1, 6), (1, 1), (3, 2)]


def matrix(transform: OrthogonalWavelets, size: tuple[int, int]) -> Tensor:
    eye = torch.eye(size[0] * size[1], dtype=torch.float64).reshape(-1, 1, *size)
    return transform.forward(eye).flatten(1).T


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "coif1", "db10"])
def test_transform_is_orthogonal_on_every_size(wavelet: str, size: tuple[int, int]) -> None:
    for levels in (1, 3, 9):
        transform = OrthogonalWavelets(wavelet, levels)
        T = matrix(transform, size)
        assert torch.allclose(T.T @ T, torch.eye(T.shape[0]).double(), atol=1e-10)
        x = random_tensor(2, 3, *size)
        assert torch.allclose(transform.inverse(transform.forward(x)), x, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Level value")  # filters longer than the coarsest level
@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "coif1", "db7"])
def test_transform_agrees_with_pywavelets(wavelet: str) -> None:
    x = random_tensor(1, 1, 24, 40)
    expected, _ = pywt.coeffs_to_array(
        pywt.wavedec2(x[0, 0].numpy(), wavelet, mode="periodization", level=3)
    )
    found = OrthogonalWavelets(wavelet, 3).forward(x)[0, 0].abs().numpy()
    assert np.allclose(found, np.abs(expected), atol=1e-10)  # the sign of a detail is a convention


def test_orthogonality_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The truncated Meyer filter, which its library calls orthogonal, is found out."""
    assert pywt.Wavelet("dmey").orthogonal
    with pytest.raises(InputError, match="is not orthogonal"):
        OrthogonalWavelets("dmey")
    with pytest.raises(InputError, match="biorthogonal"):
        WaveletL1(0.1, "bior2.2")
    with pytest.raises(InputError, match="no wavelet"):
        WaveletL1(0.1, "daubechies")
    with pytest.raises(InputError, match="levels"):
        WaveletL1(0.1, levels=0)
    low = tuple(pywt.Wavelet("db2").dec_lo)
    assert orthonormality_defect(low) < 1e-12
    assert orthonormality_defect((*low[:-1], low[-1] + 1e-6)) > ORTHONORMAL


def test_constants_are_free_and_details_are_not() -> None:
    for size in ((8, 8), (7, 9)):
        flat = torch.full((1, 1, *size), 0.4, dtype=torch.float64)
        g = WaveletL1(0.5, "db2", 2)
        assert float(g.value(flat)) == pytest.approx(0, abs=1e-12)
        assert torch.allclose(g.prox(flat, 1.0)[0], flat)
        every = WaveletL1(0.5, "db2", 2, threshold_coarse=True)
        assert float(every.value(flat)) > 1
        rough = flat + 0.01 * random_tensor(1, 1, *size)
        smooth = g.prox(rough, 1.0)[0]
        assert float(g.value(smooth)) == pytest.approx(0, abs=1e-12)
        assert float(g.value(rough)) > 0.01


def test_wavelet_threshold_can_be_differentiated() -> None:
    x = random_tensor(1, 1, 5, 6).requires_grad_()
    g = WaveletL1(0.3, "db2", 2)
    assert torch.autograd.gradcheck(lambda x: g.prox(x, 1.0)[0], x)
