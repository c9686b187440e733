"""Stopping where the error is least: the identity, its expectation, and runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from laws.networks import picture, random_tensor
from laws.solvers import FOREVER, SIZE, blur, random_kernel
from operators import Convolution, Inpainting
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.problems.noise import standard_normal
from pnp_recon.reconstruction import reconstruct
from pnp_recon.report.solution_file import load_solution, save_solution
from pnp_recon.solvers import CGLS, Anderson, Landweber, Status, Stopping, iterate
from pnp_recon.solvers.in_time import InTime, levels, outweighing
from scripts.figures.rates.fixed_point import Matrix

LEVEL, MANY = 0.3, 4000
Box = tuple[float, float] | None


def system(count: int = 1, box: Box = None) -> tuple[InTime, Tensor]:
    """One truth of six numbers seen nine times, `count` draws of noise; the truth."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.rand(9, 6, generator=generator, dtype=torch.float64)
    A = Matrix(matrix)
    truth = picture(1, 1, 1, 6).expand(count, 1, 1, 6)
    y = A.A(truth) + LEVEL * standard_normal(truth.new_zeros(count, 1, 1, 9), 1)
    fidelity, start = LeastSquares(A, y), torch.zeros_like(truth)
    return InTime(Landweber(fidelity, start, box, 1.2 / fidelity.lipschitz), LEVEL), truth


def halved(rule: InTime, x: Tensor) -> Tensor:
    """½‖x‖²/τ, (B,)."""
    return x.square().flatten(1).sum(1) / (2 * rule.inner.step_size)


def noise_inner(rule: InTime, truth: Tensor, z: Tensor) -> Tensor:
    """⟨n, r⟩, which no run knows."""
    A, y = rule.inner.fidelity.A, rule.inner.fidelity.y
    return ((y - A.A(truth)) * (y - A.A(z))).flatten(1).sum(1)


def estimated_inner(rule: InTime, tangent: Tensor) -> Tensor:
    """σ²⟨ε, ε − A∂z/∂y ε⟩."""
    left = rule.signs - rule.inner.fidelity.A.A(tangent)
    return LEVEL**2 * (rule.signs * left).flatten(1).sum(1)


@pytest.mark.parametrize("box", [None, (0.2, 0.6)])
def test_what_a_step_does_to_the_error(box: Box) -> None:
    """Equality without a box, never less with one, with ⟨n, Rr⟩ in the place of its estimate."""
    rule, truth = system(20, box)
    truth = truth.clamp(0.25, 0.55)
    state = rule.init()
    for k in range(6):
        fit_and_rise = rule.gain(state) + estimated_inner(rule, state.tangent)
        exact = fit_and_rise - noise_inner(rule, truth, state.z)
        after = rule.step(state, k).state
        fell = halved(rule, state.z - truth) - halved(rule, after.z - truth)
        if box is None:
            torch.testing.assert_close(fell, exact, rtol=0, atol=1e-11)
            # The twin: without the rise of a finite step it is another number.
            assert float((fell - halved(rule, after.z - state.z) - exact).abs().max()) > 1e-4
        else:
            assert bool((fell >= exact - 1e-11).all())
        state = after


