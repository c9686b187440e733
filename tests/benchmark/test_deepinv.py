"""The denoisers of deepinv as methods: their weights are found on disk, or named; no network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pnp_recon.benchmark.methods import expand, known_methods, load_method
from pnp_recon.benchmark.methods.deepinv_models import PRETRAINED, DeepinvModel
from pnp_recon.benchmark.methods.registry import _load
from pnp_recon.errors import InputError

X = torch.rand(2, 3, 16, 18, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, a folder of weights that is empty as well, and no network."""

    def refuse(url: str, *args: object, **options: object) -> None:
        raise AssertionError(f"tried to download {url}")

    _load.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_missing_weights_are_named_with_their_place(tmp_path: Path) -> None:
    place = str(tmp_path / "torch" / "hub" / "checkpoints")
    for call in (lambda: load_method("deepinv:DRUNet", 3), lambda: expand(["deepinv:DRUNet"], 3)):
        with pytest.raises(InputError, match=r"drunet_deepinv_color_finetune_22k\.pth") as error:
            call()
        assert place in str(error.value)
    assert not any(i.available for i in known_methods() if i.name.startswith("deepinv:"))
    assert not [name for name in expand(["all"], 3) if name.startswith("deepinv:")]
    with pytest.raises(InputError, match="SCUNet has weights for 3 channels, not for 1"):
        load_method("deepinv:SCUNet", 1)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("deepinv:DRUNt", "no denoiser 'DRUNt'; did you mean deepinv:DRUNet"),
        ("deepinv:DRUNet@absent.pth", "there is no file absent.pth"),
        ("deepinv:EPLLDenoiser", "name it: deepinv:EPLLDenoiser@PATH"),
        ("deepinv:MedianFilter@beside.py", "MedianFilter has no weights"),
        ("deepinv:DnCNN@beside.py", "cannot be read as plain tensors"),
    ],
)
def test_a_wrong_name_of_deepinv_says_what_is_wrong(tmp_path: Path, entry: str, words: str) -> None:
    (tmp_path / "beside.py").write_text("FACTOR = 0.5\n")
    with pytest.raises(InputError, match=words):
        load_method(entry, 3)


@pytest.mark.parametrize("wrap", [None, "state_dict", "params"])
def test_weights_on_disk_are_loaded(tmp_path: Path, wrap: str | None) -> None:
    from deepinv.models import FFDNet

    torch.manual_seed(0)
    network = FFDNet(img_channels=1, n_conv_layers=15, nf=64, pretrained=None).eval()
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    state = network.state_dict()
    torch.save({wrap: state, "epoch": 3} if wrap else state, folder / "ffdnet_gray.pth")
    grey = X[:, :1, :15]
    for entry in ("deepinv:FFDNet", f"deepinv:FFDNet@{folder / 'ffdnet_gray.pth'}"):
        method = load_method(entry, 1)
        assert len(method.sha256) == 64
        assert not method.guarantee.holds
        with torch.no_grad():
            expected = network(torch.cat((grey, grey[..., -1:, :]), -2), 0.1)[..., :-1, :]
        assert torch.allclose(method.denoise(grey, 0.1), expected, atol=1e-6)
    assert [i.name for i in known_methods() if i.available and ":" in i.name] == ["deepinv:FFDNet"]
    assert "deepinv:FFDNet" in expand(["all"], 1)
    with pytest.raises(InputError, match=r"ffdnet_color\.pth are not on disk"):
        expand(["deepinv:FFDNet"], 3)
    save_file(state, tmp_path / "safe.safetensors")
    assert load_method("deepinv:FFDNet@safe.safetensors", 1).fits(1)
    torch.save({key: state[key] for key in list(state)[1:]}, tmp_path / "part.pth")
    with pytest.raises(InputError, match="does not fit the network"):
        load_method("deepinv:FFDNet@part.pth", 1)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("open('ran', 'w').close()",))


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="plain tensors"):
        load_method("deepinv:DRUNet@evil.pth", 3)
    assert not (tmp_path / "ran").exists()


def test_denoisers_of_deepinv_without_weights_need_none() -> None:
    method = load_method("deepinv:MedianFilter", 3)
    assert method.denoise(X, 0.1).shape == X.shape
    assert method.sha256 == ""
    assert not method.guarantee.holds


class Random(nn.Module):
    def forward(self, x: Tensor, sigma: float) -> Tensor:
        return x + torch.randn_like(x)


def test_random_numbers_within_are_the_same_at_every_call() -> None:
    method = DeepinvModel(Random(), "deepinv:Random", None, 1, "")
    state = torch.random.get_rng_state()
    assert torch.equal(method.denoise(X, 0.1), method.denoise(X, 0.1))
    assert torch.equal(torch.random.get_rng_state(), state)


class AskedError(Exception):
    pass


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("name", [n for n in PRETRAINED if n not in ("SwinIR25", "SwinIR50")])
def test_the_file_names_are_those_that_deepinv_asks_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import deepinv.models

    def ask(url: str, *args: object, file_name: str | None = None, **options: object) -> None:
        raise AskedError(file_name or url.rpartition("/")[2])

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", ask)
    entry = PRETRAINED[name]
    word = "denoising" if name == "Restormer" else "download"
    for channels, file in entry.files.items():
        build = getattr(deepinv.models, entry.kind)
        with pytest.raises(AskedError) as asked:
            build(**entry.build.get(channels, {}), pretrained=word)
        assert str(asked.value) == file
