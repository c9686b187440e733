"""What is particular to each data fidelity, and the data that it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from laws.fidelity import (
    F64,
    SIZE,
    STEPS,
    blur,
    counts,
    data,
    weights,
)
from laws.networks import picture, random_tensor
from operators import Gradient, Identity, LinearOperator, to_matrix
from pnp_recon.errors import InputError
from pnp_recon.fidelity import (
    Fidelity,
    Huber,
    KullbackLeibler,
    LeastSquares,
    WeightedLeastSquares,
)

# ---- what each is for --------------------------------------------------------------------------


def test_weights_of_one_are_least_squares() -> None:
    A, y, x = blur(), data(), picture(3, *SIZE)
    plain, weighted = LeastSquares(A, y), WeightedLeastSquares(A, y, torch.ones_like(y))
    assert torch.allclose(plain.value(x), weighted.value(x))
    assert torch.allclose(plain.gradient(x), weighted.gradient(x))
    assert weighted.lipschitz == pytest.approx(plain.lipschitz, rel=5e-3)
    ours, theirs = (f.prox(x, 2.0, tol=1e-10)[0] for f in (plain, weighted))
    assert torch.allclose(ours, theirs, atol=1e-9)


def test_weighted_norm_is_tighter_than_the_product() -> None:
    w = weights()
    f = WeightedLeastSquares(blur(), data(), w)
    matrix = to_matrix(f.A)
    exact = max(
        float(torch.linalg.matrix_norm(one.flatten().sqrt()[:, None] * matrix, ord=2)) ** 2
        for one in w
    )
    assert exact <= f.lipschitz < 0.8 * f.loss_lipschitz * f.A.norm_bound**2
    signed: LinearOperator = Gradient(SIZE)  # entries of both signs: the product it is
    g = WeightedLeastSquares(
        signed, torch.zeros(1, 2, *SIZE, dtype=F64), torch.full((1, 2, *SIZE), 2.0, dtype=F64)
    )
    assert g.lipschitz == pytest.approx(2 * signed.norm_bound**2)
    nothing = WeightedLeastSquares(blur(), data(), torch.zeros_like(data()))
    assert 0 <= nothing.lipschitz < 1e-12


def test_huber_is_least_squares_for_small_residuals_and_l1_for_large() -> None:
    A, y = blur(), data()
    v = y + 0.5 * random_tensor(3, *SIZE)
    assert torch.allclose(Huber(A, y, 100.0).loss(v), LeastSquares(A, y).loss(v))
    absolute = (v - y).abs().flatten(1).sum(1)
    assert torch.allclose(Huber(A, y, 1e-8).loss(v) / 1e-8, absolute, rtol=1e-6)


def test_kullback_leibler_is_the_poisson_likelihood() -> None:
    y = counts()
    f = KullbackLeibler(blur(), y, 3.0)
    a, b = 20 * picture(3, *SIZE, seed=1), 20 * picture(3, *SIZE, seed=2)

    def likelihood(v: Tensor) -> np.ndarray:
        return -scipy.stats.poisson.logpmf(y.numpy(), (v + 3.0).numpy()).sum((1, 2, 3))

    assert np.allclose((f.loss(a) - f.loss(b)).numpy(), likelihood(a) - likelihood(b))


def test_kullback_leibler_domain() -> None:
    y = counts()
    f, v = KullbackLeibler(blur(), y), y + 1.0
    assert bool(torch.isfinite(f.loss(v)).all())
    v[0, 0, 0, 0] = -0.1
    v[1, 0, 1, 1] = 0.0  # y > 0 there
    v[2, 0, 2, 2] = 0.0  # and y = 0 here
    assert torch.isinf(f.loss(v)).tolist() == [True, True, False]
    for step in STEPS:
        assert float(f.loss_prox(-50 * v, step).min()) >= 0
    large = f.loss_prox(torch.full_like(v, -1e6), 1.0)  # no digits are lost far outside
    assert torch.allclose(large, y / (1e6 + 1), rtol=1e-4)
    # With background it is finite everywhere, and smooth where the continuation begins.
    g = KullbackLeibler(blur(), y, 3.0)
    at = torch.zeros_like(y)
    assert torch.allclose(g.loss_gradient(at - 1e-9), g.loss_gradient(at + 1e-9), atol=1e-6)
    assert bool(torch.isfinite(g.loss(at - 100)).all())
    assert g.loss_lipschitz == pytest.approx(float(y.max()) / 9)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda y: LeastSquares(blur(), y[:, :, :4]), r"shape \(3, 1, 4, 6\)"),
        (lambda y: LeastSquares(blur(), y[0]), "gives"),
        (lambda y: WeightedLeastSquares(blur(), y, -y), "finite and >= 0"),
        (lambda y: WeightedLeastSquares(blur(), y, y * math.nan), "finite and >= 0"),
        (lambda y: WeightedLeastSquares(blur(), y, y[:2]), "weights have shape"),
        (lambda y: WeightedLeastSquares(blur(), y, y[0]), "weights have shape"),
        (lambda y: Huber(blur(), y, 0.0), "delta is"),
        (lambda y: Huber(blur(), y, math.inf), "delta is"),
        (lambda y: KullbackLeibler(blur(), y - 5), "counts"),
        (lambda y: KullbackLeibler(blur(), y / 0), "counts"),
        (lambda y: KullbackLeibler(blur(), y, -1.0), "background"),
        (lambda y: KullbackLeibler(blur(), y, math.nan), "background"),
    ],
)
def test_bad_data_is_refused(build: Callable[[Tensor], Fidelity], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build(data())


def test_a_background_fits_the_counts() -> None:
    A = Identity((1, 3, 4))
    y = torch.ones(2, 1, 3, 4)
    for shape in ((5,), (3, 2, 1, 3, 4), (7, 1, 3, 4)):
        with pytest.raises(InputError, match="the background has the shape"):
            KullbackLeibler(A, y, torch.ones(shape))
    for shape in ((), (4,), (1, 1, 3, 4), (2, 1, 1, 1)):
        KullbackLeibler(A, y, torch.ones(shape))
