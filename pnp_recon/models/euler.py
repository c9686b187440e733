"""Certified denoisers as models: exported once, rescaled and proven; loaded, checked, attacked.

The check: float64 bounds of every layer, the averagedness of every block and of the network,
compared with the card. The attack: gradient ascent on the difference quotients, which must stay
below what is certified; their ratio says how loose the certificate is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.errors import WeightsError
from pnp_recon.guarantees import Guarantee
from pnp_recon.models.card import Card
from pnp_recon.models.family import (
    Certified,
    Check,
    DenoiserFamily,
    Matrix,
    Row,
    levels_255,
)
from pnp_recon.models.pinned import PINNED, mark
from pnp_recon.models.precision import FIELD as DEVIATION
from pnp_recon.models.precision import bf16_deviation
from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.constraints import conv_norm_bound, power_step
from pnp_recon.networks.euler import EulerNet
from pnp_recon.networks.tied_blocks import learned_filters
from pnp_recon.priors.attack import attained_ratio
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.proof import narrow

# Relative difference between card and recomputation that rounding may cause (eigenvalue solvers
# of other machines); a real difference is far above it.
AGREEMENT = 1e-6
# The margin that `FlowBlock.certify` adds to the proven bound.
CERTIFY_MARGIN = 1e-6
# Relative excess over a certified constant that float64 rounding may feign in an attack.
ATTACK_ROUNDING = 1e-9
# Sizes of the attacked pictures: one even, one that the lifting has to pad.
ATTACK_SIZES = ((24, 24), (17, 31))
POWER_SIDE, POWER_STEPS = 32, 60


class EulerFamily(DenoiserFamily[EulerNet]):
    """See `networks.euler`. The constant on the card is proven for the weights of its SHA-256."""

    def build(self, config: Mapping[str, Any]) -> EulerNet:
        return EulerNet(EulerConfig(**config))

    def running(self, network: EulerNet) -> EulerNet:
        """A group's network as its plain twin, whose filters are put together."""
        return network.plain()

    def certify(self, network: EulerNet, name: str, meant_for: tuple[float, float]) -> Certified:
        """Rescales every layer of the network, in place, once by its proven norm bound.

        Raises:
            ValueError: a group's network without its ties (`EulerNet.plain`), which are its
                symmetry; or a weight is not a finite number.
        """
        if not network.tied:
            raise ValueError(
                f"the parameters of this network are no longer tied by {network.group}; export "
                "the network that was trained, not its plain twin"
            )
        network = network.cpu().eval()
        bounds = network.certify()
        running = self.running(network)  # what loading gives: proven is what will run
        guarantee = running.check()
        fields = {
            "network": network.recipe(),
            **parameter_counts(network),
            "sigma_range_255": levels_255(meant_for),
            "certificate": {
                "averagedness": guarantee.averagedness,
                "lipschitz": guarantee.lipschitz,
                "source": guarantee.source,
                "layer_norm_bounds": bounds,
                "block_averagedness": [block.averagedness() for block in running.flow_blocks()],
                "how": "float64 bound of every layer over all picture sizes; norm rescaled by it",
            },
            DEVIATION: bf16_deviation(running, running.config.channels, meant_for),
        }
        # The constant also goes into the hashed file: an edited card is found out on loading.
        proven = {"averagedness": repr(guarantee.averagedness)}
        return Certified(network.state_dict(), fields, proven)

    def compare(self, card: Card, metadata: Mapping[str, str]) -> None:
        stated, exported = card.certificate["averagedness"], metadata.get("averagedness")
        if exported != repr(stated):
            raise WeightsError(
                f"the card of {card.name} certifies α = {stated}, its weights were exported with "
                f"α = {exported}; fetch the card again, or see pnp-train check"
            )
        if (lipschitz := _number(card.certificate, "lipschitz")) != 1:
            raise WeightsError(
                f"the card of {card.name} states the Lipschitz constant {lipschitz}, of averaged "
                "maps it is 1; fetch the card again"
            )

    def guarantee(self, card: Card) -> Guarantee:
        proven = card.certificate
        return guarantees.averaged(proven["averagedness"], proven["source"])

    def declared(self, card: Card) -> Guarantee | None:
        return None

    def prove(self, denoiser: Denoiser, card: Card) -> None:
        """See `DenoiserFamily`; a network that the package vouches for is not proven anew."""
        network = denoiser.function
        assert isinstance(network, EulerNet)
        for block in network.flow_blocks():
            block.certified = True
        if denoiser.precision == "bfloat16" or narrow(denoiser) is not None:
            return  # rounded arithmetic, of which nothing is proven
        stated = _number(card.certificate, "averagedness")
        if mark(card.sha256, EulerConfig(**card.config)) in PINNED:
            constants = _list(card.certificate, "block_averagedness")
            # The whole follows from the blocks by the same arithmetic everywhere, to the last bit.
            if len(constants) == len(network.blocks):
                found = network.combined(constants)
                if found.averagedness == stated:
                    denoiser._vouch(found)
        proven = denoiser.guarantee
        if proven.averagedness is None:
            raise WeightsError(f"the card of {card.name} claims α = {stated}, but {proven}")
        if abs(proven.averagedness / (stated or math.inf) - 1) > AGREEMENT:
            raise WeightsError(
                f"the card of {card.name} claims α = {stated}, its weights prove α = "
                f"{proven.averagedness:.9g}; fetch the card again, or see pnp-train check"
            )

    def verify(self, card: Card, attack_steps: int) -> Check:
        """See `Family`; recomputes the certificate, compares, and attacks it."""
        network = self.load(card).double()
        claimed = card.certificate
        bounds, alphas = _list(claimed, "layer_norm_bounds"), _list(claimed, "block_averagedness")
        blocks = network.flow_blocks()
        rows, problems = [], []
        for key, found in (("layer_norm_bounds", bounds), ("block_averagedness", alphas)):
            if len(found) != len(blocks):
                problems.append(f"{key}: {len(found)} in the card, {len(blocks)} blocks")
        for index, block in enumerate(blocks):
            rows += _block_rows(
                index,
                block,
                bounds[index] if index < len(bounds) else None,
                alphas[index] if index < len(alphas) else None,
                attack_steps > 0,
            )
        try:
            guarantee = network.check()
        except ValueError as error:
            problems.append(f"network: {error}")
        else:
            rows += _network_rows(network, guarantee, card, attack_steps)
        for key, count in parameter_counts(EulerNet(network.config)).items():
            stated = card.fields.get(key, count)
            if stated != count:
                problems.append(f"{key}: {stated} in the card, {count} in the weights")
        problems += [f"{row.what}: {row.problem}" for row in rows if row.problem]
        return Check(card.name, problems, rows=rows)

    def matrices(self, network: nn.Module) -> list[Matrix]:
        blocks = [block for block in network.modules() if isinstance(block, FlowBlock)]
        return [found for block in blocks if (found := learned_filters(block)) is not None]

    def settle(self, network: nn.Module, steps: int = 20) -> None:
        for block in network.modules():
            if isinstance(block, FlowBlock):
                block.settle(steps)

    def calibrate(self, network: nn.Module) -> None:
        for block in network.modules():
            if isinstance(block, FlowBlock):
                block.calibrate()


