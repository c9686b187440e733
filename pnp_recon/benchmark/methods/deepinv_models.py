"""The denoisers of deepinv as methods, if their weights are on disk. Nothing is downloaded."""

from __future__ import annotations

import difflib
import inspect
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file as load_safetensors
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.benchmark.methods.base import Method
from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of

PREFIX = "deepinv:"


@dataclass(frozen=True)
class Weights:
    """How a pretrained denoiser of deepinv is built, and the files that hold its weights.

    Attributes:
        kind: its name in `deepinv.models`.
        files: by number of channels; names that deepinv downloads to.
        what: in words.
        build: arguments by number of channels, besides `pretrained`.
        multiple: sides must be multiples of this.
    """

    kind: str
    files: Mapping[int, str]
    what: str
    build: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    multiple: int = 1


def _in_out(*channels: int) -> dict[int, dict[str, Any]]:
    return {count: {"in_channels": count, "out_channels": count} for count in channels}


def _swin(level: int) -> Weights:
    grey, colour = "004_grayDN_DFWB_s128w8_SwinIR-M", "005_colorDN_DFWB_s128w8_SwinIR-M"
    return Weights(
        "SwinIR",
        {1: f"{grey}_noise{level}.pth", 3: f"{colour}_noise{level}.pth"},
        f"Swin transformer for σ·255 = {level} (Liang et al. 2021)",
        {1: {"in_chans": 1}, 3: {"in_chans": 3}},
    )


# Read off deepinv 0.5: the file names and the architectures that belong to them.
PRETRAINED: dict[str, Weights] = {
    "DRUNet": Weights(
        "DRUNet",
        {1: "drunet_deepinv_gray_finetune_26k.pth", 3: "drunet_deepinv_color_finetune_22k.pth"},
        "U-Net with residual blocks, any noise level (Zhang et al. 2021)",
        _in_out(1, 3),
    ),
    "GSDRUNet": Weights(
        "GSDRUNet",
        {1: "GSDRUNet_grayscale_torch.ckpt", 3: "GSDRUNet_torch.ckpt"},
        "gradient step of a learned potential (Hurault, Leclaire & Papadakis 2022)",
        _in_out(1, 3),
    ),
    "DnCNN": Weights(
        "DnCNN",
        {1: "dncnn_sigma2_gray.pth", 3: "dncnn_sigma2_color.pth"},
        "DnCNN for σ·255 = 2, blind to the level (Zhang et al. 2017)",
        _in_out(1, 3),
    ),
    "FFDNet": Weights(
        "FFDNet",
        {1: "ffdnet_gray.pth", 3: "ffdnet_color.pth"},
        "FFDNet, any noise level (Zhang, Zuo & Zhang 2018)",
        {
            1: {"img_channels": 1, "n_conv_layers": 15, "nf": 64},
            3: {"img_channels": 3, "n_conv_layers": 12, "nf": 96},
        },
        multiple=2,
    ),
    "SCUNet": Weights(
        "SCUNet",
        {3: "scunet_color_real_psnr.pth"},
        "Swin transformer and convolutions, blind, for real noise (Zhang et al. 2023)",
    ),
    "SwinIR": _swin(15),
    "SwinIR25": _swin(25),
    "SwinIR50": _swin(50),
    "Restormer": Weights(
        "Restormer",
        {1: "gaussian_gray_denoising_blind.pth", 3: "gaussian_color_denoising_blind.pth"},
        "transformer, blind up to σ·255 = 50 (Zamir et al. 2022)",
        _in_out(1, 3),
        multiple=8,
    ),
    "DScCP": Weights(
        "DScCP",
        {3: "ckpt_dsccp.pth.tar"},
        "unfolded strongly convex Chambolle–Pock (Le, Pustelnik & Foare 2023)",
    ),
}


