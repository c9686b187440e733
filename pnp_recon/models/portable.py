"""A denoiser for other programs: ONNX, or a program of `torch.export`; compared before it is kept.

Pictures (1, C, H, W) in [0, 1] and a noise level (1,) go in, a picture comes out, in float32; H and
W may be any, or multiples of what the file says (`sides`). Card, hash and what is proven travel
inside, with the words that the proof is of the weights and not of another program's arithmetic.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pnp_recon import __version__
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.files import atomic_write
from pnp_recon.models.card import Card
from pnp_recon.models.families import FAMILIES
from pnp_recon.models.load import family_of
from pnp_recon.models.store import find_card, read_card

INPUTS, OUTPUT = ("picture", "noise_level"), "denoised"
# Sizes that are compared: the second is odd where the network takes odd sides.
TRACED, OTHER = (24, 32), (37, 46)
# How far another program may be in float32, of pictures in [0, 1].
ROUNDING = 2e-5
PACKAGE_FILE = "facts.json"


class _At(nn.Module):
    """The network with a noise level as a tensor, as both formats want it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor, noise_level: Tensor) -> Tensor:
        found: Tensor = self.network(picture, noise_level)
        return found


def facts(card: Card, sides: int) -> dict[str, str]:
    """What travels inside: strings, by the names that readers find them under.

    Args:
        sides: what H and W must be multiples of.
    """
    certificate = card.certificate
    if FAMILIES[card.family].certified:
        words = (
            f"averaged with the constant {certificate['averagedness']:.12g}, proven for the "
            "weights with this SHA-256 by bounds in float64, for exact arithmetic at every noise "
            "level of the range and every picture size. pnp_recon evaluates the map in float32 and "
            "checks its runs. Another program computes the same map up to its own rounding: it was "
            "compared on two sizes, and no certificate of pnp_recon covers what it computes"
        )
    else:
        words = "no guarantee: nothing is proven of these weights"
    low, high = card.sigma_range or (0.0, 1.0)
    return {
        "pnp_recon.version": __version__,
        "pnp_recon.name": card.name,
        "pnp_recon.weights_sha256": card.sha256,
        "pnp_recon.certificate": words,
        "pnp_recon.sigma_range": f"{low:.9g} {high:.9g}",
        "pnp_recon.sides": f"multiples of {sides}",
        "pnp_recon.card": json.dumps(dict(card.fields)),
    }


def portable_card(name: str) -> Card:
    """The card of a model that can be written for other programs.

    Raises:
        WeightsError: it is missing or damaged.
        InputError: it is no denoiser; the message says why it stays here.
    """
    card = read_card(find_card(name), None)
    kind = FAMILIES[card.family].kind
    why = {
        "energy": "an energy is descended by its gradient, with a search for every step",
        "network": "a network that reconstructs holds the operator of its scan",
    }
    if kind in why:
        raise InputError(f"{card.name} cannot be exported: {why[kind]}; only denoisers can")
    return card


def write_onnx(card: Card, path: Path) -> float:
    """Writes ONNX and returns the largest difference that onnxruntime showed on two sizes.

    Any sides will do, but for a group's network, which averages over the paddings of odd ones.

    Raises:
        InputError: the extra `onnx` is not installed.
        WeightsError: onnxruntime computes something else; nothing is written.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  what torch.onnx writes with
    except ImportError as error:
        raise InputError(f"{error.name} is not installed; pip install 'pnp-recon[onnx]'") from error
    network = _network(card)
    sides = 1 if card.config.get("group", "C1") == "C1" else _alignment(network)
    with _quiet():
        program = torch.onnx.export(
            _At(network).eval(), _example(network, TRACED), dynamo=True,
            dynamic_shapes=_shapes(sides), input_names=INPUTS, output_names=[OUTPUT],
            verbose=False,
        )  # fmt: skip
        assert program is not None
        proto = program.model_proto
    for key, value in facts(card, sides).items():
        proto.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(proto)
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(picture: Tensor, level: Tensor) -> Tensor:
        given = dict(zip(INPUTS, (picture.numpy(), level.numpy()), strict=True))
        return torch.from_numpy(np.asarray(session.run(None, given)[0]))

    worst = _compared(card, network, run, "onnxruntime", sides)
    atomic_write(path, content)
    return worst


def write_program(card: Card, path: Path) -> float:
    """Writes `torch.export`'s .pt2 and returns the largest difference of the reloaded program.

    Sides are multiples of the network's alignment: a program holds no branch for odd ones.

    Raises:
        WeightsError: it computes something else; nothing is written.
    """
    network = _network(card)
    sides, held = _alignment(network), io.BytesIO()
    with _quiet():
        program = torch.export.export(
            _At(network).eval(),
            _example(network, TRACED),
            dynamic_shapes=_shapes(sides),
            strict=False,
        )
        told = {PACKAGE_FILE: json.dumps(facts(card, sides))}
        torch.export.save(program, held, extra_files=told)
        content = held.getvalue()
        reloaded = torch.export.load(io.BytesIO(content)).module()
    worst = _compared(card, network, reloaded, "the reloaded program", sides)
    atomic_write(path, content)
    return worst


def _network(card: Card) -> nn.Module:
    network: nn.Module = family_of(card).load(card).eval()
    return network.requires_grad_(False)


def _alignment(network: nn.Module) -> int:
    return int(getattr(network, "alignment", 1))


def _example(network: nn.Module, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    config: Any = network.config
    seeded = torch.Generator().manual_seed(size[0])
    return torch.rand(1, config.channels, *size, generator=seeded), torch.full((1,), 0.1)


def _shapes(sides: int) -> Any:
    """H and W are free, or so many times what is free."""
    if sides == 1:
        free = torch.export.Dim.AUTO
        return ({2: free, 3: free}, None)
    parts = [torch.export.Dim(name, min=2) for name in ("rows", "columns")]
    return ({2: sides * parts[0], 3: sides * parts[1]}, None)


def _compared(
    card: Card,
    network: nn.Module,
    run: Callable[[Tensor, Tensor], Tensor],
    what: str,
    sides: int,
) -> float:
    """The largest difference on two sizes.

    Raises:
        WeightsError: it is more than rounding.
    """
    worst = 0.0
    for height, width in (TRACED, OTHER):
        size = (height // sides * sides, width // sides * sides)
        picture, level = _example(network, size)
        with torch.no_grad():
            gap = float((run(picture, level) - network(picture, level)).abs().max())
        if not gap <= ROUNDING:
            raise WeightsError(
                f"{what} is {gap:.1e} off {card.name} on a picture of {size[1]}×{size[0]}, more "
                "than rounding; nothing was written"
            )
        worst = max(worst, gap)
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn of their own parts, and speak through their loggers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
