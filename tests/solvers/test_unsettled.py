"""A run without a theorem that drifts away is told, from Python and on the command line."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from operators import Convolution, kernels
from pnp_recon import reconstruct
from pnp_recon.cli.deblur import main
from pnp_recon.priors.denoiser import wrap
from pnp_recon.solvers import Solution, Stopping
from pnp_recon.solvers.core.unsettled import LONG, UnsettledWarning, unsettled
from support.pictures import pillow_picture

A = Convolution(kernels.gaussian(2.0, 9, dtype=torch.float64), (1, 24, 24))


def blurred(gain: float, iterations: int = LONG) -> Solution:
    """A run with x ↦ ½ + gain·(x − ½), which is expansive for a gain above 1."""
    noise = torch.randn(1, 1, 24, 24, dtype=torch.float64, generator=torch.Generator())
    x = (0.5 + 0.1 * noise).clamp(0, 1)
    prior = wrap(lambda v, sigma: 0.5 + gain * (v - 0.5))
    limits = Stopping(max_iter=iterations, tol=1e-6)
    return reconstruct(
        A.A(x), A, prior, solver="pnp-hqs", start=x, noise_level=0.05, strength=1.0, stopping=limits
    )


def test_an_expansive_map_warns_and_says_what_to_do() -> None:
    with pytest.warns(UnsettledWarning, match="may be worse than the input.*max_iter.*certified"):
        solution = blurred(1.02)
    assert not solution.certificate.proven


def test_what_comes_to_rest_or_is_short_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnsettledWarning)
        assert not unsettled(blurred(0.9))
        assert not unsettled(blurred(1.02, 10))


@pytest.mark.parametrize("limit", [LONG, 10])
def test_a_command_doubts_the_picture(
    limit: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.png"
    pillow_picture((40, 36)).save(source)
    given = ["--simulate", "--kernel", "gaussian", "--denoiser", "nlm", "--strength", "0.4"]
    assert main([str(source), *given, "--max-iter", str(limit)]) == 3
    heard = capsys.readouterr()
    assert ("may be worse than the input: nothing is proven" in heard.err) == (limit == LONG)
    # More iterations are no advice then.
    assert ("raise max_iter" in heard.out + heard.err) == (limit != LONG)
