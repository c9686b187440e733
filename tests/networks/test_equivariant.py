"""Every layer × group × field type × grid commutes with the group; broken twins do not."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from laws.equivariance import (
    CONVOLUTIONS,
    EXACT,
    FIELD_TYPES,
    GROUPS,
    NONLINEAR,
    NONLINEARITIES,
    ON_GRID,
    SIZES,
    convolution,
    defect,
    fields,
    fixed_pixels,
    network,
    representation,
    worst_defect,
)
from laws.networks import random_tensor
from pnp_recon.networks.equivariant import (
    FieldDropout,
    FieldNorm,
    Fields,
    Group,
    GroupConv,
    NormActivation,
    Pointwise,
    Representation,
    irreducible,
    regular,
    regulars,
    scalars,
    trivial,
)
from pnp_recon.networks.equivariant.filters import FILTERS

every_size = pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
every_convolution = pytest.mark.parametrize("case", CONVOLUTIONS, ids="-".join)


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("kind", FIELD_TYPES)
def test_the_group_acts(name: str, kind: str) -> None:
    """ρ(g)ρ(h) = ρ(gh), orthogonal; on feature maps, too."""
    source = fields(name, kind)
    rho, group = source.representation, source.group
    for g, h in itertools.product(group.elements, repeat=2):
        torch.testing.assert_close(rho(g) @ rho(h), rho(group.product(g, h)), atol=1e-14, rtol=0)
    eye = torch.eye(rho.dimension, dtype=torch.float64)
    torch.testing.assert_close(rho.matrices @ rho.matrices.mT, eye.expand_as(rho.matrices))
    x = random_tensor(1, source.channels, 4, 5)
    for g, h in itertools.product(group.subgroup_on_grid(), repeat=2):
        twice = source.act(source.act(x, h), g)
        torch.testing.assert_close(twice, source.act(x, group.product(g, h)))


# ---- convolutions ------------------------------------------------------------------------------


@every_convolution
def test_convolution_is_equivariant(case: tuple[str, str, str, str]) -> None:
    layer = convolution(*case)
    assert worst_defect(layer, layer.source, layer.target) < EXACT


@pytest.mark.parametrize("name", [name for name in GROUPS if name not in ("C1", "C3")])
@every_size
def test_a_broken_filter_is_caught(name: str, size: tuple[int, int]) -> None:
    layer = convolution(name, "regular", "regular")
    broken = layer.export()
    assert defect(broken, layer.source, layer.target, size) < EXACT
    with torch.no_grad():
        broken.weight[0, 0, 0, 1] += 1e-6
    assert defect(broken, layer.source, layer.target, size) > 100 * EXACT
    # An ordinary convolution is none by a long way.
    plain = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1).double()
    assert defect(plain, layer.source, layer.target, size) > 0.1


@pytest.mark.parametrize("name", ["C4", "D4", "C8"])
def test_a_bias_for_each_channel_is_caught(name: str) -> None:
    layer = convolution(name, "trivial", "regular")
    broken = layer.export()
    assert broken.bias is not None
    with torch.no_grad():
        broken.bias[0] += 1e-6
    assert worst_defect(broken, layer.source, layer.target) > 100 * EXACT


@pytest.mark.parametrize("name", GROUPS)
def test_network_is_equivariant(name: str) -> None:
    """Lifting, group to group, projection."""
    net, picture = network(name), scalars(Group.named(name), 1)
    assert worst_defect(net, picture, picture) < EXACT
    if name not in ("C1", "C3"):
        net[0] = nn.Conv2d(1, net[2].in_channels, 3, padding=1).double()
        assert worst_defect(net, picture, picture) > 0.01


@every_convolution
def test_as_many_filters_as_the_characters_count(case: tuple[str, str, str, str]) -> None:
    """dim = mean over g of tr ρ_out(g) · tr ρ_in(g) · tr of g on the filter space."""
    name, inner, outer, filters = case
    group = Group.named(name)
    source, target = representation(group, inner), representation(group, outer)
    if filters == "pixel":
        on_filters = torch.tensor(fixed_pixels(group, 3)).double()
    else:
        on_filters = sum(_traces(block.matrices) for block in FILTERS[filters](group, 3))
    wanted = float((_traces(source.matrices) * _traces(target.matrices) * on_filters).mean())
    basis = convolution(*case).parametrizations.weight[0].basis
    assert len(basis) == round(wanted) == pytest.approx(wanted, abs=1e-9)
    assert int(torch.linalg.matrix_rank(basis.flatten(1))) == len(basis)


def _traces(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=1, dim2=2).sum(1)


@every_convolution
def test_right_inverse_gives_the_weights_back(case: tuple[str, str, str, str]) -> None:
    layer = convolution(*case)
    chains = layer.parametrizations.items()
    for _, chain in chains:
        torch.testing.assert_close(chain[0].right_inverse(chain()), chain.original)
    assert len(chains) == (1 if layer.bias is None else 2)
    # Filters that are not tied come back as the closest tied ones: a projection.
    chain = layer.parametrizations.weight
    free = torch.randn_like(layer.weight)
    near = chain[0](chain[0].right_inverse(free))
    assert abs(float(((free - near) * near).sum())) < 1e-9 * float(free.square().sum())
    if case != ("C1", "trivial", "trivial", "pixel"):
        assert case[0] == "C1" or float((free - near).norm()) > 1e-3


@pytest.mark.parametrize("name", ["C1", "C2", "C4", "D4", "C8"])
def test_gradients_of_the_convolution(name: str) -> None:
    layer = convolution(name, "trivial", "regular")
    start = {key: value.detach().requires_grad_() for key, value in layer.named_parameters()}

    def apply(x: Tensor, *values: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(start, values, strict=True)), (x,))

    x = random_tensor(1, layer.in_channels, 3, 4).requires_grad_()
    assert len(start) == 2
    assert torch.autograd.gradcheck(apply, (x, *start.values()))


# ---- nonlinearities, dropout, normalisation ----------------------------------------------------


@pytest.mark.parametrize(("name", "kind", "layer"), NONLINEAR)
def test_nonlinearity_is_equivariant(name: str, kind: str, layer: str) -> None:
    between = fields(name, kind)
    assert worst_defect(NONLINEARITIES[layer][0](between), between, between) < EXACT


class _Entrywise(nn.Module):
    """The broken twins: as the layer of that name, but channel by channel or pixel by pixel."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.linspace(0.5, 1, x.shape[1], dtype=x.dtype)[:, None, None]
        if self.name in ("relu", "exp"):
            return x.relu() if self.name == "relu" else x.exp()
        if self.name == "norm-activation":
            return x * (1 - 0.3 * scale / (x.abs() + 0.1)).relu()
        if self.name == "field-dropout":
            return nn.functional.dropout(x, 0.4)
        return nn.functional.instance_norm(x) * scale


