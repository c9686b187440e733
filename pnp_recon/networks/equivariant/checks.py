"""Do a map and the turns and flips commute? Exactly where the grid allows it, elsewhere measured.

Knows maps of feature maps and the fields that they lead between, nothing of how they are built.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pnp_recon.networks.equivariant.fields import Fields, scalars, turn
from pnp_recon.networks.equivariant.filters import grid_points
from pnp_recon.networks.equivariant.groups import Element, Group

QUARTERS = (0.0, 90.0, 180.0, 270.0)
# An even, an odd and an oblong grid.
SIZES = ((48, 48), (49, 49), (36, 49))
# All turns and flips of the pixel grid: what acts on the pixels, whatever acts on the channels.
GRID = Group(4, reflections=True)
# Other angles are compared on the disc of this share of the inscribed one: what lies outside is
# room for what the map does at the border.
DISC = 0.5


@dataclass(frozen=True)
class EquivarianceRow:
    """One element g on one grid.

    Attributes:
        angle: how far is turned, in degrees counter-clockwise.
        reflection: the rows are flipped before the turn.
        size: (H, W).
        error: ‖f(g·x) − g·f(x)‖ / ‖f(x)‖; inf where it is not a number.
        floor: the same of turning f(x) there and back: what interpolation costs. Zero if exact.
        exact: g maps the pixel grid onto itself: nothing is interpolated.
    """

    angle: float
    reflection: bool
    size: tuple[int, int]
    error: float
    floor: float
    exact: bool

    def __str__(self) -> str:
        flip, size = "yes" if self.reflection else "no", f"{self.size[0]}x{self.size[1]}"
        floor = "exact" if self.exact else f"{self.floor:.1e}"
        return f"{self.angle:6g} {flip:>5} {size:>9} {self.error:9.1e} {floor:>9}"


@dataclass(frozen=True)
class EquivarianceReport:
    """The rows of `check_equivariance`; printed, a table."""

    rows: tuple[EquivarianceRow, ...]

    @property
    def worst(self) -> float:
        """The largest error of all rows; 0 where there are none."""
        return max((row.error for row in self.rows), default=0.0)

    @property
    def worst_exact(self) -> float:
        """The largest error of the turns by 90° and flips; 0 where none was asked for."""
        return max((row.error for row in self.rows if row.exact), default=0.0)

    def __str__(self) -> str:
        head = f"{'angle':>6} {'flip':>5} {'size':>9} {'error':>9} {'floor':>9}"
        return "\n".join([head, *map(str, self.rows)])


def check_equivariance(
    function: Callable[[Tensor], Tensor],
    source: Fields | int,
    target: Fields | int,
    *,
    angles: Sequence[float] = QUARTERS,
    reflections: bool = False,
    sizes: Sequence[tuple[int, int]] = SIZES,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> EquivarianceReport:
    """Measures ‖f(g·x) − g·f(x)‖ / ‖f(x)‖ for turns g, with and without a flip.

    Theorem: a chain of layers that commute with g commutes with g, and the layers of this package
    commute with every g of their group that maps the pixel grid onto itself. So for multiples of
    90° and flips the error is rounding, on odd, even and oblong grids (oblong: by the elements
    that keep the shape). Its limit: other turns move pixels between pixels, where the theorem
    holds for the sampled continuous map only; aliasing in filters and activations breaks it.

    Exact elements are tried on white noise, other angles on square grids alone: on a sum of
    Gaussians (widths of 1.5 to 3 pixels), which are turned in their formula, not interpolated.
    Only f(x) is interpolated, by its trigonometric polynomial, and compared on a central disc away
    from the borders. `floor` is what interpolation costs on this f(x); errors below it say nothing.

    Args:
        function: (B, C, H, W) → (B, C', H', W'). A module is tried as a copy on the CPU in
            `dtype`, in the mode in which it is; if it draws random numbers, then the same ones
            each time.
        source, target: what the channels are; a number means that many scalars (grey values,
            colours), which every angle and flip leaves alone. Other fields allow the elements of
            their group alone.
        angles: degrees, counter-clockwise.
        reflections: each angle is tried after a flip of the rows, too.
        sizes: grids (H, W).
        seed: draws the pictures and what `function` draws.

    Raises:
        ValueError: an angle or flip outside the group of a field that is not scalar, no grid for
            an element, or an output that is zero, so that there is nothing to compare.
    """
    if isinstance(function, nn.Module):
        function = copy.deepcopy(function).to("cpu", dtype)
    source, target = (scalars(GRID, f) if isinstance(f, int) else f for f in (source, target))
    trial = _Trial(function, source, target, seed, dtype)
    rows = []
    for reflection in (False, True) if reflections else (False,):
        for angle in angles:
            found = [row for size in sizes if (row := trial.row(angle, reflection, size))]
            if not found:
                raise ValueError(
                    f"no grid to turn by {angle:g}° on: expected a square one among {sizes}"
                )
            rows += found
    return EquivarianceReport(tuple(rows))


class Equivariant:
    """Mix-in for modules between fields: `source` and `target` say how the group acts."""

    source: Fields
    target: Fields

    def check_equivariance(
        self,
        angles: Sequence[float] | None = None,
        reflections: bool | None = None,
        *,
        sizes: Sequence[tuple[int, int]] = SIZES,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> EquivarianceReport:
        """`check_equivariance` of this module.

        Without arguments all elements of the group that map the pixel grid onto itself are tried.
        """
        group = self.source.group
        if angles is None:
            turns = {element.rotation for element in group.subgroup_on_grid()}
            angles = sorted(360 * a / group.rotations for a in turns)
        return check_equivariance(
            self,  # type: ignore[arg-type]
            self.source,
            self.target,
            angles=angles,
            reflections=group.reflections if reflections is None else reflections,
            sizes=sizes,
            seed=seed,
            dtype=dtype,
        )


@dataclass(frozen=True)
class _Trial:
    function: Callable[[Tensor], Tensor]
    source: Fields
    target: Fields
    seed: int
    dtype: torch.dtype

    def row(self, angle: float, reflection: bool, size: tuple[int, int]) -> EquivarianceRow | None:
        """None where the element does not map a grid of this size onto one like it."""
        inner, outer = (
            channel_element(fields, angle, reflection) for fields in (self.source, self.target)
        )
        quarter, rest = divmod(angle % 360, 90)
        if (rest or quarter % 2) and size[0] != size[1]:
            return None
        draws = torch.Generator().manual_seed(self.seed)
        where: Tensor | float = 1.0
        floor = 0.0
        if rest == 0:
            g = Element(int(quarter), int(reflection))
            x = torch.randn(2, self.source.channels, *size, generator=draws, dtype=torch.float64)
            y = self.evaluate(x)
            moved, expected = turn(x, GRID, g), turn(y, GRID, g)
        else:
            matrix = plane(angle, reflection)
            scene = Scene.draw(self.source.channels, size[0], draws)
            y = self.evaluate(scene.picture(size[0]))
            moved, expected = scene.picture(size[0], matrix), interpolated(y, matrix)
            where = (radii(y.shape[-1]) < DISC).to(y)
            back = interpolated(expected, matrix.T)
            floor = float(((back - y) * where).norm() / (y * where).norm())
        gap = self.evaluate(mixed(self.source, moved, inner)) - mixed(self.target, expected, outer)
        scale = float((y * where).norm())
        if scale == 0:
            raise ValueError("the map sends the test picture to zero: there is nothing to compare")
        error = float((gap * where).norm()) / scale
        if not math.isfinite(error):
            error = math.inf
        return EquivarianceRow(float(angle), reflection, size, error, floor, rest == 0)

    def evaluate(self, x: Tensor) -> Tensor:
        """The function in its precision, with the same random numbers each time."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(self.seed)
            y = self.function(x.to(self.dtype))
        if y.shape[1] != self.target.channels:
            raise ValueError(
                f"the map has {y.shape[1]} output channels, expected {self.target.channels} "
                f"({self.target})"
            )
        return y.double()


def channel_element(fields: Fields, angle: float, reflection: bool) -> Element | None:
    """What acts on the channels of the fields; None for scalars: nothing does.

    Raises:
        ValueError: fields that are not scalar, and an element outside their group.
    """
    matrices = fields.representation.matrices
    if bool((matrices == torch.eye(matrices.shape[-1]).to(matrices)).all()):
        return None
    group = fields.group
    rotation = angle % 360 * group.rotations / 360
    if abs(rotation - round(rotation)) > 1e-9:
        raise ValueError(
            f"{angle:g}° is no turn of {group}, so that it does not act on {fields}; give "
            f"multiples of {360 / group.rotations:g}°, or check between scalars"
        )
    if reflection and not group.reflections:
        raise ValueError(f"{group} has no reflections, so that none acts on {fields}")
    return Element(round(rotation) % group.rotations, int(reflection))


def mixed(fields: Fields, x: Tensor, g: Element | None) -> Tensor:
    return x if g is None else fields.mix(x, g)


def plane(angle: float, reflection: bool) -> Tensor:
    """The matrix on (X, Y) of a turn by `angle` degrees after (X, Y) ↦ (X, −Y), if so."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    sign = -1.0 if reflection else 1.0
    return torch.tensor([[c, -s * sign], [s, c * sign]], dtype=torch.float64)


def radii(size: int) -> Tensor:
    """Distance of the pixels from the centre, (size, size); 1 on the inscribed circle."""
    return grid_points(size).norm(dim=1).reshape(size, size) / (size / 2)


@dataclass(frozen=True)
class Scene:
    """Gaussians in the plane, the same number in each channel: (C, n, 2), (C, n), (C, n)."""

    centres: Tensor
    heights: Tensor
    widths: Tensor

    @classmethod
    def draw(cls, channels: int, size: int, generator: torch.Generator, count: int = 24) -> Scene:
        draw = torch.rand(4, channels, count, generator=generator, dtype=torch.float64)
        radius, phase = 0.35 * size * draw[0].sqrt(), 2 * math.pi * draw[1]
        centres = radius[..., None] * torch.stack([phase.cos(), phase.sin()], -1)
        return cls(centres, 2 * draw[2] - 0.5, 1.5 + 1.5 * draw[3])

    def picture(self, size: int, matrix: Tensor | None = None) -> Tensor:
        """The scene turned by `matrix`, (1, C, size, size): x(g⁻¹p), since Gaussians are round."""
        centres = self.centres if matrix is None else self.centres @ matrix.T
        squares = (grid_points(size)[None, :, None] - centres[:, None]).square().sum(-1)
        waves = self.heights[:, None] * torch.exp(-squares / (2 * self.widths[:, None] ** 2))
        return waves.sum(-1).reshape(1, -1, size, size)


def interpolated(y: Tensor, matrix: Tensor) -> Tensor:
    """y(g⁻¹p) on square grids by the trigonometric polynomial of y, tapered towards the border."""
    size = y.shape[-1]
    ramp = ((1 - radii(size)) / 0.4).clamp(0, 1)  # 1 up to 0.6 of the inscribed circle
    spectrum = torch.fft.fft2(y * (0.5 - 0.5 * torch.cos(math.pi * ramp)))
    points = grid_points(size) @ matrix  # g⁻¹p = gᵀp
    frequencies = 2 * math.pi * torch.fft.fftfreq(size, dtype=torch.float64)
    columns, rows = points[:, 0] + (size - 1) / 2, (size - 1) / 2 - points[:, 1]
    across = torch.exp(1j * columns[:, None] * frequencies)
    down = torch.exp(1j * rows[:, None] * frequencies)
    values = (torch.einsum("pk,bckl->bcpl", down, spectrum) * across).sum(-1).real
    return values.reshape(y.shape) / size**2
