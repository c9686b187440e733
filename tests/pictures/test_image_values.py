"""The sRGB curve, luma, and which files a user means."""

from __future__ import annotations

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.files import expand_inputs
from pnp_recon.pictures.colour import linear_to_srgb, srgb_to_linear, to_grey
from support.pictures import assert_one_line


def test_srgb_curve():
    x = torch.linspace(-0.2, 1.2, 20001, dtype=torch.float64)
    linear = srgb_to_linear(x)
    # IEC 61966-2-1 rounds its two thresholds, which leaves a step of some 1e-8.
    torch.testing.assert_close(linear_to_srgb(linear), x, atol=1e-7, rtol=0)
    assert (linear.diff() > 0).all()
    known = torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64)
    light = torch.tensor([0.0, 0.04045 / 12.92, 0.21404114048223255, 1.0], dtype=torch.float64)
    torch.testing.assert_close(srgb_to_linear(known), light, atol=1e-12, rtol=0)
    assert (x**2.2 - linear)[x > 0].abs().max() > 1e-3  # the twin: plain gamma is another curve


@pytest.mark.parametrize("curve", [srgb_to_linear, linear_to_srgb])
def test_curves_have_finite_gradients(curve):
    x = torch.tensor([-0.1, 0.0, 0.001, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    curve(x).sum().backward()
    assert x.grad.isfinite().all()


def test_to_grey():
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    grey = to_grey(x)
    assert grey.shape == (2, 1, 4, 5)
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    torch.testing.assert_close(grey[:, 0], torch.einsum("bchw,c->bhw", x, weights))
    assert to_grey(grey) is grey
    with pytest.raises(InputError, match="C = 1 or 3"):
        to_grey(x[:, :2])


def test_expand_inputs(tmp_path):
    for name in ("b.png", "a.JPG", "c.txt", ".hidden.png", "sub/d.tif", "odd[1].png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")

    def names(*patterns: str) -> list[str]:
        return [path.name for path in expand_inputs(str(tmp_path / name) for name in patterns)]

    assert names(".") == ["a.JPG", "b.png", "odd[1].png"]
    assert names("*.png") == ["b.png", "odd[1].png"]
    assert names("c.txt", "b.png", "*.png") == ["c.txt", "b.png", "odd[1].png"]
    assert names("odd[1].png") == ["odd[1].png"]
    assert names("**/*.tif") == ["d.tif"]
    for pattern, word in (("*.bmp", "no picture matches"), ("none.png", "does not exist")):
        with pytest.raises(InputError) as caught:
            names(pattern)
        assert_one_line(caught.value, word)
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        names("void")
    with pytest.raises(InputError, match="no input"):
        expand_inputs([])
