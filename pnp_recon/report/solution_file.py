"""A `Solution` on disk: `NAME.safetensors` with the pictures, `NAME.json` with all that is known.

Nothing that the file claims of its certificate is believed: the verdict is made again from the
theorem, its premises and the history (`consistency`), for the pictures with the SHA-256 that the
file names. What does not follow voids the certificate, and so does an ending of which the history
says otherwise. Premises and history are words of whoever wrote the file, so that what is left is
certified if they are true; `pnp-recon verify` computes a whole report again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write, sha256_of
from pnp_recon.report.consistency import evidence, observable, said, tried
from pnp_recon.report.document import history_block, plain_json
from pnp_recon.report.endings import ending_denied
from pnp_recon.report.reading import certificate_of
from pnp_recon.solvers import Certificate, History, Solution, Status, Stopping
from pnp_recon.solvers.core.gap import FAULT, Gap
from pnp_recon.solvers.core.remarks import error_bars
from pnp_recon.solvers.core.strength import Rule, Strength, Trial, Weighing
from pnp_recon.solvers.core.theorem import Basis, Premise
from pnp_recon.solvers.in_time import of_one_of_them

VERSION = 1
_PICTURE, _FOUND, _GAP = "image", "found.", "gap."
# Nothing is run again.
UNSHOWN = Premise("the run was and observed what the file says (not checked again)", Basis.DECLARED)
TRIED = "'{}' was tried and held, as the file says"
# The parameter of a run whose picture is not its last iterate.
EARLIER = "steps_worth_making"


def save_solution(solution: Solution, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Writes `path`.safetensors and `path`.json, each whole or not at all.

    Args:
        solution: what a run returned; its tensors may live on any device.
        path: without suffix, or with either of the two. What exists is replaced.

    Returns:
        the two files.

    Raises:
        OutputError: the folder is missing or not writable, or the disk is full.
    """
    from safetensors.torch import save

    weights, described = _names(path)
    tensors = {_PICTURE: solution.image, **{_FOUND + k: v for k, v in solution.found.items()}}
    if solution.gap is not None:
        tensors |= {_GAP + k: v for k, v in vars(solution.gap).items()}
    strength = solution.strength
    held = {
        "solution_version": VERSION,
        "solver": solution.solver,
        "status": solution.status.name,
        "parameters": solution.parameters,
        "certificate": plain_json(solution.certificate.to_dict()),
        "strength": None if strength is None else {**asdict(strength), "rule": strength.rule.name},
        "error_bars": [asdict(bar) for bar in solution.error_bars],
        "history": asdict(solution.history),
        "stopping": None if solution.stopping is None else asdict(solution.stopping),
    }
    content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    held["tensors_sha256"] = hashlib.sha256(content).hexdigest()
    atomic_write(weights, content)
    # Bounds of a history may be infinite, which this dialect of JSON can say.
    atomic_write(described, json.dumps(held, indent=1))
    return weights, described


