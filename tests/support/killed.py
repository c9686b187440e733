"""A training run that is killed in the middle, on a machine of whatever speed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# It stalls by itself some steps after its first checkpoint: it can neither end before it is killed
# nor save again, however late the kill comes.
STALLING = """
import sys, time
from pnp_recon.cli.train import main
from pnp_recon.training.trainer import Trainer

step = Trainer.train_step

def train_step(self):
    if self.checkpoint.exists() and self.step % 8 == 3:
        time.sleep(3600)
    return step(self)

Trainer.train_step = train_step
sys.exit(main(sys.argv[1:]))
"""


def killed_training(arguments: Sequence[str], folder: Path) -> None:
    """Runs `pnp-train` and kills it, without a chance to save, once it has saved into `folder`."""
    victim = subprocess.Popen(
        [sys.executable, "-c", STALLING, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    while not (folder / "checkpoint.pt").exists():
        assert victim.poll() is None, victim.communicate()
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