def parameter_counts(network: EulerNet) -> dict[str, int]:
    """Numbers that are learned and, where a group ties them, how many the ordinary twin has."""
    counts = {"parameters": sum(p.numel() for p in network.parameters())}
    if network.group.order > 1:
        counts["parameters_plain"] = sum(p.numel() for p in network.plain().parameters())
    return counts


def _list(claimed: Mapping[str, object], key: str) -> list[float]:
    values = claimed.get(key)
    return [float(value) for value in values] if isinstance(values, list) else []


def _number(claimed: Mapping[str, object], key: str) -> float | None:
    value = claimed.get(key)
    return float(value) if isinstance(value, int | float) else None


def _row(what: str, card: float | None, proven: float, attained: float | None) -> Row:
    if card is None:
        problem = "the card states nothing"
    elif card < proven * (1 - AGREEMENT):
        problem = f"the card claims {card:.9g}, no more than {proven:.9g} is proven"
    elif card > proven * (1 + AGREEMENT):
        problem = f"the card says {card:.9g}, these weights give {proven:.9g}"
    elif attained is not None and attained > proven * (1 + ATTACK_ROUNDING):
        problem = f"an attack attains {attained:.9g}, certified is {proven:.9g}"
    else:
        problem = ""
    return Row(what, card, proven, attained, problem)


