"""A device for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch

from support.standin import standin


@pytest.fixture
def gpu() -> Iterator[str]:
    """The GPU, or its stand-in where none is here."""
    with nullcontext() if torch.cuda.is_available() else standin():
        yield "cuda"
