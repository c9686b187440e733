"""What every test runs under: one thread, fixed seeds, deterministic kernels, one width."""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator
from contextlib import ExitStack

os.environ.setdefault("MPLBACKEND", "Agg")
# Help and tables are folded at the width of the terminal; a test of another width sets its own.
os.environ["COLUMNS"] = "80"

import hypothesis
import numpy as np
import pytest
import torch

from operators.checks import Probe
from support.absent import absent
from support.standin import standin

torch.set_num_threads(1)
# Several CUDA kernels have no deterministic variant and would refuse to run; on a CPU all have.
torch.use_deterministic_algorithms(not torch.cuda.is_available())

# The same examples in every run, and no time limit for one: machines differ.
hypothesis.settings.register_profile("reproducible", derandomize=True, deadline=None)
hypothesis.settings.load_profile("reproducible")


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "Run the tests marked cuda on a stand-in for a GPU, see tests/support/standin."
    parser.addoption("--standin-cuda", action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--standin-cuda"):
        stack = ExitStack()
        stack.enter_context(standin())
        config.add_cleanup(stack.close)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    yield from _skipped_where_a_library_is_absent()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    yield from _skipped_where_a_library_is_absent()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    call = getattr(report, "call", None)
    if report.failed and call is not None and (name := absent(call.excinfo.value)) is not None:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 1, f"Skipped: {name} is not installed")
    return report


def _skipped_where_a_library_is_absent() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if (name := absent(error)) is not None:
            pytest.skip(f"{name} is not installed")
        raise


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Global generators start afresh, so that a test does not depend on those before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (third-party code draws from the global generator)
    torch.manual_seed(0)


@pytest.fixture
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared facts of operators go unmeasured, so that a run's own laws must find a false one."""
    nothing = Probe("unprobed", 1.0)
    monkeypatch.setattr("pnp_recon.solvers.core.premises.probe", lambda A, norm: nothing)


@pytest.fixture
def unexamined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared denoisers are not challenged, so that each call of one is an iteration."""
    monkeypatch.setattr("pnp_recon.solvers.pnp.base.PnP.examination", lambda self: None)
