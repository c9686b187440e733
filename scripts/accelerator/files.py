"""The three files of a training: best weights, state, record. Each is whole at any moment."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from scripts.accelerator import evaluate
from scripts.accelerator.step import Stepper, log


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Whole or not at all: somebody may copy it at any moment."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    os.replace(temporary, path)


class Files:
    """The three files of a run, and the validation that decides about the weights."""

    def __init__(self, stepper: Stepper) -> None:
        s = stepper.settings
        self.stepper, self.name, self.folder = stepper, s.name, Path(s.out)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.best = -math.inf
        channels = stepper.energy.config.channels
        held = stepper.split.validation[: s.validation_pictures]
        self.pictures = evaluate.crops(held, channels, stepper.device, s.validation_size)
        self.info: dict[str, Any] = {
            "name": s.name,
            "recipe": s.recipe(),
            "network": stepper.energy.recipe(),
            "parameters": sum(p.numel() for p in stepper.energy.parameters()),
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if s.device == "cuda" else s.device,
            "data": stepper.split.description(),
            "curve": [],
            "validations": [],
        }

    def path(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"

    def validate(self, steps: int) -> float:
        """Mean PSNR on the held-out crops; weights that are better than all before are kept."""
        found = evaluate.denoising(self.stepper.average(), self.pictures)
        score = sum(found.values()) / len(found)
        kept = score > self.best  # never for a score that is not a number
        self.info["validations"].append([steps, found])
        if kept:
            self.best = score
            self.info |= {"best_step": steps, "best_validation": found}
            state = {k: v.cpu().contiguous() for k, v in self.stepper.averages().items()}
            replace_file(self.path("best.safetensors"), lambda path: save_file(state, path))
        log(self.name, f"validation at step {steps}: {found}{' kept' if kept else ''}")
        return score

    def save(self, **news: object) -> None:
        self.info |= news
        state = {k: v.cpu().clone() for k, v in self.stepper.optimiser.state().items()}
        metadata = {"progress": str(self.info.get("progress", 0.0))}
        replace_file(self.path("state.safetensors"), lambda path: save_file(state, path, metadata))
        weights = self.path("best.safetensors")
        if weights.exists():
            self.info["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        text = json.dumps(self.info, indent=1)
        replace_file(self.path("json"), lambda path: path.write_text(text, encoding="utf-8"))

    def resume(self, path: Path, restart: bool) -> float:
        """Loads a state; returns the progress at which that run stopped.

        Where the best weights of that run lie in this folder they stay until better ones are found.
        """
        self.stepper.optimiser.load(load_file(path))
        with safe_open(path, "pt") as file:
            progress = float(file.metadata()["progress"])
        if self.path("best.safetensors").exists() and self.path("json").exists():
            before = json.loads(self.path("json").read_text(encoding="utf-8"))
            if found := before.get("best_validation"):
                self.best = sum(found.values()) / len(found)
                self.info |= {key: before[key] for key in ("best_step", "best_validation")}
        return progress if progress < 1 and not restart else 0.0
