"""Train one learned energy under a time budget and keep the weights that validate best.

    python -m scripts.accelerator.train energy_grey --data BSDS500 --seconds 160 --out out/energies

The learning rate follows the elapsed part of the budget. NAME.best.safetensors holds the averaged
weights with the highest PSNR on held-out pictures so far, which no later phase that goes wrong
can touch; NAME.state.safetensors continues the run (--resume); NAME.json says what happened. Names:
energy_colour, energy_grey, ridge_colour, ridge_grey.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from pnp_recon.networks.energies import potentials
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.ridge import RidgeNet
from scripts.accelerator import evaluate
from scripts.accelerator.files import Files
from scripts.accelerator.settings import Settings, parse
from scripts.accelerator.step import Phase, Run, Stepper, log

LOW = {"bf16": torch.bfloat16, "fp16": torch.float16, "tf32": None}
# A loss so much above the best one sends the run back to its last good state.
REWIND = 1.6
# Rates at critical points, relative to those of denoising.
CRITICAL_RATE = 0.1


def tf32(on: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on


def phases(settings: Settings, cuda: bool) -> list[Phase]:
    if settings.ridge:
        return [Phase(1.0, None, "denoise")]
    low = LOW[settings.precision] if cuda else None
    found = [Phase(1 - settings.tail - settings.critical, low, "denoise")]
    if settings.critical > 0:
        found.append(Phase(1 - settings.tail, low, "critical"))
    if settings.tail > 0:
        found.append(Phase(1.0, None, found[-1].kind))
    found[-1].end = 1.0
    return found


def build(stepper: Stepper, plan: Sequence[Phase]) -> list[dict[str, Run]]:
    """The forms of the step for each phase: all for the first, the first that works for others."""
    settings, cuda = stepper.settings, stepper.device.type == "cuda"
    modes = [mode for mode in settings.modes.split(",") if mode]
    modes = modes or (["compile+graph", "graph", "eager"] if cuda else ["eager"])
    built: list[dict[str, Run]] = []
    for phase in plan:
        found: dict[str, Run] = {}
        # The error at critical points looks at numbers: it cannot be captured.
        for mode in ["eager"] if phase.kind == "critical" else modes:
            if found and (mode == "eager" or phase is not plan[0]):
                continue
            with contextlib.suppress(RuntimeError):
                found |= stepper.variants(phase, [mode])
        built.append(found)
    return built


def train(settings: Settings) -> dict[str, Any]:
    """Builds, waits for its turn, trains until the budget ends, evaluates; returns the record."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = True
    tf32(True)
    stepper = Stepper(settings)
    files = Files(stepper)
    done = files.resume(Path(settings.resume), settings.restart) if settings.resume else 0.0
    plan = phases(settings, stepper.device.type == "cuda")
    built = build(stepper, plan)
    if (early := settings.start_at - time.time()) > 0:
        log(settings.name, f"ready, waiting {early:.0f} s")
        time.sleep(early)
    several = built[0] if len(built[0]) > 1 else {}
    times = {mode: stepper.seconds(run) for mode, run in several.items()}
    mode = min(times, key=times.__getitem__) if times else next(iter(built[0]))
    milliseconds = {key: round(1e3 * value, 2) for key, value in times.items()}
    log(settings.name, f"{files.info['parameters']} parameters, ms a step {milliseconds}: {mode}")
    files.info |= {"variant": mode, "variants_ms": milliseconds}
    chosen = [built[0][mode], *(next(iter(found.values()), built[0][mode]) for found in built[1:])]
    loop(stepper, files, plan, chosen, done)
    built.clear()
    chosen.clear()  # frees the graphs
    finish(stepper, files)
    return files.info