def weights_folder() -> Path:
    """Where deepinv keeps what it has downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def find_weights(name: str, channels: int) -> tuple[Path | None, str]:
    """The weights of a deepinv denoiser by name, or None with the reason and the remedy."""
    entry = PRETRAINED[name]
    if channels not in entry.files:
        only = " and ".join(str(count) for count in entry.files)
        return None, f"{PREFIX}{name} has weights for {only} channels, not for {channels}"
    path = weights_folder() / entry.files[channels]
    if path.is_file():
        return path, ""
    return None, (
        f"weights {path.name} are not on disk, and nothing is downloaded here; put the file into "
        f"{path.parent}, or name it: {PREFIX}{name}@PATH"
    )


def deepinv_model(entry: str, channels: int, device: str = "cpu") -> Method:
    """A denoiser of deepinv, "deepinv:DRUNet" or "deepinv:DRUNet@weights.pth".

    Denoisers of deepinv that have no weights ("deepinv:TVDenoiser") are built as they are by
    default. One that has weights but no known file name must be given with a path.

    Args:
        entry: as above.
        channels: how many the pictures have; the weights are those for so many.

    Raises:
        InputError: no such denoiser; weights missing, damaged or not plain tensors.
    """
    name, _, given = entry.removeprefix(PREFIX).partition("@")
    known = PRETRAINED.get(name)
    path: Path | None = Path(given).expanduser() if given else None
    if known is not None and path is None:
        path, reason = find_weights(name, channels)
        if path is None:
            raise InputError(f"method {entry}: {reason}")
    if path is not None and not path.is_file():
        raise InputError(f"method {entry}: there is no file {path}; give the weights' path after @")
    build = _constructor(known.kind if known else name, entry)
    takes = inspect.signature(build).parameters
    arguments = dict(known.build.get(channels, {})) if known else {}
    if not known:
        arguments |= {key: channels for key in ("in_channels", "out_channels") if key in takes}
    if "pretrained" in takes:
        arguments["pretrained"] = None
        if path is None:
            raise InputError(
                f"method {entry}: which file holds its weights is not known here; name it: "
                f"{entry}@PATH"
            )
    elif path is not None:
        raise InputError(f"method {entry}: {name} has no weights; leave out @{given}")
    try:
        network = build(**arguments)
    except (TypeError, ValueError, ImportError) as error:
        raise InputError(f"method {entry}: deepinv cannot build {name}: {error}") from error
    if path is not None:
        _load(network, path, entry)
    return DeepinvModel(
        network.eval().requires_grad_(False).to(device),
        name=PREFIX + name,
        channels=channels if path is not None else None,
        multiple=known.multiple if known else 1,
        sha256=sha256_of(path) if path is not None else "",
    )


class DeepinvModel(Method):
    """A network called as network(x, sigma), padded where its sides must be multiples.

    Its random numbers, where it uses some, are the same at every call.
    """

    def __init__(
        self, network: nn.Module, name: str, channels: int | None, multiple: int, sha256: str
    ) -> None:
        self._network, self._multiple = network, multiple
        self.name, self.channels, self.sha256 = name, channels, sha256
        self.guarantee = guarantees.none(
            f"{name.removeprefix(PREFIX)} of deepinv is trained without a proven constraint: no "
            "Lipschitz constant is known"
            if sha256
            else f"{name.removeprefix(PREFIX)} of deepinv declares no Lipschitz constant"
        )
        # GSDRUNet takes a gradient itself and cuts its graph.
        self.differentiable = bool(sha256) and not name.endswith("GSDRUNet")

    def denoise(self, x: Tensor, sigma: float, *args: Any, **parameters: Any) -> Tensor:
        """network(x, sigma); x (B, C, H, W)."""
        height, width = x.shape[-2:]
        pad = (0, -width % self._multiple, 0, -height % self._multiple)
        wide = F.pad(x.float(), pad, mode="replicate") if any(pad) else x.float().clone()
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.manual_seed(0)
            out = self._network(wide, sigma)
        return out[..., :height, :width].to(x.dtype)


def _constructor(kind: str, entry: str) -> Callable[..., nn.Module]:
    """What builds it: a subclass of deepinv's denoisers, or a function such as GSDRUNet."""
    import deepinv.models

    found = {
        name: item
        for name, item in vars(deepinv.models).items()
        if name == "GSDRUNet"
        or (inspect.isclass(item) and issubclass(item, deepinv.models.Denoiser) and name[0] != "_")
    }
    found.pop("Denoiser", None)
    if kind not in found:
        near = difflib.get_close_matches(kind, found, 1)
        hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        raise InputError(f"method {entry}: deepinv has no denoiser {kind!r}{hint}")
    return found[kind]


def _load(network: nn.Module, path: Path, entry: str) -> None:
    """Weights into a network; tensors only, whatever else the file holds is refused."""
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = load_safetensors(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        line = " ".join(str(error).split())[:160]
        raise InputError(
            f"method {entry}: {path} cannot be read as plain tensors: {line}; a checkpoint with "
            "other objects in it must be saved again as its state_dict alone"
        ) from error
    # Checkpoints of training frameworks and of the authors wrap the tensors once.
    for key in ("state_dict", "params_ema", "params"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
            break
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        line = " ".join(str(error).split())[:160]
        raise InputError(f"method {entry}: {path} does not fit the network: {line}") from error