@pytest.mark.parametrize("name", ["C4", "D4", "C8"])
@pytest.mark.parametrize("layer", NONLINEARITIES)
def test_entrywise_twins_are_caught(name: str, layer: str) -> None:
    between = fields(name, "irreducible")
    assert worst_defect(_Entrywise(layer), between, between) > 1e-2


@pytest.mark.parametrize("kind", ["trivial", "irreducible"])
def test_gradients_of_the_norm_activation(kind: str) -> None:
    between = fields("D4", kind, 1)
    layer = NormActivation(between).double()
    bias = torch.tensor([[-0.4, 0.3, -0.1, 0.2][: layer.bias.numel()]]).double().requires_grad_()
    x = random_tensor(2, between.channels, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, b: functional_call(layer, {"bias": b}, (x,)), (x, bias)
    )
    # At zero, where v/|v| has no derivative.
    zero = torch.zeros_like(x).requires_grad_()
    grown = functional_call(layer, {"bias": bias.abs()}, (zero,))
    (gradient,) = torch.autograd.grad(grown.sum(), zero)
    assert bool((grown == 0).all())
    assert bool(gradient.isfinite().all())


def test_norm_activation_shortens_vectors_by_the_threshold() -> None:
    layer = NormActivation(Fields(irreducible(Group.named("C8"), 1), 1)).double()
    x = torch.tensor([3.0, 4.0]).double().reshape(1, 2, 1, 1)
    torch.testing.assert_close(layer(x), x)
    with torch.no_grad():
        layer.bias.fill_(-1.0)
        torch.testing.assert_close(layer(x), 0.8 * x, rtol=1e-6, atol=0)
        layer.bias.fill_(-6.0)
        assert float(layer(x).norm()) == 0


