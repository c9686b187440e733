"""The automatic strength of a run: trials on the data, within limits, and what they speak for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from operators.deadlines import deadline, expired
from pnp_recon.errors import InputError
from pnp_recon.priors.fingerprints import fingerprint
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.arithmetic import full_precision
from pnp_recon.solvers.core.solver import Solver
from pnp_recon.solvers.core.stopping import Stopping
from pnp_recon.solvers.core.strength import STANDARD, Rule, Strength, Trial, Weighing
from pnp_recon.strength.probe import Configure, Probe
from pnp_recon.strength.rule import explore, settle

# Of a time limit, what the search may take.
SHARE = 0.5
WEAK = (
    "a learned energy that is weighed so little can draw stripes and grain that are in no data, as "
    "convincing as they look; 1 and more is safe"
)
NOTHING = "nothing in this run depends on it"
# Iterations of the first trial and of those that begin where another ended, at most.
COLD, WARM = 60, 30


def automatic(
    problem: Problem,
    configure: Configure,
    stopping: Stopping,
    told: Callable[[Trial], None] | None = None,
    weighing: Weighing = STANDARD,
) -> Strength:
    """The strength that the data speak for, one for all pictures of the batch.

    Args:
        problem: what is to be solved.
        configure: problem and strength -> solver. All that is known of solver and prior.
        stopping: the rule of the run that follows; its limits hold for the search as well.
        told: called after every trial.
        weighing: see `rule.weighing_of`.

    Returns:
        1 with its reason where strength moves nothing, or where the data do not tell.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    begin = time.perf_counter()
    found = _found(problem, configure, stopping, told, weighing)
    return replace(found, seconds=time.perf_counter() - begin)


def heeded(
    value: float, solver: Solver[Any], plain: Solver[Any], weighing: Weighing = STANDARD
) -> Strength:
    """A strength that was given, or that it moves nothing.

    Args:
        solver, plain: what runs with it, and what would with 1.
        weighing: its `least` is the weakest that is taken without a word.
    """
    if fingerprint(solver) != fingerprint(plain):
        return Strength(value, reason=WEAK if value < weighing.least else "")
    return Strength(1.0, Rule.FIXED, f"{NOTHING}, so that the given {value:.3g} is not heeded")


def _found(
    problem: Problem,
    configure: Configure,
    stopping: Stopping,
    told: Callable[[Trial], None] | None,
    weighing: Weighing,
) -> Strength:
    tried = [configure(problem, strength) for strength in (1.0, 2.0)]
    if tried[0].depth is not None:
        return Strength(1.0, Rule.FIXED, "its steps are a schedule, which is run as it is")
    marks = set(map(fingerprint, tried))
    if len(marks) == 1:
        return Strength(1.0, Rule.FIXED, NOTHING)
    limit = None if stopping.time_limit is None else SHARE * stopping.time_limit
    with full_precision(), deadline(limit), torch.no_grad():
        try:
            probe = Probe(problem, configure)
        except InputError as error:
            reason = f"the data cannot be moved for a trial: {error}"
            return Strength(1.0, Rule.FIXED, reason)
        if not probe.count:
            return Strength(1.0, Rule.FIXED, "there are no data to choose from")
        if not probe.epsilon > 0:
            reason = "the data are zero, and so is the noise that is known of them"
            return Strength(1.0, Rule.FIXED, reason)

        def measure(strength: float) -> Trial:
            most = WARM if probe.ends else COLD
            trial = probe.trial(strength, min(most, stopping.max_iter))
            if told is not None and math.isfinite(trial.deviation):
                told(trial)
            return trial

        trials = explore(measure, probe.noise, expired, weighing)
        return settle(trials, probe.noise, weighing)
