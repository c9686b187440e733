"""What `reconstruct` and solvers made by hand refuse, in words; each with a twin that runs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laws.solvers import TINY, blur, make, random_kernel
from pnp_recon import load_denoiser, wrap
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import LeastSquares
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.problems.numbers import checked_count, checked_number
from pnp_recon.solvers import SOLVERS, Plugged, Stopping
from pnp_recon.solvers.knobs import Knobs
from support.refusals import NUMBERS, TV, A, X, Y, run, spoilt


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
    **{
        f"reference {v}": ({"reference": spoilt(v)}, "the reference is not finite in 1 of 312")
        for v in NUMBERS
    },
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
        for value in (*NUMBERS, -1.0, "a lot", 10**400, torch.zeros(2), True)
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


def test_of_compiled_denoisers_nothing_is_proven() -> None:
    compiled = torch.compile(TINY, backend="eager")
    for prior in (compiled, wrap(compiled)):
        assert not run(prior=prior).certificate.proven  # nothing is known of what it was made into


@pytest.mark.parametrize("name", sorted(SOLVERS))
@pytest.mark.parametrize("spoil", ["y", "start"])
def test_every_solver_refuses_what_is_not_finite(name: str, spoil: str) -> None:
    kind = SOLVERS[name].prior_kinds[0]
    prior = {"denoiser": TINY, "functional": TV, "energy": "energy_grey", "none": "auto"}[kind]
    with pytest.raises(InputError, match=f"{spoil} is not finite in 1 of 312"):
        run(**{spoil: spoilt(math.nan)}, solver=name, prior=prior)


@pytest.mark.parametrize(
    "options",
    [
        {name: value}
        for name in ("tol", "time_limit")
        for value in (*NUMBERS, -1.0, 0.0, "1e-3", True)
    ]
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
