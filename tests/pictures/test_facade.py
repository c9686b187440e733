"""What a user imports from `pnp_recon.pictures`: each name resolves, when it is first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pnp_recon import pictures


def loads_torch(statement: str) -> bool:
    code = f"import sys\n{statement}\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def test_every_name_resolves() -> None:
    assert set(pictures._HOMES) == set(pictures.__all__)
    for name in pictures.__all__:
        assert getattr(pictures, name).__name__ == name
    with pytest.raises(AttributeError, match="read_everything"):
        _ = pictures.read_everything


def test_torch_is_loaded_by_the_first_use_alone() -> None:
    assert not loads_torch("import pnp_recon.pictures")
    assert loads_torch("from pnp_recon.pictures import read_picture")
