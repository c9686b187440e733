"""Equivariant layers beside ordinary ones: the group C1, what is exported, what is measured."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from laws.equivariance import (
    EXACT,
    convolution,
    fields,
    network,
    representation,
    tied,
    worst_defect,
)
from laws.networks import random_tensor
from pnp_recon.networks.equivariant import (
    EquivarianceReport,
    FieldDropout,
    Fields,
    Group,
    GroupConv,
    NormActivation,
    Pointwise,
    TiedVector,
    check_equivariance,
    export,
    harmonics,
    regulars,
    scalars,
    tie,
    turn,
)
from pnp_recon.networks.equivariant.checks import (
    DISC,
    GRID,
    Scene,
    interpolated,
    plane,
    radii,
)
from pnp_recon.networks.equivariant.groups import Element

# ---- the ordinary convolution is the group of one element --------------------------------------


def test_c1_is_the_ordinary_convolution() -> None:
    plain = nn.Conv2d(3, 5, 3, padding=1).double()
    group = Group.named("C1")
    tied = GroupConv(scalars(group, 3), regulars(group, 5), 3).double()
    assert plain.bias is not None
    tied.weight, tied.bias = plain.weight.detach(), plain.bias.detach()
    x = random_tensor(2, 3, 6, 7)
    torch.testing.assert_close(tied(x), plain(x), rtol=1e-13, atol=1e-13)
    assert _count(tied) == _count(plain)
    assert {p.numel() for p in tied.parameters()} == {p.numel() for p in plain.parameters()}


@pytest.mark.parametrize(("name", "parts"), [("C1", 1), ("C2", 2), ("C4", 4), ("D4", 8)])
@pytest.mark.parametrize("size", [3, 5])
def test_a_share_of_the_parameters(name: str, parts: int, size: int) -> None:
    wide = regulars(Group.named(name), 16 // parts)
    tied, plain = GroupConv(wide, wide, size), nn.Conv2d(16, 16, size, padding=size // 2)
    assert parts * _count(tied) == _count(plain) == 16 * 16 * size**2 + 16


@pytest.mark.parametrize("name", ["C1", "C4", "D4", "C8"])
@pytest.mark.parametrize("kind", ["regular", "irreducible"])
def test_starts_as_wide_as_the_ordinary_convolution(name: str, kind: str) -> None:
    group = Group.named(name)
    wide = Fields(representation(group, kind), 32 // representation(group, kind).dimension)
    layer = GroupConv(wide, wide, 5)
    plain = nn.Conv2d(wide.channels, wide.channels, 5)
    ours, theirs = layer.weight.detach(), plain.weight.detach()
    assert float(ours.std() / theirs.std()) == pytest.approx(1, rel=0.05)
    if name == "C1":
        assert float(ours.abs().max() / theirs.abs().max()) == pytest.approx(1, rel=0.01)
    assert layer.bias is not None
    assert float(layer.bias.detach().abs().max()) <= 1 / math.sqrt(25 * wide.channels)


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# ---- export ------------------------------------------------------------------------------------


class Net(nn.Module):
    """Layers in lists, one used twice and under two names, a tied parameter that is no filter."""

    def __init__(self, group: str, ordinary: bool = False) -> None:
        super().__init__()
        wide = regulars(Group.named(group), 8 // Group.named(group).order)
        one = scalars(wide.group, 1)

        def layer(source: Fields, target: Fields, bias: bool = True) -> nn.Module:
            if ordinary:
                return nn.Conv2d(source.channels, target.channels, 3, padding=1, bias=bias)
            return GroupConv(source, target, 3, bias=bias)

        act = nn.ReLU() if ordinary else Pointwise(wide, nn.ReLU())
        self.first = nn.Sequential(layer(one, wide), act)
        self.middle = nn.ModuleList([layer(wide, wide)] * 2)
        self.again = self.middle[0]
        self.last = layer(wide, one, bias=False)
        self.threshold = nn.Parameter(torch.linspace(0.1, 0.2, 8))
        if not ordinary:
            tie(self, "threshold", TiedVector(wide))

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x)
        for layer in [*self.middle, self.again]:
            z = (layer(z) - self.threshold[:, None, None]).relu()
        return self.last(z)


@pytest.mark.parametrize("name", ["C1", "C4", "D4", "C8"])
def test_export_is_the_same_map_in_plain_layers(name: str) -> None:
    net, twin = Net(name).double().eval(), Net(name, ordinary=True).double()
    x = random_tensor(2, 1, 7, 8)
    before, drawn = net(x), torch.get_rng_state()
    plain = export(net)
    assert torch.equal(drawn, torch.get_rng_state())
    assert isinstance(plain, Net)
    assert float((plain(x) - before).detach().abs().max()) <= 1e-12
    assert not tied(plain)
    # No slower than the ordinary twin: it is made of the same modules, and the twin takes it.
    assert _types(plain) == _types(twin)
    twin.load_state_dict(plain.state_dict(), strict=True)
    torch.testing.assert_close(twin(x), before)
    assert plain.middle[0] is plain.middle[1] is plain.again
    assert not plain.training
    assert not plain.last.training
    # The original is as it was, and shares nothing with the copy.
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
    assert tied(net)
    assert torch.equal(net(x), before)
    assert _types(net) != _types(twin)


def test_export_keeps_precision_and_what_is_learned() -> None:
    net = Net("C4").to(torch.bfloat16)
    net.last.requires_grad_(False)
    net(torch.ones(1, 1, 4, 4).bfloat16()).sum().backward()
    plain = export(net)
    frozen = [name for name, p in plain.named_parameters() if not p.requires_grad]
    assert frozen == ["last.weight"]
    for name, parameter in plain.named_parameters():
        assert parameter.dtype == torch.bfloat16, name
        assert parameter.grad is None
    plain(torch.ones(1, 1, 4, 4).bfloat16()).sum().backward()


def test_export_of_single_layers() -> None:
    layer = convolution("D4", "trivial", "regular")
    x = random_tensor(1, layer.in_channels, 5, 5)
    for plain in (layer.export(), export(layer), export(export(layer))):
        assert type(plain) is nn.Conv2d
        assert torch.equal(plain(x), layer(x))
    assert type(export(Pointwise(layer.target, nn.ELU()))) is nn.ELU
    assert type(export(Pointwise(layer.target, torch.relu))) is Pointwise
    # What is trained on after the export is tied no longer.
    with torch.no_grad():
        plain.weight[0, 0, 0, 0] += 1e-6
    assert worst_defect(layer, layer.source, layer.target) < EXACT
    assert worst_defect(plain, layer.source, layer.target) > 100 * EXACT


def _types(module: nn.Module) -> list[type]:
    return [type(part) for part in module.modules()]


# ---- the public check --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["C1", "C2", "C4", "D2", "D4", "C8", "C3"])
def test_layers_check_themselves(name: str) -> None:
    wide, turning = regulars(Group.named(name), 2), fields(name, "irreducible", 1)
    layers = [
        GroupConv(wide, turning, 3),  # in float32, checked in float64
        Pointwise(wide, nn.ReLU()),
        NormActivation(turning),
        FieldDropout(regulars(wide.group, 8)).train(),
    ]
    for layer in layers:
        report = layer.check_equivariance(sizes=((8, 8), (9, 9), (6, 9)))
        assert report.worst_exact == report.worst < EXACT
        assert all(row.exact and row.floor == 0 for row in report.rows)
        turns = {"C1": 1, "C3": 1, "C2": 2, "D2": 2}.get(name, 4)
        grids = 3 * turns if turns < 4 else 10  # oblong grids are turned by 180° alone
        assert len(report.rows) == grids * (2 if name.startswith("D") else 1)
    assert next(layers[0].parameters()).dtype == torch.float32
    assert len(layers[0].check_equivariance([0], False).rows) == 3


def test_networks_are_checked_between_pictures() -> None:
    small = {"sizes": ((16, 16), (17, 17), (16, 11))}
    upright = check_equivariance(network("C4"), 1, 1, **small)  # type: ignore[arg-type]
    assert upright.worst_exact < EXACT
    both = check_equivariance(network("D4"), 1, 1, reflections=True, **small)  # type: ignore[arg-type]
    assert both.worst_exact < EXACT
    assert len(both.rows) == 2 * len(upright.rows) == 20
    # The law can fail: C4 knows no flips, C2 no quarter turns, ordinary layers neither.
    flipped = check_equivariance(network("C4"), 1, 1, reflections=True, **small)  # type: ignore[arg-type]
    assert all((row.error < EXACT) != row.reflection for row in flipped.rows)
    half = check_equivariance(network("C2"), 1, 1, **small)  # type: ignore[arg-type]
    assert all((row.error < EXACT) == (row.angle % 180 == 0) for row in half.rows)
    assert check_equivariance(network("C1"), 1, 1, **small).worst_exact > 0.1  # type: ignore[arg-type]


def test_the_report_is_a_table() -> None:
    report = check_equivariance(
        network("C4", width=2), 1, 1, angles=(90, 30), sizes=((24, 24), (25, 25))
    )
    lines = str(report).splitlines()
    assert len(lines) == 1 + len(report.rows) == 5
    assert lines[0].split() == ["angle", "flip", "size", "error", "floor"]
    assert lines[1].split()[:3] == ["90", "no", "24x24"]
    assert lines[1].split()[4] == "exact"
    assert report.worst_exact < EXACT < 1e-3 < report.worst
    assert EquivarianceReport(report.rows[2:]).worst_exact == 0


def test_turned_pictures_agree_with_the_turned_grid() -> None:
    draws = torch.Generator().manual_seed(0)
    scene, size = Scene.draw(3, 21, draws), 21
    x, disc = scene.picture(size), radii(size) < DISC
    for quarter, flip in ((1, 0), (2, 0), (3, 1), (0, 1)):
        matrix, wanted = plane(90 * quarter, bool(flip)), turn(x, GRID, Element(quarter, flip))
        torch.testing.assert_close(scene.picture(size, matrix), wanted)
        torch.testing.assert_close(interpolated(x, matrix)[..., disc], wanted[..., disc])
    # Twice 45° is 90°, to the accuracy of the interpolation; the other way round is not.
    large = scene.picture(49)
    for sign, close in ((1, True), (-1, False)):
        twice = interpolated(interpolated(large, plane(45, False)), plane(45 * sign, False))
        gap = (twice - large.rot90(1, (-2, -1)))[..., radii(49) < DISC].norm() / large.norm()
        assert (float(gap) < 1e-3) == close


def test_a_round_blur_turns_by_any_angle_and_a_motion_blur_does_not() -> None:
    """What is measured between the grid's angles is the map, not the measurement."""
    steps = torch.arange(-6, 7, dtype=torch.float64)
    bell = torch.exp(-(steps**2) / 8)
    for kernel, limit in ((bell[:, None] * bell, (0, 1e-3)), (torch.diag(bell), (0.1, 2))):
        filters = (kernel / kernel.sum())[None, None]

        def blur(x: Tensor, filters: Tensor = filters) -> Tensor:
            return nn.functional.conv2d(x, filters, padding=6)

        report = check_equivariance(blur, 1, 1, angles=(20, 45, 300), reflections=True)
        assert all(limit[0] <= row.error <= limit[1] for row in report.rows)
        assert max(row.floor for row in report.rows) < 1e-3


