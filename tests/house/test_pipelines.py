"""The examples of docs/pipelines.md run as printed, one after the other."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"


@pytest.mark.slow
def test_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    codes = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert len(codes) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deepinv's own, at import
        import deepinv  # noqa: F401
    torch.manual_seed(0)
    names: dict[str, object] = {}
    for code in codes:
        (wanted,) = re.findall(r"print\(.*\)  # (.+)$", code, flags=re.M)
        exec(code, names)
        assert capsys.readouterr().out.strip() == wanted
