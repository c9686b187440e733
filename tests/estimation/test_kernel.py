"""The estimator of kernels: pictures of known kernels, and where it has to say no."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from operators.kernels import linear_motion, trajectory
from pnp_recon.errors import InputError
from pnp_recon.estimation.kernel import KernelEstimate, estimate_kernel
from pnp_recon.estimation.kernel.alternate import kernel_for, sharp_edges
from pnp_recon.estimation.kernel.judge import steepness, verdict
from pnp_recon.estimation.kernel.periodic import blurred, continued, filled_in, transfer
from pnp_recon.estimation.kernel.tidy import centred, extent, framed, identity, likeness, tidied
from support.pictures import edges

NOISE = 2.55 / 255


def photographed(sharp: Tensor, kernel: Tensor, noise: float = NOISE) -> Tensor:
    """(1, 1, H, W): what a camera sees of it, without wrap-around."""
    seen = functional.conv2d(sharp[None, None], kernel.flip(0, 1)[None, None])
    return seen + noise * torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def shaken() -> tuple[Tensor, KernelEstimate]:
    kernel = trajectory(13, 5)
    return kernel, estimate_kernel(photographed(edges(), kernel), largest=25)


def test_a_shake_is_found_with_confidence(shaken: tuple[Tensor, KernelEstimate]) -> None:
    kernel, estimate = shaken
    assert likeness(kernel, estimate.kernel.float()) > 0.9
    assert estimate.confidence > 0.5
    assert estimate.reason == ""


def test_it_is_a_kernel(shaken: tuple[Tensor, KernelEstimate]) -> None:
    weights = shaken[1].kernel
    assert weights.dtype == torch.float64
    assert weights.shape[0] == weights.shape[1] <= 25
    assert weights.shape[0] % 2 == 1
    assert float(weights.min()) >= 0
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)


def test_another_kernel_is_not_like_it(shaken: tuple[Tensor, KernelEstimate]) -> None:
    """The twin: other shakes, a motion and no blur at all stay below the bound."""
    found = shaken[1].kernel.float()
    others = [trajectory(13, 6), trajectory(13, 7), linear_motion(13, 10), identity(13)]
    assert max(likeness(other, found) for other in others) < 0.85


def test_the_true_kernel_is_judged_better_than_a_wrong_one_or_none() -> None:
    kernel = trajectory(13, 5)
    y = photographed(edges(), kernel)[0, 0]
    true, turned = (verdict(y, k, NOISE) for k in (kernel, kernel.flip(0, 1)))
    assert true.cost < turned.cost
    assert true.sparsity < verdict(y, identity(3), NOISE).sparsity - 0.1


def test_a_blur_leaves_no_steep_edges_across_it() -> None:
    """The twin: along a straight motion they stay steep: every direction has to be asked."""
    sharp = photographed(edges(), torch.ones(1, 1))[0, 0]
    across = photographed(edges(), linear_motion(9, 0))[0, 0]
    shaken = photographed(edges(), trajectory(13, 5))[0, 0]
    assert steepness(sharp, NOISE) > 0.8
    assert steepness(across, NOISE) < 0.4
    assert steepness(shaken, NOISE) < 0.5
    edge = torch.zeros(60, 60)
    edge[20:40] = 1.0  # along the motion, and nothing else
    assert steepness(functional.avg_pool2d(edge[None, None], (1, 9), 1)[0, 0], 0.0) > 0.8
    assert steepness(torch.full((60, 60), 0.5), 0.0) == 1


def test_a_sharp_picture_is_refused() -> None:
    estimate = estimate_kernel(photographed(edges(), torch.ones(1, 1)), largest=15)
    assert estimate.confidence < 0.5
    assert "sharp" in estimate.reason


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (torch.full((1, 3, 80, 80), 0.4), "no edges"),
        (torch.linspace(0, 1, 80).expand(1, 1, 80, 80) * 0.1 + 0.3, "no edges"),
        ((edges(80) > 0.5).float()[None, None], "clipped"),
        (
            torch.full((1, 1, 20, 80), 0.4),
            "80×20 pixels, and a kernel is looked for",
        ),
        (torch.full((1, 1, 80, 80), float("nan")), "not finite numbers"),
    ],
    ids=["flat", "ramp", "clipped", "small", "nan"],
)
def test_nothing_to_see_is_refused_in_words(picture: Tensor, words: str) -> None:
    estimate = estimate_kernel(picture)
    assert estimate.confidence == 0
    assert words in estimate.reason
    assert torch.equal(estimate.kernel, torch.ones(1, 1, dtype=torch.float64))


def test_noise_alone_is_refused() -> None:
    noise = 0.5 + 0.1 * torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    assert estimate_kernel(noise, largest=15).confidence < 0.5


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="one picture"):
        estimate_kernel(torch.zeros(2, 1, 64, 64))
    with pytest.raises(InputError, match="odd number from 3 to 65"):
        estimate_kernel(torch.zeros(1, 1, 64, 64), largest=12)


def test_the_kernel_step_is_exact_where_the_picture_is_known() -> None:
    sharp, kernel = continued(edges(90), 10), framed(trajectory(9, 1), 11)
    y = blurred(sharp, transfer(kernel, sharp.shape))
    found = kernel_for(sharp, y, 11, 1e-6, identity(11))
    wrong = kernel_for(sharp.flip(0), y, 11, 1e-6, identity(11))
    assert float((found - kernel).norm() / kernel.norm()) < 0.15
    assert float((wrong - kernel).norm() / kernel.norm()) > 0.5


def test_the_edges_step_leaves_few_gradients() -> None:
    y = continued(edges(90), 10)
    y = y + NOISE * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    x = sharp_edges(y, transfer(identity(3), y.shape), 4e-3)
    steep = [float((p.diff(dim=1).abs() > 0.005).float().mean()) for p in (y, x)]
    assert steep[1] < 0.2 < steep[0]


def test_the_continuation_is_smooth_and_keeps_the_picture() -> None:
    y = torch.linspace(0, 1, 50).expand(40, 50).contiguous()
    whole = continued(y, 30)
    assert torch.equal(whole[:40, :50], y)
    jumps = (torch.roll(whole, -1, 1) - whole).abs()
    assert float(jumps.max()) < 0.1
    assert float((torch.roll(y, -1, 1) - y).abs().max()) == 1  # without it
    assert torch.equal(filled_in(y, torch.zeros_like(whole))[:40, :50], y)


def test_specks_are_dropped_and_the_rest_is_centred() -> None:
    kernel = torch.zeros(11, 11)
    kernel[1:4, 1] = 1.0
    kernel[9, 9] = 0.1
    kernel[5, 5] = 0.01
    found = tidied(kernel, 0.02, 0.1)
    assert int((found > 0).sum()) == 3
    assert bool((found[4:7, 5] > 0).all())
    assert extent(found) == 3
    assert torch.equal(centred(found), found)
    assert torch.equal(tidied(torch.zeros(5, 5), 0.02, 0.1), identity(5))


def test_a_small_picture_has_no_kernel_of_half_its_size() -> None:
    """More weights than that explain texture as blur, and starts agree all the same."""
    small = photographed(edges(), trajectory(9, 5))[..., :64, :64]
    assert estimate_kernel(small).kernel.shape[0] <= 15
    assert extent(estimate_kernel(small, largest=31).kernel) <= 31
