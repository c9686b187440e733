"""Does a model's card say the truth? Everything recomputed from the weights, and attacked.

The proof: float64 bounds of every layer, the averagedness of every block and of the network,
compared with the card. The attack: gradient ascent on the difference quotients, which must stay
below what is certified; their ratio says how loose the certificate is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pnp_recon.models.weights import load_network, load_uncertified, network_class, parameter_counts
from pnp_recon.networks.blocks import EulerBlock
from pnp_recon.networks.constraints import conv_norm_bound, power_step
from pnp_recon.networks.dncnn import NO_GUARANTEE
from pnp_recon.networks.euler import EulerNet
from pnp_recon.priors.attack import attained_ratio

# Relative difference between card and recomputation that rounding may cause (eigenvalue solvers
# of other machines); a real difference is far above it.
AGREEMENT = 1e-6
# The margin that `EulerBlock.certify` adds to the proven bound.
CERTIFY_MARGIN = 1e-6
# Relative excess over a certified constant that float64 rounding may feign in an attack.
ATTACK_ROUNDING = 1e-9
# Sizes of the attacked pictures: one even, one that the lifting has to pad.
ATTACK_SIZES = ((24, 24), (17, 31))
POWER_SIDE, POWER_STEPS = 32, 60


@dataclass(frozen=True)
class Row:
    """One checked constant.

    Attributes:
        what: the constant.
        card: as the card states it, None where it states nothing.
        proven: recomputed in float64 from the weights.
        attained: the largest value that an attack found, a lower bound.
        problem: what is wrong, empty where all agrees.
    """

    what: str
    card: float | None
    proven: float
    attained: float | None
    problem: str

    @property
    def looseness(self) -> float | None:
        """Certified over attained, at least 1."""
        return self.proven / self.attained if self.attained else None


@dataclass(frozen=True)
class ModelCheck:
    """What `check_model` found. `problems` is empty for a true card."""

    name: str
    rows: list[Row]
    problems: list[str]


def check_model(name: str, attack_steps: int = 30) -> ModelCheck:
    """Recomputes the certificate of a model by name or path, compares, and attacks it.

    Args:
        name: as for `weights.load_denoiser`; the weights' SHA-256 must be the card's.
        attack_steps: steps of gradient ascent from each start; 0: no attack.

    Raises:
        WeightsError: the model is missing or damaged.
    """
    network, card = load_network(name)
    network = network.double()
    claimed = card["certificate"]
    bounds, alphas = _list(claimed, "layer_norm_bounds"), _list(claimed, "block_averagedness")
    blocks = network.euler_blocks()
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
        alpha = float(guarantee.averagedness or 1.0)
        low, high = (level / 255 for level in card["sigma_range_255"])
        quotient, reflected = (
            _attack(network, alpha, (low, high), attack_steps) if attack_steps else (None, None)
        )
        rows.append(_row("network, α", _number(claimed, "averagedness"), alpha, None))
        constant = float(guarantee.lipschitz or 1.0)
        claim = _number(claimed, "lipschitz")
        rows.append(_row("network, Lipschitz", claim, constant, quotient))
        # N is α-averaged exactly if R = (N − (1−α)I)/α is 1-Lipschitz.
        rows.append(_row("(N−(1−α)I)/α, Lipschitz", 1.0, 1.0, reflected))
    for key, count in parameter_counts(EulerNet(network.config)).items():
        if card.get(key, count) != count:
            problems.append(f"{key}: {card[key]} in the card, {count} in the weights")
    problems += [f"{row.what}: {row.problem}" for row in rows if row.problem]
    return ModelCheck(card["name"], rows, problems)


@dataclass(frozen=True)
class UncertifiedCheck:
    """What `check_uncertified` found: lines of text, and `problems`, empty for a true card."""

    name: str
    lines: list[str]
    problems: list[str]


def check_uncertified(name: str, attack_steps: int = 30) -> UncertifiedCheck:
    """Checks the card of a denoiser without a theorem: that it claims none, and its parameters.

    The attack says how far two pictures move apart; above 1 the denoiser is expansive.

    Args:
        name, attack_steps: as for `check_model`.

    Raises:
        WeightsError: the model is missing or damaged.
    """
    network, card = load_uncertified(name)
    problems = []
    claimed = [key for key in ("averagedness", "lipschitz") if card["certificate"].get(key)]
    if claimed:
        problems.append(f"{claimed[0]} is claimed, nothing is proven of a {network_class(card)}")
    count = sum(p.numel() for p in network.parameters())
    if card.get("parameters", count) != count:
        problems.append(f"parameters: {card['parameters']} in the card, {count} in the weights")
    lines = [f"no guarantee: {NO_GUARANTEE}", f"parameters: {count}"]
    if attack_steps:
        network, generator = network.double(), torch.Generator().manual_seed(1)
        shape = (1, network.config.channels, *ATTACK_SIZES[0])
        x = torch.rand(shape, generator=generator, dtype=torch.float64)
        attained = attained_ratio(network, x, attack_steps)
        words = "expansive" if attained > 1 + ATTACK_ROUNDING else "not found expansive"
        lines.append(f"an attack attains a Lipschitz constant of {attained:.4f}: {words}")
    return UncertifiedCheck(card["name"], lines, problems)


def _list(claimed: dict[str, object], key: str) -> list[float]:
    values = claimed.get(key)
    return [float(value) for value in values] if isinstance(values, list) else []


def _number(claimed: dict[str, object], key: str) -> float | None:
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


def _block_rows(
    index: int, block: EulerBlock, bound: float | None, alpha: float | None, attack: bool
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