def test_dropout_drops_fields_and_keeps_the_mean() -> None:
    between = regulars(Group.named("C4"), 400)
    layer, x = FieldDropout(between, 0.25).train(), torch.ones(5, 1600, 2, 3)
    y = layer(x).reshape(5, 400, -1)
    assert bool((y == y[..., :1]).all())
    assert sorted(y.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert float(y.mean()) == pytest.approx(1, abs=0.03)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_norm_takes_the_magnitude_away(dtype: torch.dtype) -> None:
    between = regulars(Group.named("C4"), 3)
    layer = FieldNorm(between)
    x = (300 * random_tensor(1, 12, 8, 8)).to(dtype)  # squares beyond the range of half precision
    for y in (layer.train()(x), layer.eval()(x)):
        assert y.dtype == dtype
        squares = y.double().reshape(3, -1).square().mean(1)
        torch.testing.assert_close(squares, torch.ones(3).double(), rtol=1e-2, atol=0)
    assert bool(layer(torch.zeros_like(x)).isfinite().all())


# ---- what is refused ---------------------------------------------------------------------------


def _refusals() -> dict[str, tuple[str, Callable[[], object]]]:
    c4, c8, d4 = (Group.named(name) for name in ("C4", "C8", "D4"))
    one, wide, other = scalars(c4, 1), regulars(c4, 2), regulars(d4, 1)
    turning, odd = fields("C4", "irreducible"), Fields(irreducible(d4, 0, -1), 1)
    halves = Fields(Representation(c4, "halves", regular(c4).matrices, (2, 2)), 1)
    eight, eighth, x = scalars(c8, 3), c8.elements[1], torch.zeros(1, 3, 2, 2)
    return {
        "even size": ("odd, found 4", lambda: GroupConv(one, wide, 4)),
        "pixels": ("harmonic", lambda: GroupConv(eight, eight, 3, filters="pixel")),
        "two groups": ("C4 and D4", lambda: GroupConv(one, other, 3)),
        "filters": ("known: pixel", lambda: GroupConv(one, wide, 3, filters="square")),
        "no filter": ("no equivariant filter", lambda: GroupConv(scalars(d4, 1), odd, 3)),
        "name": ("C or D and a number", lambda: Group.named("O2")),
        "order": ("C or D and a number", lambda: Group.named("C0")),
        "frequency": ("no irreducible", lambda: irreducible(c4, 3)),
        "count": ("at least one field", lambda: scalars(c4, 0)),
        "pointwise": ("take NormActivation", lambda: Pointwise(turning, torch.relu)),
        "a row each": ("must share", lambda: Pointwise(wide, nn.PReLU(8))),
        "blocks": ("mixes the blocks", lambda: NormActivation(halves)),
        "split": ("take irreducible", lambda: NormActivation(wide)),
        "probability": ("0 <= p < 1", lambda: FieldDropout(wide, 1.0)),
        "channels": ("expected 8", lambda: wide.act(x, c4.elements[1])),
        "off the grid": ("pixel grid", lambda: eight.act(x, eighth)),
    }


@pytest.mark.parametrize("what", _refusals())
def test_what_cannot_be_is_refused(what: str) -> None:
    message, call = _refusals()[what]
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_close_to_the_refused_is_taken() -> None:
    c4 = Group.named("C4")
    Pointwise(scalars(c4, 8), nn.PReLU(8))  # each channel a field of its own
    Pointwise(regulars(c4, 2), nn.PReLU())
    NormActivation(Fields(trivial(Group.named("C1")), 2))
    for name in ON_GRID:
        assert Group.named(name).on_grid