@pytest.mark.parametrize("box", [None, (0.2, 0.6)])
def test_the_tangent_is_the_derivative_by_the_data(box: Box) -> None:
    rule, _ = system(5, box)
    h = 1e-7
    fidelity = LeastSquares(rule.inner.fidelity.A, rule.inner.fidelity.y + h * rule.signs)
    other = InTime(replace(rule.inner, fidelity=fidelity), LEVEL)
    a, b = rule.init(), other.init()
    for k in range(8):
        a, b = rule.step(a, k).state, other.step(b, k).state
    torch.testing.assert_close((b.z - a.z) / h, a.tangent, rtol=1e-5, atol=1e-5)
    plain = iterate(rule.inner, Stopping(FOREVER, 8)).image
    torch.testing.assert_close(a.z, plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_the_estimate_has_no_bias(box: Box) -> None:
    rule, truth = system(MANY, box)
    state = rule.init()
    for k in range(10):
        state = rule.step(state, k).state
    true = noise_inner(rule, truth, state.z)
    off = true - estimated_inner(rule, state.tangent)
    error = float(off.std()) / MANY**0.5
    assert abs(float(off.mean())) < 4 * error
    # The twin: the discrepancy principle counts every measurement as free.
    twin = true - LEVEL**2 * 9
    assert abs(float(twin.mean())) > 10 * float(twin.std()) / MANY**0.5


def test_nor_where_every_datum_has_its_own_level() -> None:
    """What a step is said to gain, against what it gains, in the mean over draws of the noise."""
    rule, truth = system(MANY)
    own = torch.tensor([0.05] * 4 + [0.6] * 5).double().view(1, 1, 1, 9)
    A = rule.inner.fidelity.A
    y = A.A(truth) + own * standard_normal(truth.new_zeros(MANY, 1, 1, 9), 1)
    level, shares = levels(own, y, Stopping(least_error=True))
    assert level == pytest.approx(float(own.square().mean().sqrt()))
    inner = replace(rule.inner, fidelity=LeastSquares(A, y))
    for some, biased in ((shares, False), (None, True)):  # the twin: one level for all
        other = InTime(inner, level or 0.0, some)
        state = other.init()
        for k in range(12):
            before, state = state, other.step(state, k).state
        fell = halved(other, before.z - truth) - halved(other, state.z - truth)
        off = other.gain(before) - fell
        sigmas = abs(float(off.mean())) / (float(off.std()) / MANY**0.5)
        assert sigmas > 5 if biased else sigmas < 4


def test_levels_are_refused_where_they_would_be_taken_for_one() -> None:
    fidelity, _ = blurred(1)
    y, A, rule = fidelity.y, fidelity.A, Stopping(FOREVER, 20, least_error=True)
    own = torch.full_like(y, 0.05)
    with pytest.raises(InputError, match="WeightedLeastSquares"):
        reconstruct(y, A, noise_level=own, solver="landweber")
    with pytest.raises(InputError, match="has the shape"):
        reconstruct(y, A, noise_level=own[..., :3], solver="landweber", stopping=rule)
    with pytest.raises(InputError, match="leave out what is not to be believed"):
        reconstruct(y, A, noise_level=0 * own, solver="landweber", stopping=rule)
    # The twin: levels that are all alike are one.
    one = reconstruct(y, A, noise_level=0.05, solver="landweber", stopping=rule)
    same = reconstruct(y, A, noise_level=own.numpy(), solver="landweber", stopping=rule)
    torch.testing.assert_close(same.image, one.image, rtol=0, atol=0)


def test_a_datum_that_would_decide_alone_is_refused() -> None:
    """Left out as the words say, whatever its level, it changes nothing of where the run ends."""
    fidelity, _ = blurred(1)
    y, A, rule = fidelity.y, fidelity.A, Stopping(FOREVER, 300, least_error=True)
    own = torch.full_like(y, 0.05)
    own[..., 7, 7] = 50.0
    with pytest.raises(InputError, match=r"1 of \d+ data .* operators\.Inpainting"):
        reconstruct(y, A, noise_level=own, solver="landweber", stopping=rule)
    known = own < 1
    seen, data = Inpainting(known[0], A.measurement_shape) @ A, torch.where(known, y, 0)
    without = reconstruct(data, seen, noise_level=own, solver="landweber", stopping=rule)
    alike = reconstruct(y, A, noise_level=0.05, solver="landweber", stopping=rule)
    worth, plain = (s.parameters["steps_worth_making"] for s in (without, alike))
    assert 0.5 < worth / plain < 2
    # The twins: levels of which none outweighs the rest, and the datum's trace, were it counted.
    own[..., 7, 7] = 0.2
    reconstruct(y, A, noise_level=own, solver="landweber", stopping=rule)
    inner = Landweber(fidelity, torch.zeros_like(y), step_size=1 / fidelity.lipschitz)
    own[..., 7, 7] = 50.0
    level = float(own.square().mean().sqrt())
    assert float(InTime(inner, level).gain(InTime(inner, level).init())) < 0
    assert not bool(outweighing(own.square(), known).any())


def blurred(count: int = 2, level: float = 0.05) -> tuple[LeastSquares, Tensor]:
    A = blur(random_kernel(0, 5))
    truth = picture(count, *SIZE, seed=3)
    return LeastSquares(A, A.A(truth) + level * random_tensor(count, *SIZE)), truth


def test_a_run_ends_where_each_picture_turned() -> None:
    fidelity, truth = blurred()
    rule = Stopping(FOREVER, 500, least_error=True)
    found = reconstruct(fidelity.y, fidelity.A, noise_level=0.05, solver="landweber", stopping=rule)
    assert found.status is Status.LEAST_ERROR
    assert found.certificate.holds
    assert found.parameters["step"] == pytest.approx(1 / fidelity.lipschitz)
    for k in (0, 1):
        alone = reconstruct(
            fidelity.y[k : k + 1], fidelity.A, noise_level=0.05, solver="landweber", stopping=rule
        )
        inner = Landweber(
            LeastSquares(fidelity.A, fidelity.y[k : k + 1]),
            torch.zeros_like(truth[:1]),
            step_size=1 / fidelity.lipschitz,
        )
        last = int(alone.parameters["steps_worth_making"])
        assert 0 < last < 400
        plain = iterate(inner, Stopping(FOREVER, last)).image
        torch.testing.assert_close(alone.image, plain, rtol=0, atol=1e-12)
    # At the limit the noise has taken over.
    limit = reconstruct(
        fidelity.y,
        fidelity.A,
        noise_level=0.05,
        solver="landweber",
        stopping=Stopping(FOREVER, 500),
    )
    assert float((found.image - truth).norm()) < 0.8 * float((limit.image - truth).norm())


def test_no_bar_is_claimed_of_a_picture_that_is_not_the_last(tmp_path: Path) -> None:
    """The bar of the last iterate is false of a picture that turned before it."""
    kernel = torch.zeros(3, 3, dtype=torch.float64)
    kernel[1, 1], kernel[0, 1], kernel[2, 1], kernel[1, 0], kernel[1, 2] = 0.7, *[0.075] * 4
    A = Convolution(kernel, SIZE)
    noise = random_tensor(2, *SIZE) * torch.tensor([0.02, 0.4]).double()[:, None, None, None]
    y = A.A(picture(2, *SIZE, seed=3)) + noise
    found = reconstruct(
        y, A, noise_level=0.2, solver="landweber", stopping=Stopping(FOREVER, 400, least_error=True)
    )
    assert found.certificate.holds
    assert found.error_bars == ()
    assert not any("root mean square" in words for words in found.certificate.remarks)
    assert "chosen by an estimate" in found.certificate.verdict
    save_solution(found, tmp_path / "kept")
    assert load_solution(tmp_path / "kept").error_bars == ()
    # The twin: as many plain steps have a bar, true of their picture and false of the kept one.
    step = found.parameters["step"]
    plain = Landweber(LeastSquares(A, y), torch.zeros_like(y), step_size=step)
    last = iterate(plain, Stopping(FOREVER, found.iterations))
    exact = iterate(plain, Stopping(FOREVER, 2000)).image
    norms = torch.tensor([bar.norm for bar in last.error_bars])
    assert bool(((last.image - exact).flatten(1).norm(dim=1) <= norms).all())
    assert bool(((found.image - exact).flatten(1).norm(dim=1) > norms).any())


def test_a_level_that_is_too_low_does_not_run_on() -> None:
    fidelity, truth = blurred(1)
    inner = Landweber(fidelity, torch.zeros_like(truth), step_size=1 / fidelity.lipschitz)
    rule = InTime(inner, 0.0)
    found = iterate(rule, Stopping(FOREVER, 500))
    assert found.status is Status.LEAST_ERROR
    # The estimate of the gain alone, the twin, would have gone on.
    state = rule.init()
    for k in range(100):
        assert float(rule.gain(state)) > 0
        state = rule.step(state, k).state
    assert bool(rule.turned(state).all())


def test_measurements_that_see_nothing_have_no_say() -> None:
    mask = torch.ones(1, *SIZE[1:], dtype=torch.float64)
    mask[..., ::2] = 0
    A = Inpainting(mask, SIZE)
    truth = picture(1, *SIZE)
    y = A.A(truth + 0.1 * random_tensor(1, *SIZE))
    rule = InTime(Landweber(LeastSquares(A, y), torch.zeros_like(truth)), 0.1)
    assert float(rule.seen.sum()) == float(mask.sum())


def test_what_it_does_not_know_is_refused() -> None:
    fidelity, truth = blurred()
    start = torch.zeros_like(truth)
    asked = Stopping(least_error=True)
    with pytest.raises(InputError, match="no rule of landweber by itself"):
        iterate(Landweber(fidelity, start), asked)
    with pytest.raises(InputError, match="landweber alone; found cgls"):
        InTime(CGLS(fidelity, start), 0.1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"alone; found landweber\+anderson"):
        InTime(Anderson(Landweber(fidelity, start)), 0.1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="alone; found cgls"):
        reconstruct(fidelity.y, fidelity.A, noise_level=0.05, solver="cgls", stopping=asked)
    with pytest.raises(InputError, match="noise_level"):
        InTime(Landweber(fidelity, start), -1.0)
