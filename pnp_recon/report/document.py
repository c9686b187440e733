"""`Run` -> the dictionary of report.json, and its validation against the published schema.

The schema (`report.schema.json`, JSON Schema 2020-12) carries the version; a reader of reports
checks `schema_version` and then relies on every required field.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pnp_recon.errors import PnPReconError
from pnp_recon.report.run import KernelRecord, PhysicsRecord, Quality, Run, noise_words
from pnp_recon.report.strength import strength_block
from pnp_recon.solvers import History

SCHEMA_VERSION = "1.8"
_SCHEMA_FILE = Path(__file__).with_name("report.schema.json")
_LIBRARIES = ("torch", "deepinv", "numpy", "scikit-image", "safetensors", "odl")


class ReportError(PnPReconError, ValueError):
    """A report does not follow its schema."""


def build_report(run: Run) -> dict[str, Any]:
    """The report as plain JSON values (no NaN or infinity: they become null).

    Raises:
        ReportError: if the result breaks the schema, which would be a programming error.
    """
    solution = run.solution
    report = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "program": run.program,
        "inputs": [
            {
                "role": file.role,
                "path": file.path,
                "sha256": file.sha256,
                "shape": file.shape,
                "bit_depth": file.bit_depth,
            }
            for file in run.files
        ],
        "output": run.output,
        "output_sha256": run.output_sha256,
        "options": run.options,
        "notes": run.notes,
        "simulated": run.simulated,
        "linear_light": run.linear_light,
        "environment": environment(run.device, run.dtype),
        "kernel": _kernel(run.kernel),
        "physics": _physics(run.physics),
        "operator": {
            "name": run.operator.name,
            "boundary": run.boundary,
            "image_shape": run.operator.image_shape,
            "measurement_shape": run.operator.measurement_shape,
        },
        "noise": _noise(run),
        "denoiser": {
            "name": run.denoiser.name,
            "kind": run.prior_kind,
            "sha256": run.denoiser.sha256,
            "guarantee": run.denoiser.guarantee.to_dict(),
        },
        "solver": {"name": solution.solver, "parameters": solution.parameters},
        "strength": strength_block(solution.strength),
        "status": {
            "name": solution.status,
            "message": solution.status.value,
            "succeeded": solution.status.succeeded,
            "iterations": solution.iterations,
        },
        "certificate": solution.certificate.to_dict(),
        "history": history_block(solution.history, run.psnr_track),
        "metrics": {"before": _quality(run.before), "after": _quality(run.after)},
        "timings": run.timings,
        "peak_memory": peak_memory(run.device),
    }
    plain = plain_json(report)
    validate_report(plain)
    return plain


def environment(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Versions, platform, device and threads."""
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "python": platform.python_version(),
        "pnp_recon": version("pnp-recon"),
        "libraries": {library: version(library) for library in _LIBRARIES},
        "platform": platform.platform(),
        "device": str(device),
        "device_name": name,
        "dtype": str(dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "cpu_count": os.cpu_count(),
    }


def version(distribution: str) -> str | None:
    """The installed version, without importing the package; None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def peak_memory(device: torch.device) -> dict[str, int | None]:
    """Largest memory of this process so far, in bytes."""
    host: int | None = None
    try:
        import resource
    except ImportError:  # Windows has no such count
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # Linux counts kibibytes
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    cuda = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"host_bytes": host, "cuda_bytes": cuda}


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of report.json that this version writes."""
    loaded: dict[str, Any] = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    return loaded


def validate_report(report: Mapping[str, Any]) -> None:
    """Checks a loaded report.json against the schema.

    Raises:
        ReportError: naming the first field that is missing or of the wrong kind.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema()).iter_errors(report))
    if error is not None:
        where = "/".join(str(part) for part in error.absolute_path) or "the report"
        raise ReportError(
            f"report does not follow schema {SCHEMA_VERSION}: {where}: {error.message[:300]}; "
            "write it again with this version"
        )


def plain_json(value: Any) -> Any:
    """Any value as JSON holds it: tensors as lists, paths and others as text, NaN as null."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Enum):
        return value.name.lower()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Tensor):
        return plain_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(item) for item in value]
    return str(value)


def _kernel(kernel: KernelRecord | None) -> dict[str, Any] | None:
    if kernel is None:
        return None
    return {
        "name": kernel.name,
        "origin": kernel.origin,
        "parameters": kernel.parameters,
        "confidence": kernel.confidence,
        "method": kernel.method,
        "given": kernel.given,
        "shape": tuple(kernel.weights.shape),
        "weights": kernel.weights.detach().cpu(),
    }


def _physics(physics: PhysicsRecord | None) -> dict[str, Any] | None:
    if physics is None:
        return None
    return {"name": physics.name, "parameters": physics.parameters, "words": physics.words}


def _noise(run: Run) -> dict[str, Any]:
    level, words = run.noise_level, run.noise_words
    if words is None and level is not None:
        words = noise_words(level, run.noise_origin)
    return {"level": level, "origin": run.noise_origin, "words": words}


def _quality(quality: Quality | None) -> dict[str, float] | None:
    return None if quality is None else {"psnr": quality.psnr, "ssim": quality.ssim}


def history_block(history: History, track: tuple[tuple[int, float], ...] = ()) -> dict[str, Any]:
    """The history as reports have it; numbers may be infinite or NaN.

    Args:
        track: PSNR (iteration, dB) in place of the history's own.
    """
    if not track and history.psnr:
        means = [sum(row) / len(row) for row in history.psnr]
        track = tuple(zip(history.checked, means, strict=False))
    return {
        "residuals": history.residuals,
        "relative_residuals": [history.relative(k) for k in range(history.iterations)],
        "norms": history.norms,
        "inner_errors": history.errors,
        "tolerances": history.tolerances,
        "bounds": history.bounds,
        "ratios": history.ratios,
        "energies": history.energies,
        "falls": history.falls,
        "gradients": history.gradients,
        "moves": history.moves,
        "least": history.least,
        "stride": history.stride,
        "unit": history.unit,
        "floor": history.floor,
        "picture_errors": history.picture_errors,
        "pixels": history.pixels,
        "checked": history.checked,
        "seconds": history.seconds,
        "psnr": [{"iteration": iteration, "psnr": value} for iteration, value in track],
    }
