"""Data in other ranges, operators of one's own, and extreme numbers: refused, or reconstructed."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.adversary.judge import tiny_energy
from laws.networks import picture, random_tensor
from laws.solvers import SIZE, TINY, blur, random_kernel
from operators import Convolution, Identity, Inpainting, LinearOperator, OperatorError
from operators.norms import NormBound
from pnp_recon.errors import InputError, PnPReconError
from pnp_recon.fidelity import Huber
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import L1, TotalVariation
from pnp_recon.solvers import SOLVERS
from support.refusals import TV, A, X, Y, run, spoilt

# ---- the range of the data -----------------------------------------------------------------------


@pytest.mark.parametrize("top", [255.0, 65535.0])
@pytest.mark.parametrize("prior", [TINY, TV, "tv"])
def test_pictures_in_another_range_are_refused(top: float, prior: Any) -> None:
    with pytest.raises(InputError, match=rf"pictures in \[0, 1\] give at most 1 .*as by {top:.0f}"):
        run(y=top * Y, prior=prior)
    assert run(prior=prior).certificate.holds


def test_noise_outliers_and_other_units_are_no_other_range() -> None:
    noise = random_tensor(*Y.shape, seed=1)
    for y, level in ((Y + 2 * noise, 2.0), (Y + 0.3 * noise, None), (1.5 * Y, 0.01)):
        run(y=y, noise_level=level)
    hot = Y.clone()
    hot[0, 0, 0, :1] = 4000.0
    run(y=hot)
    bright = 255 * Y
    for changes in (
        {"prior": L1(0.01)},  # no box
        {"prior": TotalVariation(0.1, box=(0.0, 255.0))},
        {"fidelity": Huber(A, bright, 1.0)},
        {"prior": "auto", "solver": "landweber"},
        {"prior": "auto", "solver": "cgls"},
    ):
        run(y=bright, **changes)
    signed = Convolution(random_kernel(0) - 0.05, SIZE)  # nothing is known of its brightest data
    run(y=bright, A=signed)


def test_what_the_operator_does_not_see_is_no_measurement() -> None:
    mask = torch.ones(SIZE, dtype=torch.bool)
    mask[..., ::2] = False
    y = torch.where(mask, X, 255.0)
    run(y=y, A=Inpainting(mask))
    with pytest.raises(InputError, match="divide them"):
        run(y=255 * X, A=Inpainting(mask))


def test_an_operator_may_say_which_data_it_looks_at() -> None:
    blind = Identity(SIZE)
    problem = Problem(blind, X, 0.02)
    assert problem.y is X
    with pytest.raises(InputError, match="y is not finite"):
        Problem(blind, spoilt(math.nan), 0.02)
    blind.observed = torch.ones(SIZE, dtype=torch.bool)  # type: ignore[assignment]
    blind.observed[0, 2, 3] = False  # type: ignore[index, operator]
    Problem(blind, spoilt(math.nan), 0.02)
    elsewhere = X.clone()
    elsewhere[0, 0, 0, 0] = math.nan
    with pytest.raises(InputError, match="y is not finite in 1 of"):
        Problem(blind, elsewhere, 0.02)


# ---- operators of one's own ----------------------------------------------------------------------


class Own(LinearOperator):
    """The identity, with maps that may be spoilt."""

    def __init__(self, forward: Callable[[Tensor], Any], back: Callable[[Tensor], Any]) -> None:
        super().__init__("own", SIZE, SIZE, nonnegative=True)
        self.maps = (forward, back)

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.maps[0](x)  # type: ignore[no-any-return]

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.maps[1](y)  # type: ignore[no-any-return]

    def _prove_norm(self) -> NormBound:
        return NormBound(1.0, 1.0, "identity", "exact")


def same(t: Tensor) -> Tensor:
    return t.clone()


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda t: t * math.nan, "is not finite"),
    (lambda t: t[..., 1:], r"has the shape \(2, 1, 12, 12\); expected \(2, 1, 12, 13\)"),
    (lambda t: t.float(), "is torch.float32 on cpu; expected"),
    (lambda t: t.numpy(), "is a ndarray; expected a tensor"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["A", "A_adjoint"])
def test_maps_that_are_none_are_named(
    name: str, spoil: Callable[[Tensor], Any], message: str
) -> None:
    maps = (spoil, same) if name == "A" else (same, spoil)
    with pytest.raises(OperatorError, match=f"{name} of operator 'own' {message}"):
        run(y=X, A=Own(*maps))
    run(y=X, A=Own(same, same))


# ---- odd, but sound ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("prior", ["euler_grey", TV, "tv", "euler_grey_eq"])
def test_a_picture_of_one_pixel(dtype: torch.dtype, prior: Any) -> None:
    y = torch.full((1, 1, 1, 1), 0.5, dtype=dtype)
    found = run(y=y, A=Identity((1, 1, 1)), prior=prior)
    assert torch.isfinite(found.image).all()


@pytest.mark.parametrize("prior", ["euler_colour", TV])
def test_another_layout_in_memory_changes_nothing(prior: Any) -> None:
    shape = (3, 12, 13)
    y = picture(2, *shape, seed=3).float()
    laid = y.contiguous(memory_format=torch.channels_last)
    assert laid.stride() != y.stride()
    plain, other = (
        run(y=t, A=Convolution(random_kernel(0), shape), prior=prior) for t in (y, laid)
    )
    assert plain.status is other.status
    # The same sums, in an order that the layout may choose.
    assert float((plain.image - other.image).abs().max()) <= 4 * torch.finfo(y.dtype).eps


@pytest.mark.parametrize("settings", [
    {name: value}
    for name in ("strength", "gamma", "denoiser_scaling", "noise_level")
    for value in (1e-300, 1e-30, 1e30, 1e300)
])  # fmt: skip
def test_wild_numbers_end_in_words_or_in_a_picture(settings: dict[str, float]) -> None:
    for prior in (TINY, TV):
        if prior is TV and not settings.keys() <= {"strength", "gamma", "noise_level"}:
            continue
        solver = "drs" if prior is TV else "pnp-hqs"
        with suppress(PnPReconError, OperatorError):
            assert torch.isfinite(run(prior=prior, solver=solver, **settings).image).all()


@pytest.mark.parametrize("scale", [1e-320, 1e-170, 1e-30, 0.0, 1e30, 1e160, 1e300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wild_operators_end_in_words_or_in_a_picture(scale: float, dtype: torch.dtype) -> None:
    for name in SOLVERS:
        kind = SOLVERS[name].prior_kinds[0]
        if kind == "denoiser" and dtype is torch.float32:
            continue  # TINY is in float64
        priors = {
            "denoiser": [TINY],
            "functional": [L1(0.01), TV],
            "energy": [tiny_energy(dtype)],
            "none": ["auto"],
        }
        for prior in priors[kind]:
            with suppress(PnPReconError, OperatorError):
                wild = Convolution((random_kernel(0) * scale).to(dtype), SIZE)
                y = wild.A(X.to(dtype))
                assert torch.isfinite(run(y=y, A=wild, prior=prior, solver=name).image).all()


def test_norms_that_arithmetic_cannot_hold_are_named() -> None:
    with pytest.raises(OperatorError, match=r"add up to 1e\+200; expected 1e-130 to 1e\+130"):
        blur(1e200 * random_kernel(0))
    narrow = blur(1e30 * random_kernel(0).float())
    with pytest.raises(InputError, match=r"whose square is no number of torch\.float32"):
        run(A=narrow, y=narrow.A(X.float()), start=None)
    louder = blur(1e30 * random_kernel(0))
    run(A=louder, y=louder.A(X))
