"""What is known of memory, and who is told what is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from operators import _memory
from operators.progress import listening, tell
from pnp_recon.priors.tiling import tiled


def group(folder: Path, limit: str, used: int, cached: int = 0) -> tuple[str, str]:
    folder.mkdir()
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(used))
    (folder / "memory.stat").write_text(f"anon 5\nactive_file {cached}\ninactive_file {cached}\n")
    return str(folder / "memory.max"), str(folder / "memory.current")


def test_a_container_leaves_less_than_its_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_memory, "GROUP_FILES", (group(tmp_path / "a", "1000\n", 700, 50),))
    assert _memory.available_bytes() == 400  # what is cached of files can be given back
    monkeypatch.setattr(_memory, "GROUP_FILES", (group(tmp_path / "b", "100", 700),))
    assert _memory.available_bytes() == 0


def test_no_limit_is_the_memory_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (str(tmp_path / "none"), str(tmp_path / "none")), group(tmp_path / "a", "max", 1)
    monkeypatch.setattr(_memory, "GROUP_FILES", found)
    assert _memory.available_bytes() > 1 << 24


def test_a_listener_hears_of_tiles_and_only_while_it_listens() -> None:
    heard: list[str] = []
    x = torch.rand(1, 1, 20, 30)
    with listening(heard.append):
        tiled(lambda window, _: window, x, 0.1, tile=16, halo=2)
    tell("nobody")
    assert heard == [f"denoiser, tile {number} of 4" for number in (1, 2, 3, 4)]
