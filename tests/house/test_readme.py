"""The Python examples of the README and of docs/python.md, which goes on, run as printed."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "python.md")


def blocks() -> list[str]:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    return re.findall(r"```python\n(.*?)```", text, flags=re.S)


@pytest.mark.slow
def test_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    first, convex, brought, second, own, layers = blocks()
    names: dict[str, object] = {}
    exec(first, names)
    printed = capsys.readouterr().out
    assert printed.startswith("CONVERGED")
    assert "certified" in printed
    assert "BROKEN" not in printed
    exec(convex, names)
    assert capsys.readouterr().out.startswith("pdhg certified: PDHG")
    exec(brought, names)
    printed = capsys.readouterr().out
    assert printed.startswith("Collatz–Wielandt")
    assert printed.split()[-2].startswith("1.0")
    assert printed.endswith("declaration\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deepinv's own, at import
        import deepinv  # noqa: F401
    exec(second, names)
    printed = capsys.readouterr().out
    assert printed.startswith("no guarantee")
    assert printed.endswith("torch.Size([1, 3, 128, 128])\n")
    exec(own, names)
    printed = capsys.readouterr().out
    assert printed.startswith("certified if; A_adjoint of 'flip' is the transpose")
    assert "denoiser mine has the constant" in printed
    exec(layers, names)
    printed = capsys.readouterr().out
    assert max(float(line.split()[3]) for line in printed.splitlines()[1:-1]) < 1e-10
    assert printed.splitlines()[-1].startswith("Conv2d(1, 32,")
