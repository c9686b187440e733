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


@pytest.mark.parametrize(("quality", "subsampling"), [(30, 2), (95, 0)])
def test_a_jpeg_hands_on_how_it_quantises(tmp_path: Path, quality: int, subsampling: int) -> None:
    path = tmp_path / "a.jpg"
    grey = np.linspace(0, 255, 48 * 40).reshape(48, 40).astype(np.uint8)
    Image.fromarray(np.stack([grey, grey.T.reshape(48, 40), grey], -1)).save(
        path, quality=quality, subsampling=subsampling
    )
    luma, *chroma = read_picture(path).jpeg
    assert len(chroma) == 2 and {len(part.steps) for part in (luma, *chroma)} == {64}
    assert luma.sampling == ((2, 2) if subsampling else (1, 1))
    assert chroma[0].sampling == (1, 1)
    # Annex K's table, scaled as the Independent JPEG Group does: 16 for the constant, 99 last.
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    assert luma.steps[0] == (16 * scale + 50) // 100
    assert luma.steps[-1] == min(255, (99 * scale + 50) // 100)
    # Row by row: the third of a row (10 in Annex K) and the third of a column (14) differ.
    assert (luma.steps[2], luma.steps[16]) == ((10 * scale + 50) // 100, (14 * scale + 50) // 100)


def test_other_files_have_no_jpeg_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    assert read_picture(path).jpeg == ()
