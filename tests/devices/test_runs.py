"""Whole runs on a device: as on the CPU, in exact arithmetic, repeatable, on streams, unhindered.

What is measured is what `scripts.accelerator.check` measures; here it has to be good enough.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnp_recon import Stopping, reconstruct
from pnp_recon.priors.denoiser import Denoiser, wrap
from pnp_recon.solvers.core.arithmetic import _places
from scripts.accelerator.checks import determinism, streams, synchronisations, training
from scripts.accelerator.checks import reconstruct as runs
from scripts.accelerator.checks.cases import NOISE, measured, model, operator_of, picture
from scripts.accelerator.checks.session import Session, precision
from support.devices import every_device, on_a_gpu, on_hardware

BLUR, VALID, _ = runs.BLURS
CASES: tuple[runs.Case, ...] = (
    (BLUR, "euler_colour", "pnp-hqs", "auto", ""),
    (VALID, "euler_colour", "pnp-drs", "none", ""),
    ("inpaint", "tv", "auto", "auto", ""),
    (BLUR, "tv", "auto", "auto", "huber"),
)
# An iteration reads the residuals at its looks, which come every so many iterations.
LOOK = 10


@every_device
@pytest.mark.parametrize("case", CASES, ids=[" ".join(case[:3]) for case in CASES])
def test_a_run_is_that_of_the_cpu(device: str, case: runs.Case) -> None:
    row = runs.compared(Session(device, tiny=True), case)
    assert row["on"].startswith(device)
    assert row["diff"]["max"] < 1e-3
    assert row["verdict_same"], row


def deblurred(device: str, batch: int, denoiser: Denoiser | None = None) -> Tensor:
    x = picture(24, 32, batch=batch)
    A, y = operator_of(BLUR, tuple(x.shape[1:]), device), measured(BLUR, x).to(device)
    return reconstruct(
        y,
        A,
        denoiser or model("euler_colour", device),
        noise_level=NOISE,
        strength=1,
        acceleration="none",
        solver="pnp-hqs",
        stopping=Stopping(tol=1e-12, max_iter=3),
        allow_uncertified=denoiser is not None,
    ).image


@every_device
def test_pictures_of_a_batch_do_not_see_each_other(device: str) -> None:
    many, one = deblurred(device, 2), deblurred(device, 1)
    torch.testing.assert_close(many[:1], one, rtol=0, atol=1e-5)
    assert not torch.allclose(many[1:], one, atol=1e-2)


@every_device
def test_certified_runs_switch_rounding_off(device: str) -> None:
    seen: list[set[object]] = []

    def halve(x: Tensor, sigma: float) -> Tensor:
        seen.append(switched_on(device))
        return 0.5 * x + 0.25

    with precision("tf32"), torch.autocast(device, torch.bfloat16):
        deblurred(device, 1, wrap(halve, "half"))
        outside = switched_on(device)
    assert outside >= {"autocast", "tf32"}
    assert len(seen) > 2
    assert not any(seen)


def switched_on(device: str) -> set[object]:
    """What rounds the factors of products now."""
    modes = {place.fp32_precision for place in _places()} - {"ieee", "none"}
    return modes | ({"autocast"} if torch.is_autocast_enabled(device) else set())


@every_device
def test_what_the_caller_switched_on_changes_no_bit(device: str) -> None:
    with precision("f32"):
        exact = deblurred(device, 1)
    with precision("tf32"), torch.autocast(device, torch.bfloat16):
        assert torch.equal(deblurred(device, 1), exact)


@every_device
def test_a_run_repeats_bit_for_bit(device: str) -> None:
    row = determinism.repeated(Session(device, tiny=True), BLUR, "euler_colour", "f32")
    assert row["bit_equal"], row


@on_a_gpu
@pytest.mark.parametrize("kind", streams.KINDS)
def test_runs_on_streams_end_with_the_same_bits(device: str, kind: str) -> None:
    row = streams.on_streams(Session(device, tiny=True), kind)
    assert row == {"alone": 0, "together": 0}


def looked_at(device: str, kind: str) -> synchronisations.Run:
    """Runs of 10 and of 40 iterations, of a small picture."""
    run = synchronisations.Run(Session(device, tiny=True), kind, "none", "euler_colour")
    run.less, run.more = LOOK, 4 * LOOK
    return run


def too_often(run: synchronisations.Run) -> dict[str, float]:
    """Lines at which the host waits more often than at looks."""
    lines = synchronisations.waits(run)["sync_lines_per_iteration"]
    return {line: often for line, often in lines.items() if often > 1.01 / LOOK}


def with_a_wait(run: synchronisations.Run) -> synchronisations.Run:
    """A denoiser that reads its level from the device."""
    inner, device = run.prior.function, run.session.device
    run.prior = wrap(lambda x, sigma: inner(x, float(torch.full((), sigma, device=device))))
    return run


@on_a_gpu
@pytest.mark.parametrize("kind", [BLUR, "inpaint"])
def test_the_host_waits_at_looks_alone(device: str, kind: str) -> None:
    assert too_often(looked_at(device, kind)) == {}


@on_a_gpu
def test_a_wait_in_every_iteration_is_found(device: str) -> None:
    assert max(too_often(with_a_wait(looked_at(device, BLUR))).values()) >= 1


@on_hardware("calls of the runtime are counted by its profiler")
@pytest.mark.parametrize("kind", [BLUR, "inpaint"])
def test_the_runtime_waits_at_looks_alone(device: str, kind: str) -> None:
    row = synchronisations.profiled(looked_at(device, kind), 1.0)["per_iteration"]
    assert row.get("cudaStreamSynchronize", 0) <= 3 / LOOK


@on_hardware("calls of the runtime are counted by its profiler")
def test_a_wait_of_the_runtime_is_found(device: str) -> None:
    row = synchronisations.profiled(with_a_wait(looked_at(device, BLUR)), 1.0)["per_iteration"]
    assert row["cudaStreamSynchronize"] >= 1


@every_device
def test_a_training_that_is_stopped_goes_on(device: str, tmp_path: Path) -> None:
    row = training.Case(Session(device, tiny=True), tmp_path, "muon", False, "C1").run()
    assert row["resumed_at"] == 2
    assert row["certified_alpha"] < 1
    # Convolutions' gradients on a GPU add up in any order.
    assert row["resume_diff"] <= (0 if device == "cpu" else 1e-3)
