"""The report about one operator: what it says, what it refuses, and what it leaves open."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from laws.operators import random_kernel
from operators import Convolution, Identity, LinearOperator, OperatorError
from operators.checks import LAWS, Report, check_operator


class Squeezing(LinearOperator):
    """An operator of a third party: the mean of the rows, from two maps and nothing else."""

    def __init__(self) -> None:
        super().__init__("row means", (1, 6, 5), (5,), nonnegative=True)

    def _forward_map(self, x: Tensor) -> Tensor:
        return x.mean((1, 2))

    def _transpose_map(self, y: Tensor) -> Tensor:
        return (y / 6)[:, None, None].expand(-1, *self.image_shape)


def test_an_operator_of_a_third_party_is_checked_in_one_call() -> None:
    report = check_operator(Squeezing())
    assert report.holds, report
    assert [finding.law.name for finding in report.findings] == list(LAWS)
    assert all(finding.kept for finding in report.findings)
    report.require()
    assert str(report).startswith("row means:\n  adjoint-float32: holds (relative mismatch")


class Unmatched(Squeezing):
    """Forgets to divide on the way back."""

    def _transpose_map(self, y: Tensor) -> Tensor:
        return 6 * super()._transpose_map(y)


def test_a_broken_operator_is_reported_and_refused() -> None:
    report = check_operator(Unmatched())
    assert not report.holds
    assert {"adjoint-float64", "transpose"} <= {found.law.name for found in report.broken}
    assert "adjoint-float64: BROKEN (A_adjoint of" in str(report)
    with pytest.raises(OperatorError, match="breaks its contract: adjoint-float32"):
        report.require()


def test_an_operator_that_fails_is_reported_and_not_excused() -> None:
    class Failing(Squeezing):
        def _transpose_map(self, y: Tensor) -> Tensor:
            raise RuntimeError("no\ntranspose")

    (finding,) = check_operator(Failing(), [LAWS["transpose"]]).findings
    assert finding.kept is False
    assert finding.words == "RuntimeError: no transpose"


def test_no_law_asked_proves_nothing() -> None:
    assert not Report("nothing", ()).holds
    with pytest.raises(OperatorError, match="no law was asked"):
        check_operator(Squeezing(), []).require()


def test_a_pseudo_inverse_out_of_reach_is_no_fault() -> None:
    class Steep(Identity):
        def _forward_map(self, x: Tensor) -> Tensor:
            return x * torch.logspace(0, -9, x.shape[-1], dtype=x.dtype)

        _transpose_map = _forward_map
        A_dagger = LinearOperator.A_dagger

    (finding,) = check_operator(Steep((1, 4, 40)), [LAWS["pseudo-inverse"]]).findings
    assert finding.kept is None
    assert "condition number is 1.0e+09" in finding.words


def test_a_prox_out_of_reach_is_no_fault() -> None:
    hard = 1e4 * Convolution(random_kernel((5, 5)), (1, 16, 16), "reflect")
    (finding,) = check_operator(hard, [LAWS["prox"]]).findings
    assert finding.kept is None
    assert "condition number of I + " in finding.words


def test_what_cannot_be_asked_is_said() -> None:
    large = check_operator(Identity((1, 50, 50)))
    assert large.holds, large
    found = {finding.law.name: finding for finding in large.findings}
    assert found["transpose"].kept is None
    assert "too large" in found["transpose"].words
    assert found["prox"].kept  # its formula is held against conjugate gradients
    assert found["norm"].kept
    circular = Convolution(random_kernel((5, 5)), (3, 64, 64))
    assert check_operator(circular, [LAWS["prox"]]).holds
    declared = Squeezing()
    declared.adjoint_matched = False
    (finding,) = check_operator(declared, [LAWS["adjoint-float64"]]).findings
    assert finding.kept is None
    assert "nothing is guaranteed" in finding.words