def load_solution(path: str | os.PathLike[str]) -> Solution:
    """Reads what `save_solution` wrote; tensors come to the CPU.

    Raises:
        InputError: a file is missing or damaged, or is none of these; or the two files are not of
            one solution.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights, described = _names(path)
    for file in (weights, described):
        if not file.is_file():
            raise InputError(f"there is no file {file}; expected what save_solution wrote")
    try:
        tensors = load_file(weights)
        held = json.loads(described.read_text(encoding="utf-8"))
        if held["solution_version"] != VERSION:
            raise ValueError(f"it is of version {held['solution_version']}, not {VERSION}")
        if held["tensors_sha256"] != sha256_of(weights):
            raise ValueError("the two files are not of one solution; save it again")
        gap = {k.removeprefix(_GAP): v for k, v in tensors.items() if k.startswith(_GAP)}
        found = {k.removeprefix(_FOUND): v for k, v in tensors.items() if k.startswith(_FOUND)}
        asked = held.get("stopping")
        solution = Solution(
            image=tensors[_PICTURE],
            status=Status[held["status"]],
            certificate=certificate_of(held["certificate"]),
            history=History(**held["history"]),
            solver=held["solver"],
            parameters=dict(held["parameters"]),
            strength=_strength(held["strength"]),
            found=found,
            gap=Gap(**gap) if gap else None,
            stopping=None if asked is None else Stopping(**asked),
        )
        certificate = _certificate(solution, held["certificate"])
        bars = error_bars(certificate.theorem, solution.history) if certificate.holds else ()
        return replace(solution, certificate=certificate, error_bars=bars)
    except (SafetensorError, ValueError, LookupError, TypeError, ArithmeticError, OSError) as error:
        raise InputError(f"{described} and {weights.name} hold no solution: {error}") from error


def _names(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    given = Path(path)
    stem = given.with_suffix("") if given.suffix in (".json", ".safetensors") else given
    return stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")


def _certificate(solution: Solution, block: Mapping[str, Any]) -> Certificate:
    """The certificate of a file, as far as its history bears it out.

    Args:
        solution: with the certificate that follows from the block alone.
    """
    found = solution.certificate
    if not found.proven:
        return found
    if void := _void(solution, block):
        return replace(found, void=found.void or void, remarks=())
    theorem, history = found.theorem, solution.history
    words = (TRIED.format(law) for law in tried(found, history))
    added = (UNSHOWN, *(Premise(one, Basis.DECLARED) for one in words))
    theorem = replace(theorem, premises=tuple(dict.fromkeys((*theorem.premises, *added))))
    if _picture_is_earlier(solution):  # files from before this was minded have a bar all the same
        theorem = of_one_of_them(theorem)
    # What was proven of the run holds of the file under its conditions.
    return replace(found, theorem=theorem, remarks=said(theorem, history))


def _picture_is_earlier(solution: Solution) -> bool:
    """Is the picture one before the last iterate, which the history ends with?"""
    asked = solution.stopping
    return EARLIER in solution.parameters or (asked is not None and asked.least_error)


def _void(solution: Solution, block: Mapping[str, Any]) -> str:
    """Why what is proven is not borne out by the rest of a file, or empty."""
    history = solution.history
    if solution.status is Status.NON_FINITE:
        return "the run became non-finite"
    if not history.iterations:
        return "the file holds no iteration"
    if said_otherwise := _of_the_picture(solution):
        return f"the file does not agree with itself ({said_otherwise})"
    claims = evidence(
        {
            "certificate": block,
            "history": plain_json(history_block(history)),
            "status": {"iterations": history.iterations},
        }
    )
    false = next((one for one in claims if one.holds is False), None)
    if false is not None:
        return f"the file does not agree with itself ({false})"
    if not observable(solution.certificate.theorem, history):
        return "the file holds nothing that its theorem can be held against"
    if solution.gap is not None and bool(solution.gap.faulty.any()):
        return FAULT
    if solution.stopping is None:
        return "the file does not say when its run was to stop"
    if denied := ending_denied(solution, solution.parameters.get(EARLIER)):
        return f"the file does not agree with itself ({denied})"
    return ""


def _of_the_picture(solution: Solution) -> str:
    """What the history says and the picture does not, or empty: rounding is that of its precision,
    and there is a column for each picture."""
    image, history = solution.image, solution.history
    gain = max(1.0, 1 / solution.parameters.get("denoiser_scaling", 1.0))
    unit = torch.finfo(image.dtype).eps * gain
    if not history.unit <= unit * (1 + 1e-12):
        return f"rounding {history.unit:.3g}, of {image.dtype} {unit:.3g}"
    if not 0 < history.stride <= 1:
        return f"a stride of {history.stride:.3g}"
    if (len(history.residuals[0]), history.pixels) != (len(image), image[0].numel()):
        return "a history of other pictures"
    return ""


def _strength(held: Mapping[str, Any] | None) -> Strength | None:
    if held is None:
        return None
    made = {
        "rule": Rule[held["rule"]],
        "trials": tuple(Trial(**trial) for trial in held["trials"]),
        "weighing": Weighing(**held["weighing"]),
    }
    return Strength(**{**held, **made})