def _network_rows(
    network: EulerNet, guarantee: Guarantee, card: Card, attack_steps: int
) -> list[Row]:
    alpha, constant = float(guarantee.averagedness or 1.0), float(guarantee.lipschitz or 1.0)
    levels = card.sigma_range or (0.0, 1.0)
    quotient, reflected = (
        _attack(network, alpha, levels, attack_steps) if attack_steps else (None, None)
    )
    claimed = card.certificate
    return [
        _row("network, α", _number(claimed, "averagedness"), alpha, None),
        _row("network, Lipschitz", _number(claimed, "lipschitz"), constant, quotient),
        # N is α-averaged exactly if R = (N − (1−α)I)/α is 1-Lipschitz.
        _row("(N−(1−α)I)/α, Lipschitz", 1.0, 1.0, reflected),
    ]


def _block_rows(
    index: int, block: FlowBlock, bound: float | None, alpha: float | None, attack: bool
) -> list[Row]:
    proven = conv_norm_bound(block.weight) * (1 + CERTIFY_MARGIN)
    attained = _attained_norm(block.weight) if attack else None
    rows = [_row(f"block {index}, ‖W‖", bound, proven, attained)]
    try:
        rows.append(_row(f"block {index}, α", alpha, block.averagedness(), None))
    except ValueError as error:
        what = f"block {index}, α"
        rows.append(Row(what, alpha, float("nan"), None, str(error)))
    return rows


@torch.no_grad()
def _attained_norm(weight: Tensor) -> float:
    generator = torch.Generator().manual_seed(0)
    shape = (1, weight.shape[1], POWER_SIDE, POWER_SIDE)
    vector = torch.randn(shape, generator=generator, dtype=weight.dtype)
    vector = vector / vector.norm()
    estimate = torch.zeros(())
    for _ in range(POWER_STEPS):
        estimate, vector = power_step(weight, vector)
    return float(estimate)


def _attack(
    network: EulerNet, alpha: float, levels: tuple[float, float], steps: int
) -> tuple[float, float]:
    """Largest difference quotients found of N and of (N − (1−α)I)/α."""
    generator = torch.Generator().manual_seed(1)
    plain, reflected = 0.0, 0.0
    for size in ATTACK_SIZES:
        shape = (1, network.config.channels, *size)
        x = torch.rand(shape, generator=generator, dtype=torch.float64)
        for level in levels:
            plain = max(plain, attained_ratio(_Level(network, level), x, steps))
            reflection = _Level(network, level, alpha)
            reflected = max(reflected, attained_ratio(reflection, x, steps))
    return plain, reflected


class _Level(nn.Module):
    """x ↦ (N(x, σ) − (1−α)x)/α at one level; α = 1 is the network itself."""

    def __init__(self, network: EulerNet, level: float, alpha: float = 1.0) -> None:
        super().__init__()
        self.network, self.level, self.alpha = network, level, alpha

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x, self.level)
        return (out - (1 - self.alpha) * x) / self.alpha


FAMILY = EulerFamily()