def loop(
    stepper: Stepper, files: Files, plan: Sequence[Phase], runs: Sequence[Run], done: float
) -> None:
    """Steps until the budget or their number is used up."""
    s, optimiser = stepper.settings, stepper.optimiser
    begin = time.time()
    budget = (s.end_at - begin) if s.end_at else s.seconds
    first = steps = int(optimiser.count)
    if done or steps:
        files.validate(steps)
    good, factor, lowest, at, rewinds = optimiser.snapshot(), 1.0, math.inf, 0, 0
    last_log = last_save = begin
    while True:
        progress = done + (1 - done) * (time.time() - begin) / budget
        if progress >= 1 or (s.steps and steps - first >= s.steps):
            break
        while at + 1 < len(plan) and progress >= plan[at].end:
            at, lowest = at + 1, math.inf
            files.validate(steps)  # what was reached is kept before the arithmetic or loss changes
            log(s.name, f"{plan[at]} from step {steps}")
        rise = min(1.0, progress / s.warmup) if s.warmup else 1.0
        rise *= CRITICAL_RATE if plan[at].kind == "critical" else 1.0
        rate = factor * rise * (0.5 + 0.5 * math.cos(math.pi * progress))
        optimiser.rate.fill_(rate)
        optimiser.average_rate.fill_(max(1 - s.ema, 9 / (10 + steps)))
        for _ in range(s.every):
            runs[at]()
        steps += s.every
        loss, now = stepper.mean_loss(), time.time()
        if not math.isfinite(loss) or (progress > 0.05 and loss > REWIND * lowest):
            optimiser.load(good)
            # The lowest loss stays: else the next one, however high, would count as good.
            factor, rewinds = 0.6 * factor, rewinds + 1
            log(s.name, f"step {steps} loss {loss:.4f}: rewound, rate factor {factor:.3f}")
        elif loss < 1.05 * lowest:
            lowest = min(lowest, loss)
            if now - last_log > s.log_every / 2:
                good = optimiser.snapshot()
        if now - last_log > s.log_every or steps - first <= s.every:
            last_log = now
            files.info["curve"].append([steps, round(now - begin, 1), round(loss, 5)])
            place = f"{100 * progress:5.1f} % step {steps}"
            log(s.name, f"{place} loss {loss:.4f} rate {rate:.3f}{_more(stepper)}")
        if now - last_save > s.save_every:
            last_save = now
            files.validate(steps)
            files.save(steps=steps, seconds=round(now - begin, 1), progress=progress)
    stepper.wait()
    seconds = round(time.time() - begin, 1)
    files.validate(steps)
    skipped = int(optimiser.skipped)
    files.save(
        steps=steps, seconds=seconds, progress=1.0, rewinds=rewinds, skipped=skipped, factor=factor
    )
    log(s.name, f"trained to step {steps} in {seconds:.0f} s, rewinds {rewinds}")


def _more(stepper: Stepper) -> str:
    words = f" norm {float(stepper.optimiser.norm):.3f} skipped {int(stepper.optimiser.skipped)}"
    if stepper.proximal is not None:
        words += f" residual {float(stepper.proximal.residual):.1e}"
    return words


def finish(stepper: Stepper, files: Files) -> None:
    """Figures of the best weights: denoising in float32, critical points in TF32."""
    s, device = stepper.settings, stepper.device
    energy = s.network().to(device)
    energy.load_state_dict(load_file(files.path("best.safetensors")))
    energy.eval().requires_grad_(False)
    torch.backends.cudnn.benchmark = False
    batch = 8
    if isinstance(energy, RidgeNet) and device.type == "cuda":
        batch = 4
        if "compile" in files.info["variant"]:  # it works here
            energy.secant, energy.potential = (
                torch.compile(f, dynamic=False) for f in (potentials.secant, potentials.potential)
            )
    small = 0 if device.type == "cuda" else s.validation_size
    whole = stepper.split.test
    test = whole[: s.pictures or None]
    try:
        tf32(False)
        pictures = evaluate.crops(test, energy.config.channels, device, small)
        figures = evaluate.denoising(energy, pictures, batch=batch)
        key = stepper.split.tested if len(test) == len(whole) else "test"
        files.info[key if not small else f"{key}_crops_{small}"] = figures
        log(s.name, f"denoising of {len(test)} pictures: {figures}")
        files.save()
        if s.critical_seconds:
            tf32(True)
            found = critical(energy, test[:8], device, s)
            files.info["critical" if key == "bsd68" else f"critical_{key}"] = found
            log(s.name, f"motion blur, at critical points: {found}")
    except Exception as error:  # weights are worth more than figures
        log(s.name, f"evaluation failed: {type(error).__name__}: {str(error)[:600]}")
    files.save()


def critical(
    energy: Energy, test: Sequence[Path], device: torch.device, s: Settings
) -> dict[str, dict[str, float]]:
    size = 128 if device.type == "cuda" else 32
    x: Tensor = torch.stack(evaluate.crops(test, energy.config.channels, device, size))
    return evaluate.deblurring(energy, x, s.critical_iterations, s.critical_seconds)


def main(argv: Sequence[str] | None = None) -> None:
    settings = parse(argv, __doc__.partition("\n")[0])
    torch.set_float32_matmul_precision("high")
    log(settings.name, asdict(settings))
    train(settings)


if __name__ == "__main__":
    main()
