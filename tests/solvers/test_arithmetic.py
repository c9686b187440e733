"""Runs are computed in the precision of their tensors, whatever the caller has switched on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from laws.solvers import SIZE, TINY, blur, make, measurements, random_kernel
from pnp_recon.priors.denoiser import Denoiser, wrap
from pnp_recon.solvers import Solution, Status, Stopping, iterate
from pnp_recon.solvers.core.arithmetic import _places, full_precision, held_to_it


@pytest.fixture
def _rounded() -> Iterator[None]:
    """Products in float32 may be rounded, as a caller may have asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def modes() -> list[str]:
    return [str(place.fp32_precision) for place in _places()] or [
        torch.get_float32_matmul_precision()
    ]


@pytest.mark.usefixtures("_rounded")
def test_rounding_of_factors_is_off_inside_and_as_it_was_outside() -> None:
    before = modes()
    assert set(before) - {"ieee", "highest"}
    with full_precision():
        assert set(modes()) <= {"ieee", "highest"}
    assert modes() == before
    with pytest.raises(KeyError), full_precision():
        raise KeyError
    assert modes() == before


def test_autocast_is_off_inside() -> None:
    x = torch.rand(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision():
            assert (x @ x).dtype == torch.float32
        assert (x @ x).dtype == torch.bfloat16


def product() -> Denoiser:
    """A denoiser that computes by matrix products, of which autocast would round the factors."""
    eye = torch.eye(SIZE[2], dtype=torch.float32)

    def halve(x: Tensor, sigma: float) -> Tensor:
        assert not torch.is_autocast_enabled("cpu")
        return x @ eye

    return wrap(halve, "product")


def test_a_run_under_autocast_is_the_run_without() -> None:
    A = blur(random_kernel(0).float())
    y = measurements(A.float()).float()

    def run(denoiser: Denoiser) -> Solution:
        return iterate(make("pnp-hqs", A, y, denoiser, start=y), Stopping(max_iter=5, tol=1e-30))

    alone = run(product())
    with torch.autocast("cpu", torch.bfloat16):
        inside = run(product())
    assert torch.equal(inside.image, alone.image)


def test_a_change_under_way_voids_the_certificate_even_if_it_is_taken_back() -> None:
    A = blur(random_kernel(0))
    y = measurements(A)

    def run(disturb: bool) -> Solution:
        def look(seen: object) -> None:
            if disturb:
                looks.append(seen)
                A.kernel.data.mul_(0.5 if len(looks) == 1 else 2.0 if len(looks) == 2 else 1.0)

        looks: list[object] = []
        return iterate(make("pnp-hqs", A, y, TINY), Stopping(1e-30, 20), callback=look)

    assert run(False).certificate.holds
    changed = run(True).certificate
    assert not changed.holds
    assert "changed while it ran" in changed.verdict


def test_a_step_below_rounding_is_no_convergence() -> None:
    A = blur(random_kernel(0).float())
    y = measurements(A).float()
    same = wrap(lambda x, sigma: x, "same")
    tight = iterate(make("pnp-hqs", A, y, same, start=y, gamma=1e-9), Stopping(1e-12, 100))
    assert tight.status is Status.STAGNATED
    assert not tight.status.succeeded
    assert tight.iterations < 100
    loose = iterate(make("pnp-hqs", A, y, same, start=y), Stopping(1e-3, 300))
    assert loose.status is Status.CONVERGED


def test_what_a_callback_sets_is_taken_back() -> None:
    """At once, and what the caller had set is there again after the run."""
    places = _places()
    if not places:
        pytest.skip("torch keeps it elsewhere")
    before = [place.fp32_precision for place in places]
    try:
        with full_precision():
            torch.set_float32_matmul_precision("medium")
            assert {place.fp32_precision for place in places} != {"ieee"}
            held_to_it()
            assert {place.fp32_precision for place in places} == {"ieee"}
        assert [place.fp32_precision for place in places] == before
    finally:
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value
