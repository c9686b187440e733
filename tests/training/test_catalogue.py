"""The catalogue of tasks: names, homes, and that it loads no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pnp_recon.training.catalogue import TASKS
from pnp_recon.training.task import Task

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", TASKS)
def test_an_entry_is_a_task_of_its_name(name: str) -> None:
    entry = TASKS[name]
    task = entry.load()
    assert issubclass(task, Task)
    assert task.kind == name
    assert set(task.parts()) >= {"network", "recipe"}
    assert entry.words.strip().partition("\n")[0].endswith(".")


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('|', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("|")[2].split())


def test_tasks_load_no_torch() -> None:
    statement = "from pnp_recon.training.catalogue import TASKS\n"
    statement += "[entry.load().parts() for entry in TASKS.values()]"
    found = loaded_after(statement)
    assert {entry.home.partition(":")[0] for entry in TASKS.values()} <= found
    assert not {"torch", "numpy", "typer"} & found
    assert "torch" in loaded_after("import pnp_recon.training.trainer")
