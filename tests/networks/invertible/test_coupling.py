"""Couplings: inverse, log-determinant against the dense one, constants, and their twins."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pnp_recon.guarantees import INVERTIBLE, VOLUME
from pnp_recon.networks.invertible.base import Chain, round_trip_error
from pnp_recon.networks.invertible.coupling import (
    AdditiveCoupling,
    AffineCoupling,
    Coupling,
    SplineCoupling,
    shear,
    squeeze,
    unsqueeze,
)
from support.invertible import determinants, points, stretch

KINDS = (AdditiveCoupling, AffineCoupling, SplineCoupling)


def made(
    kind: type[Coupling], channels: int = 5, form: str = "vectors", **options: object
) -> Coupling:
    torch.manual_seed(0)
    part = kind(channels, form, hidden=8, zero=False, **options)  # type: ignore[arg-type]
    return part.double().requires_grad_(False)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("form", ["vectors", "features"])
@pytest.mark.parametrize("kind", KINDS)
def test_inverse_and_determinant(kind: type[Coupling], form: str, flip: bool) -> None:
    part, x = made(kind, form=form, flip=flip), points(form)
    assert float((part(x)[0] - x).abs().max()) > 1e-2
    assert round_trip_error(part, x) < 1e-12
    assert round_trip_error(part.float(), x.float()) < 1e-4
    part.double()
    torch.testing.assert_close(
        part(x)[1], determinants(lambda z: part(z)[0], x), atol=1e-10, rtol=0
    )
    assert INVERTIBLE in part.check().keeps


def test_a_wrong_inverse_and_a_wrong_determinant_are_seen() -> None:
    class Wrong(AffineCoupling):
        def change(self, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            s, shift = self.parts(t)
            return b * s.exp() + 1.01 * shift, -s

    part, x = made(Wrong), points("vectors")
    assert round_trip_error(part, x) > 1e-3
    assert float((part(x)[1] - determinants(lambda z: part(z)[0], x)).abs().max()) > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_coupling_is_the_identity(kind: type[Coupling]) -> None:
    x = points("vectors")
    y, logdet = kind(5).double().requires_grad_(False)(x)
    torch.testing.assert_close(y, x, atol=1e-12, rtol=0)
    torch.testing.assert_close(logdet, torch.zeros(3).double(), atol=1e-12, rtol=0)


def test_splines_are_increasing_c1_and_the_identity_outside() -> None:
    part = made(SplineCoupling, 2)
    with torch.no_grad():
        part.inner.layers[-1].weight.mul_(5)
    line = torch.linspace(-6, 6, 24001, dtype=torch.float64)
    x = torch.stack([torch.full_like(line, 0.7), line], 1)
    with torch.no_grad():
        y, logdet = part(x)
    slopes = torch.diff(y[:, 1]) / torch.diff(line)
    assert float(slopes.min()) > 0
    assert torch.equal(y[line.abs() > 5], x[line.abs() > 5])
    middle = (logdet[1:].exp() + logdet[:-1].exp()) / 2
    torch.testing.assert_close(slopes, middle, atol=2e-2, rtol=0)
    assert round_trip_error(part, x) < 1e-10


@pytest.mark.parametrize("form", ["vectors", "features"])
def test_shears_are_bi_lipschitz_and_keep_the_volume(form: str) -> None:
    chain = Chain([made(AdditiveCoupling, form=form, flip=flip) for flip in (False, True, False)])
    held, (high, low) = chain.check(), stretch(chain, points(form))
    assert {INVERTIBLE, VOLUME} <= held.keeps
    assert held.lipschitz is not None
    assert high <= held.lipschitz
    assert low >= held.lower > 0
    affine = Chain([made(AdditiveCoupling), made(AffineCoupling)]).check()
    assert affine.keeps == {INVERTIBLE}
    assert not affine.holds
    assert affine.lower == 0


def test_the_constants_of_a_shear_are_attained() -> None:
    """By a linear shear; the twin is a shear with twice the declared constant."""
    part = AdditiveCoupling(2, depth=0, zero=False).double().requires_grad_(False)
    with torch.no_grad():
        part.inner.layers[0].weight.fill_(1.7)
    held, (high, low) = part.check(), stretch(part, points("vectors", 2, 1))
    assert high == pytest.approx(held.lipschitz, rel=1e-10)
    assert low == pytest.approx(held.lower, rel=1e-10)
    half = shear(0.85)
    assert half.lipschitz is not None
    assert high > half.lipschitz
    assert low < half.lower


def test_squeeze_is_undone() -> None:
    x = points("features", 3)[..., :2, :]
    assert torch.equal(unsqueeze(squeeze(x)), x)
    assert squeeze(x).shape == (3, 12, 1, 2)
    assert float(squeeze(x).norm()) == pytest.approx(float(x.norm()))


def test_one_channel_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        AdditiveCoupling(1)
