"""Operators and models on a device: transposes, bounds, attacks, batches, low precision.

What is measured is what `scripts.accelerator.check` measures; here it has to be good enough.
"""

from __future__ import annotations

import pytest
import torch

from operators import Convolution, kernels
from pnp_recon import load_denoiser
from scripts.accelerator.checks import attacks, denoisers, operators, tomography
from scripts.accelerator.checks.cases import picture
from scripts.accelerator.checks.session import Session, difference
from support.devices import every_device

# Rounding of float32, in values of a picture; what TF32 does is a hundred times more.
ROUNDING = 1e-4
LEVEL = 15 / 255


@every_device
@pytest.mark.parametrize("kind", ["conv circular motion9", "conv valid gauss5", "inpaint", "down2"])
def test_operators_keep_their_laws(device: str, kind: str) -> None:
    row = operators.compared(Session(device, tiny=True), kind)
    assert "broken" not in row
    assert row["norm_device"] == pytest.approx(row["norm_cpu"], rel=1e-4)
    assert row["A_float32_f32_vs_cpu"] < ROUNDING
    assert row["A_float64_f32_vs_cpu"] < 1e-10


@every_device
def test_a_false_transpose_is_found(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true = Convolution._transpose_map
    monkeypatch.setattr(Convolution, "_transpose_map", lambda self, y: 1.001 * true(self, y))
    row = operators.compared(Session(device, tiny=True), "conv circular motion9")
    assert "adjoint float32 f32" in row["broken"]


@every_device
def test_the_ray_transform_is_that_of_the_cpu(device: str) -> None:
    row = tomography.from_matrix(Session(device, tiny=True), "parallel")
    assert row["vs_cpu"] < ROUNDING * row["largest"]
    assert row["transpose_vs_cpu"] < ROUNDING * row["largest"] ** 2


@every_device
@pytest.mark.parametrize("name", ["euler_colour", "euler_grey"])
def test_denoisers_agree_with_the_cpu_in_batches_and_in_tiles(device: str, name: str) -> None:
    row = denoisers.agreement(Session(device, tiny=True), name)
    assert row["f32_vs_cpu_f32"]["max"] < ROUNDING
    assert row["f32_finite"]
    assert row["batch_vs_single"]["max"] < ROUNDING
    assert row["tiled_vs_whole"]["max"] < ROUNDING
    assert row.get("bf16_vs_f64", row["cpu_bf16_vs_f64"])["max"] < 0.02


@every_device
@pytest.mark.parametrize("kind", ["D", "R"])
def test_an_attack_attains_less_than_is_proven(device: str, kind: str) -> None:
    row = attacks.attack(Session(device, tiny=True), "euler_grey", "f32", 1e-2, kind)
    assert row["limit"] == 1
    assert 0 < row["attained"] <= 1


@every_device
@pytest.mark.parametrize("low", ["bfloat16", "float16"])
def test_low_precision_has_no_guarantee_and_is_near(device: str, low: str) -> None:
    x = picture(32, 48).to(device)
    exact = load_denoiser("euler_colour", device=device)
    assert exact.guarantee.averagedness is not None
    if low == "bfloat16":
        rounded = load_denoiser("euler_colour", device=device, precision="bfloat16")
        found = rounded(x, LEVEL)
    else:
        rounded = load_denoiser("euler_colour", device=device).half()
        found = rounded(x.half(), LEVEL)
        assert found.dtype == torch.float16
    assert rounded.guarantee.averagedness is None
    apart = difference(found, exact(x, LEVEL))["max"]
    assert 0 < apart < 0.02


@every_device
def test_kernels_follow_their_pictures_to_the_device(device: str) -> None:
    A = Convolution(kernels.gaussian(1.0, 5), (1, 9, 11), "circular").to(device)
    x = torch.rand(2, 1, 9, 11, device=device)
    assert A.A(x).device.type == device
    assert A.A_adjoint(A.A(x)).device.type == device
