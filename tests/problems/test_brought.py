"""What people type into `reconstruct`: taken without a false guarantee, or told what to call.

Every kind of thing stands in every place: as A, as y and as the prior.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import aslinearoperator
from torch import Tensor, nn

from laws.solvers import TINY
from operators import Identity
from operators.checks import to_matrix
from operators.errors import OperatorError
from pnp_recon import wrap
from pnp_recon.errors import InputError
from support.refusals import TV, A, X, Y, run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deepinv's own, at import
    import deepinv

MATRIX = to_matrix(A).numpy()
SHAPE = A.image_shape
BOTH = (InputError, OperatorError)


class Keeps(nn.Module):
    def forward(self, x: Tensor, sigma: float) -> Tensor:
        return x / (1 + sigma)


class OnePicture(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Reconstructor(nn.Module):
    def forward(self, y: Tensor, physics: Any = None, sigma: float = 0.1) -> Tensor:
        return y


def keeps(x: Tensor, sigma: float) -> Tensor:
    return x / (1 + sigma)


def pylops() -> Any:
    """What an operator of pylops has."""
    inner = aslinearoperator(MATRIX)
    return SimpleNamespace(
        shape=inner.shape, dims=SHAPE, dimsd=SHAPE, dtype=np.float64,
        matvec=inner.matvec, rmatvec=inner.rmatvec,
    )  # fmt: skip


def median(device: str = "cpu") -> Any:
    return deepinv.models.MedianFilter(kernel_size=3)


# A kind of thing, and what becomes of it as A, as y and as the prior: "taken", or a refusal.
KINDS: dict[str, tuple[Any, str, str, str]] = {
    "module": (
        Keeps(), r"from_callable\(A, At", "y is a Keeps; expected a torch tensor", "taken",
    ),
    "function": (
        keeps, r"from_callable\(A, At", "y is a function; expected a torch tensor", "taken",
    ),
    "lambda": (lambda x, sigma: x, r"from_callable\(A, At", "y is a function", "taken"),
    "module of a picture": (
        OnePicture(), "from_callable", "y is a OnePicture", r"wrap\(lambda x, sigma: f\(x\)\)",
    ),
    "module with a physics": (
        Reconstructor(), "from_callable", "y is a Reconstructor", r"f\(x, sigma=sigma\)",
    ),
    "class": (Keeps, "from_callable", "y is a type", "Keeps, .*a class: make one of it"),
    "denoiser": (TINY, "from_callable", "y is a Denoiser", "taken"),
    "denoiser of deepinv": (median(), "from_callable", "y is a MedianFilter", "taken"),
    "prior of deepinv": (
        deepinv.optim.PnP(denoiser=median()), "from_callable", "y is a PnP", "take its `denoiser`",
    ),
    "functional of deepinv": (
        deepinv.optim.TVPrior(), "from_callable", "y is a TVPrior", "one of pnp_recon.proximal",
    ),
    "regulariser": (TV, "from_callable", "y is a TotalVariation", "taken"),
    "physics": (
        deepinv.physics.Inpainting(SHAPE, mask=torch.ones(SHAPE)),
        "taken", "y is a Inpainting", "an operator; it belongs to A",
    ),
    "physics that is not linear": (
        deepinv.physics.Physics(), "A is a Physics, .* no A_adjoint: only linear",
        "y is a Physics", "an operator; it belongs to A",
    ),
    "operator of scipy": (
        aslinearoperator(MATRIX), r"from_scipy\(A, image_shape\).*\(C, H, W\)",
        "y is a ", "an operator; it belongs to A",
    ),
    "operator of pylops": (pylops(), "taken", "y is a SimpleNamespace", "belongs to A"),
    "sparse matrix": (
        scipy.sparse.csr_array(MATRIX), r"from_matrix\(A, image_shape\)", "y is a csr_array",
        "csr_array, no prior",
    ),
    "array of pictures": (Y.numpy(), "from_callable", "taken", "ndarray, no prior"),
    "matrix": (
        MATRIX, r"from_matrix\(A, image_shape\)", r"y has the shape \(156, 156\)", "no prior",
    ),
    "tensor": (Y, "from_callable", "taken", "Tensor, no prior"),
    "operator": (A, "taken", "y and A are exchanged|y is a Convolution", "belongs to A"),
    "nothing": (None, "A is a NoneType", "y is a NoneType", "prior is None"),
    "name": ("energy", "A is a str", "y is a str", "energy"),
}  # fmt: skip


@pytest.mark.parametrize("place", ["A", "y", "prior"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_people_type_is_taken_or_told_what_to_call(kind: str, place: str) -> None:
    thing, *words = KINDS[kind]
    wanted = words[("A", "y", "prior").index(place)]
    settings: dict[str, Any] = {"strength": 1.0} if place == "prior" else {}
    if wanted == "taken":
        solution = run(**{place: thing, **settings})
        assert solution.image.shape == X.shape
        return
    with pytest.raises(Exception, match=wanted) as caught:
        run(**{place: thing, **settings})
    assert type(caught.value).__module__ in ("pnp_recon.errors", "operators.errors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["module", "function", "lambda", "denoiser of deepinv"])
def test_of_what_was_wrapped_nothing_is_guaranteed(kind: str) -> None:
    certificate = run(prior=KINDS[kind][0], strength=1.0).certificate
    assert not certificate.holds
    assert re.match("no guarantee: denoiser .* declares no Lipschitz constant", certificate.verdict)


def test_a_physics_has_no_norm_that_nobody_declared() -> None:
    physics = deepinv.physics.Inpainting(SHAPE, mask=torch.ones(SHAPE))
    with pytest.raises(ValueError, match="of which no bound is known; declare norm_bound"):
        run(A=physics, prior="tv")
    # The twin: one that came from here knows its norm.
    ours = Identity(SHAPE)
    assert run(A=ours.to_deepinv(), prior="tv").certificate.proven


def test_an_array_gives_the_picture_of_the_tensor() -> None:
    flipped = np.asfortranarray(Y.numpy()[::-1].copy())[::-1].astype(">f8")
    flipped.flags.writeable = False
    assert torch.equal(run(y=flipped).image, run().image)
    assert torch.equal(run(start=X.numpy(), reference=X.numpy()).image, run(start=X).image)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.ma.masked_array(Y.numpy(), Y.numpy() > 0.5), "y has masked entries; .*Inpainting"),
        (Y.numpy().astype(np.uint8), "uint8; convert .*divide by the largest value"),
        (Y.numpy().astype(complex), "complex128; convert"),
        (Y.numpy().astype(object), "y is a ndarray; expected a torch tensor"),
        (Y.numpy()[0, 0], r"\(12, 13\).*channels come first, as y\[None, None\]"),
        (np.moveaxis(Y.numpy()[0], 0, -1), r"\(12, 13, 1\).*y.permute\(2, 0, 1\)\[None\]"),
        (Y.numpy()[0], r"without a batch"),
    ],
)
def test_arrays_that_are_no_measurements(y: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(y=y)


def test_a_function_that_fails_is_named() -> None:
    def of_arrays(picture: np.ndarray, sigma: float) -> np.ndarray:
        return np.asarray(picture.astype(float)) / (1 + sigma)  # a tensor has no astype

    with pytest.raises(InputError, match=r"of_arrays fails on a tensor .*astype.*arrays=True"):
        run(prior=of_arrays, strength=1.0)
    with pytest.raises(InputError, match=r"gives a ndarray; expected a tensor.*arrays=True"):
        run(prior=lambda x, sigma: x.numpy(), strength=1.0)
    assert not run(prior=wrap(of_arrays, arrays=True), strength=1.0).certificate.holds


def test_a_function_of_arrays_sees_pictures_as_scikit_image_has_them() -> None:
    seen: list[tuple[int, ...]] = []

    def look(picture: np.ndarray, sigma: float) -> np.ndarray:
        seen.append(picture.shape)
        return picture * 0.5

    denoiser = wrap(look, arrays=True)
    colour = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(denoiser(colour, 0.1), colour / 2)
    torch.testing.assert_close(denoiser(colour[:, :1], 0.1), colour[:, :1] / 2)
    assert seen == [(4, 5, 3)] * 2 + [(4, 5)] * 2
    assert denoiser.name == "look"
    with pytest.raises(InputError, match=r"makes an array \(3, 4, 5\)"):
        wrap(lambda picture, sigma: np.moveaxis(picture, -1, 0), arrays=True)(colour, 0.1)
    with pytest.raises(InputError, match="fails on an array"):
        wrap(lambda picture, sigma: picture.nothing, arrays=True)(colour, 0.1)


def test_a_class_is_no_operator_yet_and_a_path_is_a_name() -> None:
    with pytest.raises(InputError, match="A is the class Identity; make an operator of it"):
        run(A=Identity)
    named, by_path = (run(prior=one, strength=1.0) for one in ("nlm", Path("nlm")))
    assert torch.equal(named.image, by_path.image)