@pytest.mark.parametrize("size", [5, 7])
def test_45_degrees_are_close_for_c8_and_far_for_ordinary_filters(size: int) -> None:
    group = Group.named("C8")
    picture, wide, vectors = scalars(group, 1), regulars(group, 3), harmonics(group, 2, 4)
    grids = ((32, 32), (33, 33))
    for source, target in ((picture, wide), (wide, wide), (picture, vectors), (vectors, wide)):
        layer = GroupConv(source, target, size)
        measured = layer.check_equivariance([45], sizes=grids)
        plain = nn.Conv2d(source.channels, target.channels, size, padding=size // 2)
        ordinary = check_equivariance(plain, source, target, angles=[45], sizes=grids)
        assert measured.worst < 0.05 * min(row.error for row in ordinary.rows)
        assert measured.rows[0].floor < 0.5 * measured.rows[0].error


def test_the_check_leaves_everything_alone() -> None:
    layer = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5)).train()
    before, drawn = copy.deepcopy(layer.state_dict()), torch.get_rng_state()
    check_equivariance(layer, 1, 1, sizes=((6, 6),))
    assert torch.equal(drawn, torch.get_rng_state())
    for key, value in layer.state_dict().items():
        assert torch.equal(value, before[key])


def _checks() -> dict[str, tuple[str, Callable[[], object]]]:
    wide, layer = regulars(Group.named("C4"), 1), convolution("C4", "trivial", "regular")
    return {
        "angle": ("45° is no turn of C4", lambda: layer.check_equivariance([45])),
        "flip": ("no reflections", lambda: layer.check_equivariance(reflections=True)),
        "channels": ("expected 2", lambda: check_equivariance(lambda x: x, 1, 2)),
        "zero": ("nothing to compare", lambda: check_equivariance(torch.zeros_like, 1, 1)),
        "oblong": ("a square one", lambda: check_equivariance(abs, 1, 1, sizes=((4, 5),))),
        "between": ("30° is no turn", lambda: check_equivariance(abs, wide, wide, angles=[30])),
    }


@pytest.mark.parametrize("what", _checks())
def test_what_cannot_be_checked_is_refused(what: str) -> None:
    message, call = _checks()[what]
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_not_a_number_is_an_error_without_end() -> None:
    def broken(x: Tensor) -> Tensor:
        return torch.where(x == x[0, 0, 0, 0], math.nan, x)

    assert check_equivariance(broken, 1, 1, sizes=((4, 4),)).worst == math.inf
