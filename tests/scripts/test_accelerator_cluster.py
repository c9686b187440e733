"""A cluster with one GPU a worker, with workers on the CPU in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from scripts.accelerator import cluster
from support.ct_files import save_counts

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")


@pytest.mark.slow
def test_every_worker_sees_its_own_gpu_and_results_are_those_of_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import Client

    with cluster.one_gpu_a_worker(2, False, tmp_path) as (address, made_by):
        assert made_by == "workers with CUDA_VISIBLE_DEVICES"
        with Client(address) as client:
            found = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
    assert sorted(found.values()) == ["0", "1"]
    scan = save_counts(tmp_path / "s.h5", 3)
    options = ["--data", str(SAMPLES), "--scan", str(scan), "--slices", "0:2", "--workers", "2"]
    assert cluster.main([str(tmp_path / "out"), *options]) == 0
    said = capsys.readouterr().out
    assert "the results are the same" in said
    assert ("LocalCUDACluster" if torch.cuda.is_available() else "2 workers") in said


def test_other_results_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __enter__(self) -> tuple[str, str]:
            return "tcp://nowhere", "nobody"

        def __exit__(self, *_: object) -> None: ...

    rows = iter([[["a", 30.0]], [["a", 30.1]]])
    monkeypatch.setattr(cluster, "one_gpu_a_worker", lambda *_: Fake())
    monkeypatch.setattr(cluster, "benchmarked", lambda *_: (1.0, next(rows)))
    assert cluster.main([str(tmp_path), "--data", str(SAMPLES)]) == 1
