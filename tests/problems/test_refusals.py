"""What `reconstruct` and solvers made by hand refuse, in words; each with a twin that runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laws.networks import picture, random_tensor
from laws.solvers import SIZE, TINY, blur, make, random_kernel
from operators import Convolution, Identity, Inpainting, LinearOperator, OperatorError
from operators.norms import NormBound
from pnp_recon import load_denoiser, reconstruct, wrap
from pnp_recon.errors import InputError, PnPReconError, StepSizeError
from pnp_recon.fidelity import Huber, LeastSquares
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.problems.numbers import checked_count, checked_number
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import L1, TotalVariation
from pnp_recon.solvers import SOLVERS, Plugged, Stopping
from pnp_recon.solvers.knobs import Knobs

A = blur(random_kernel(0))
X = picture(2, *SIZE, seed=3)
Y = A.A(X)
FEW = Stopping(max_iter=3)
TV = TotalVariation(0.02, box=(0.0, 1.0))
NUMBERS = (math.nan, math.inf, -math.inf)


def run(**changes: Any) -> Any:
    given = {"y": Y, "A": A, "prior": TINY, "noise_level": 0.02, "stopping": FEW, **changes}
    return reconstruct(**given)


def spoilt(value: float) -> Tensor:
    y = Y.clone()
    y[1, 0, 2, 3] = value
    return y


class Module(nn.Module):
    def forward(self, x: Tensor, sigma: float) -> Tensor:
        return x


def a_function(x: Tensor, sigma: float) -> Tensor:
    return x


def test_what_is_whole_runs() -> None:
    assert run().certificate.holds
    assert run(prior=TV).certificate.holds


# What is given, and what its message says.
MEASUREMENTS: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"y {v}": ({"y": spoilt(v)}, r"y is not finite in 1 of 312 .* \(1, 0, 2, 3\)")
        for v in NUMBERS
    },
    **{f"start {v}": ({"start": spoilt(v)}, "start is not finite in 1 of 312") for v in NUMBERS},
    "y in half": ({"y": Y.half()}, "y has dtype torch.float16; convert it to torch.float32"),
    "y in bfloat16": ({"y": Y.bfloat16()}, "y has dtype torch.bfloat16; convert"),
    "y in bytes": ({"y": (255 * Y).byte()}, "uint8; convert .*divide by the largest value"),
    "y in integers": ({"y": (255 * Y).long()}, "int64; convert"),
    "y complex": ({"y": Y.to(torch.complex128)}, "complex128; convert"),
    "y is an array": (
        {"y": Y.numpy()},
        r"y is a ndarray; expected a torch tensor \(B, 1, 12, 13\)",
    ),
    "y is None": ({"y": None}, "y is a NoneType; expected a torch tensor"),
    "empty batch": ({"y": Y[:0]}, "holds no picture; give at least one"),
    "no batch": ({"y": Y[0]}, r"without a batch; .* y\[None\]"),
    "wrong rank": ({"y": Y[None]}, r"has the shape \(1, 2, 1, 12, 13\); expected \(B, 1, 12, 13\)"),
    "a number": ({"y": Y.sum()}, r"has the shape \(\); expected"),
    "wrong size": ({"y": Y[..., :-1]}, r"\(2, 1, 12, 12\); expected \(B, 1, 12, 13\)"),
    "wrong channels": ({"y": Y.expand(2, 3, 12, 13)}, r"\(2, 3, 12, 13\); expected"),
    "start of another type": ({"start": X.float()}, "start is torch.float32 .* y is torch.float64"),
    "start of another batch": (
        {"start": X[:1]},
        r"start has the shape \(1, 1, 12, 13\); expected \(2",
    ),
    "start of another size": ({"start": X[..., 1:]}, "start has the shape"),
    "start is a list": ({"start": X.tolist()}, "start is a list"),
    "another reference": ({"reference": X[..., 1:]}, "the reference has the shape"),
    "A is a function": ({"A": lambda x: x}, "A is a function; expected a LinearOperator"),
    "A is None": ({"A": None}, "A is a NoneType; .*from_deepinv"),
    "fidelity is a name": ({"fidelity": "huber"}, "fidelity is a str"),
    "fidelity of another operator": (
        {"fidelity": LeastSquares(blur(random_kernel(1)), Y)},
        "about operator 'circular convolution .*', not about the y and A",
    ),
    "y is sparse": ({"y": Y.to_sparse()}, "sparse_coo tensor on cpu; make it dense"),
    "y is nowhere": ({"y": Y.to("meta")}, "on meta; make it dense"),
    "fidelity of other data": (
        {"fidelity": LeastSquares(A, Y[:1])},
        "about other data, not .*make it of the same two",
    ),
}
SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"{name} {value}": ({name: value, **more}, name)
        for name, more in {
            "strength": {},
            "denoiser_scaling": {},
            "denoiser_level": {},
            "noise_level": {},
            "relaxation": {},
            "gamma": {},
            "step": {"solver": "pnp-pgd"},
        }.items()
        for value in (*NUMBERS, -1.0, "a lot", 10**400, torch.zeros(2))
    },
    "strength 0": ({"strength": 0.0}, "strength must be a finite number above 0, found 0.0"),
    "scaling 0": ({"denoiser_scaling": 0.0}, "denoiser_scaling must be"),
    "gamma 0": ({"gamma": 0.0}, "gamma must be"),
    "step 0": ({"step": 0.0, "solver": "pnp-pgd"}, "step"),
    "level above the range": ({"denoiser_level": 7.0}, "serves σ·255 from"),
    "stopping is a number": ({"stopping": 1e-3}, r"stopping is a float; expected Stopping\("),
    "solver is a number": ({"solver": 3}, "solver"),
    "acceleration is None": ({"acceleration": None}, "acceleration"),
    "no such solver": ({"solver": "magic"}, "magic"),
}
PRIORS: dict[str, tuple[dict[str, Any], str]] = {
    "None": ({"prior": None}, "prior is None; .*wrap"),
    "function": ({"prior": a_function}, "prior is a_function, no prior .*wrap makes a Denoiser"),
    "module": ({"prior": Module()}, "prior is Module, no prior .*wrap"),
    "class": ({"prior": Denoiser}, "prior is Denoiser, no prior .*wrap"),
    "number": ({"prior": 0.5}, "prior is float, no prior"),
    "three channels": ({"prior": "euler_colour"}, "is for 3 channels, found a picture of 1"),
    "changes the size": ({"prior": wrap(lambda x, s: x[..., 1:])}, "must keep both"),
    "changes the type": ({"prior": wrap(lambda x, s: x.float())}, "must keep both"),
    "in float32": (
        {"prior": load_denoiser("euler_grey")},
        "euler_grey is in torch.float32 .* torch.float64 .*load it with dtype=torch.float64",
    ),
}


@pytest.mark.parametrize(("changes", "message"), [
    pytest.param(*case, id=name)
    for table in (MEASUREMENTS, SETTINGS, PRIORS)
    for name, case in table.items()
])  # fmt: skip
def test_refused_in_words(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, StepSizeError), match=f"(?s){message}"):
        run(**changes)


def test_compiled_denoisers_are_named() -> None:
    compiled = torch.compile(TINY, backend="eager")
    with pytest.raises(InputError, match=r"prior is OptimizedModule.*also of a compiled one"):
        run(prior=compiled)
    wrapped = run(prior=wrap(torch.compile(TINY, backend="eager")))
    assert not wrapped.certificate.proven  # nothing is known of what the compiler made


@pytest.mark.parametrize("name", sorted(SOLVERS))
@pytest.mark.parametrize("spoil", ["y", "start"])
def test_every_solver_refuses_what_is_not_finite(name: str, spoil: str) -> None:
    kind = SOLVERS[name].prior_kinds[0]
    prior = {"denoiser": TINY, "functional": TV, "none": "auto"}[kind]
    with pytest.raises(InputError, match=f"{spoil} is not finite in 1 of 312"):
        run(**{spoil: spoilt(math.nan)}, solver=name, prior=prior)


@pytest.mark.parametrize(
    "options",
    [{name: value} for name in ("tol", "time_limit") for value in (*NUMBERS, -1.0, 0.0, "1e-3")]
    + [
        {name: value} for name in ("max_iter", "check_every") for value in (0, 2.5, "9", True, None)
    ],
)
def test_limits_of_a_run(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(options))} must be a"):
        Stopping(**options)
    assert Stopping(tol=1e-3, time_limit=2, max_iter=7).max_iter == 7


@pytest.mark.parametrize("value", [*NUMBERS, -1.0, "a"])
def test_solvers_made_by_hand_check_their_own(value: Any) -> None:
    for arguments in ((TINY, value), (TINY, 0.1, value)):
        with pytest.raises(InputError, match="must be a finite number"):
            Plugged(*arguments)
    for name in ("strength", "gamma", "denoiser_scaling", "denoiser_level"):
        with pytest.raises((InputError, StepSizeError), match=f"{name} must be a finite number"):
            Knobs(**{name: value})
    with pytest.raises(InputError, match=r"is a function; expected a Denoiser.*wrap"):
        Plugged(a_function, 0.1)  # type: ignore[arg-type]
    assert Plugged(TINY, 0.1, 2.0).scaling == 2.0


def test_solvers_made_by_hand_tell_precisions_apart() -> None:
    single = load_denoiser("euler_grey")
    with pytest.raises(InputError, match=r"euler_grey is in torch\.float32"):
        make("pnp-hqs", A, Y, single)
    make("pnp-hqs", A, Y, load_denoiser("euler_grey", dtype=torch.float64))


def test_numbers_of_other_kinds_are_numbers() -> None:
    assert checked_number("n", torch.tensor(0.5)) == 0.5
    assert checked_number("n", 3, least=3) == 3
    assert checked_count("n", 1) == 1
    for value in ("3", None, [1], 2 + 1j):
        with pytest.raises(InputError, match="n must be a finite number, found"):
            checked_number("n", value)


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
        for prior in {"denoiser": [TINY], "functional": [L1(0.01), TV], "none": ["auto"]}[kind]:
            with suppress(PnPReconError, OperatorError):
                wild = Convolution((random_kernel(0) * scale).to(dtype), SIZE)
                y = wild.A(X.to(dtype))
                assert torch.isfinite(run(y=y, A=wild, prior=prior, solver=name).image).all()


def test_norms_that_arithmetic_cannot_hold_are_named() -> None:
    loud = blur(1e200 * random_kernel(0))
    with pytest.raises(InputError, match=r"norm of 1e\+200, whose square is no number"):
        run(A=loud, y=loud.A(X))
    louder = blur(1e30 * random_kernel(0))
    run(A=louder, y=louder.A(X))
