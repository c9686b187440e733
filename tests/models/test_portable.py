"""Models for other programs: the same map to rounding, with what is proven in honest words."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pnp_recon.cli.train import main
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.models import portable
from pnp_recon.models.export import export
from pnp_recon.models.load import load_denoiser
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet


def model(folder: Path) -> Path:
    network = EulerNet(EulerConfig(width=4, hidden=4, blocks=1))
    return export(network, folder, "tiny", (1 / 255, 50 / 255), {"seed": 0, "validation": {}})


def exported(folder: Path, name: str, *options: str) -> int:
    return main(["export", name, "-o", str(folder), *options])


def test_onnx_is_the_same_map_on_sizes_that_it_was_not_made_with(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    card = model(tmp_path)
    assert exported(tmp_path, str(card), "--onnx", "--quiet") == 0
    assert exported(tmp_path, str(card), "--onnx", "--quiet") == 2  # it is there already
    path = tmp_path / f"{card.stem}.onnx"
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ours = load_denoiser(str(card))
    for size, level in (((17, 40), 0.03), ((30, 21), 0.15)):
        x = torch.rand(1, 1, *size)
        given = {"picture": x.numpy(), "noise_level": torch.tensor([level]).numpy()}
        found = torch.from_numpy(session.run(None, given)[0])
        torch.testing.assert_close(found, ours(x, level), atol=2e-5, rtol=0)
    told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    fields = json.loads(card.read_text(encoding="utf-8"))
    assert told["pnp_recon.weights_sha256"] == fields["sha256"]
    assert json.loads(told["pnp_recon.card"]) == fields
    words = told["pnp_recon.certificate"]
    assert f"{fields['certificate']['averagedness']:.12g}" in words
    assert "no certificate of pnp_recon covers what it computes" in words


def test_a_program_of_torch_is_reloaded_and_the_same(tmp_path: Path) -> None:
    card = model(tmp_path)
    assert exported(tmp_path, str(card), "--torch-export", "--quiet", "--name", "mine") == 0
    told: dict[str, Any] = {portable.PACKAGE_FILE: ""}
    content = (tmp_path / "mine.pt2").read_bytes()
    program = torch.export.load(io.BytesIO(content), extra_files=told).module()
    x = torch.rand(1, 1, 18, 40)
    torch.testing.assert_close(
        program(x, torch.tensor([0.07])), load_denoiser(str(card))(x, 0.07), atol=2e-5, rtol=0
    )
    assert json.loads(told[portable.PACKAGE_FILE])["pnp_recon.sides"] == "multiples of 2"


def test_what_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    card, network = portable.portable_card("euler_grey"), nn.Identity()

    def example(network: nn.Module, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        return torch.rand(1, 1, *size), torch.tensor([0.1])

    monkeypatch.setattr(portable, "_example", example)
    monkeypatch.setattr(network, "forward", lambda x, level: x)
    assert portable._compared(card, network, lambda x, level: x + 1e-7, "it", 1) < 1e-6
    with pytest.raises(WeightsError, match=r"it is .* off .*more than rounding"):
        portable._compared(card, network, lambda x, level: x + 1e-4, "it", 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("energy_grey", "an energy is descended"),
        ("equivariant_ct", "holds the operator of its scan"),
    ],
)
def test_what_cannot_be_written_says_why(name: str, words: str) -> None:
    with pytest.raises(InputError, match=f"{name} cannot be exported: .*{words}.*only denoisers"):
        portable.portable_card(name)


def test_a_shipped_model_goes_by_its_name() -> None:
    told = portable.facts(portable.portable_card("dncnn_grey"), 1)
    assert told["pnp_recon.certificate"] == "no guarantee: nothing is proven of these weights"
    assert portable.portable_card("euler_grey").name == "euler_grey"
