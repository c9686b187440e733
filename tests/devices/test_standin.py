"""The stand-in for a GPU: it refuses what a card refuses, counts the waits, and keeps every bit.

Each law has a twin beside it: the same line as it should have been written, which passes.
"""

from __future__ import annotations

import copy
import io
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.standin import Log, standin

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a card is here: it decides")

Make = Callable[[], object]


def replaced() -> tuple[object, ...]:
    own = vars(torch.Tensor)
    names = ("device", "to", "normal_")
    return torch.zeros, torch.Generator, torch.cuda.Stream, *(own.get(name) for name in names)


@pytest.fixture(autouse=True)
def log() -> Iterator[Log]:
    before = replaced()
    with standin() as found:
        assert not set(before[:4]) & set(replaced())
        yield found
    assert replaced() == before  # nothing is left behind


def there(*shape: int) -> Tensor:
    return torch.rand(*shape, device="cuda")


def seeded(device: str) -> torch.Generator:
    return torch.Generator(device).manual_seed(0)


# What a card refuses, and the twin that it takes.
MIXED: dict[str, tuple[Make, Make]] = {
    "sum": (lambda: there(3) + torch.rand(3), lambda: there(3) + torch.tensor(2.0)),
    "sum, the card second": (
        lambda: torch.rand(3) + there(3),
        lambda: torch.tensor(2.0) + there(3),
    ),
    "in place": (lambda: torch.zeros(()).add_(there(1)[0]), lambda: there(1).add_(torch.zeros(()))),
    "product": (lambda: there(2, 2) @ torch.rand(2, 2), lambda: there(2, 2) @ there(2, 2)),
    "concatenation": (
        lambda: torch.cat([there(1), torch.rand(1)]),
        lambda: torch.cat([there(1), there(1)]),
    ),
    "selection": (
        lambda: there(3).index_select(0, torch.tensor([1])),
        lambda: there(3)[torch.tensor([1])],
    ),
    "places of the card": (
        lambda: torch.rand(3)[torch.tensor([1], device="cuda")],
        lambda: torch.rand(3)[torch.tensor([1], device="cuda").cpu()],
    ),
    "comparison": (
        lambda: torch.equal(there(2), torch.rand(2)),
        lambda: torch.equal(there(2).cpu(), torch.rand(2)),
    ),
    "FFT": (
        lambda: torch.fft.rfft(there(4)) * torch.rand(3),
        lambda: torch.fft.rfft(there(4)) * torch.fft.rfftfreq(4, device="cuda"),
    ),
    "network": (
        lambda: nn.Conv2d(1, 1, 3).to("cuda")(torch.rand(1, 1, 5, 5)),
        lambda: nn.Conv2d(1, 1, 3).cuda()(there(1, 1, 5, 5)),
    ),
    "sparse product": (
        lambda: torch.eye(3).to_sparse_coo().to("cuda") @ torch.rand(3, 1),
        lambda: torch.eye(3).to_sparse_coo().to("cuda") @ there(3, 1),
    ),
    "made of numpy": (
        lambda: there(3) + torch.from_numpy(np.ones(3)),
        lambda: there(3) + torch.from_numpy(np.ones(3)).to("cuda"),
    ),
    "numbers of the CPU there": (
        lambda: torch.rand(3, generator=seeded("cpu"), device="cuda"),
        lambda: torch.rand(3, generator=seeded("cuda"), device="cuda"),
    ),
    "numbers of the card here": (
        lambda: torch.randn(3, generator=seeded("cuda")),
        lambda: torch.randn(3, generator=seeded("cpu")),
    ),
    "drawn in place": (
        lambda: there(3).normal_(generator=seeded("cpu")),
        lambda: there(3).normal_(generator=seeded("cuda")),
    ),
    "a second card": (lambda: torch.zeros(1, device="cuda:1"), lambda: torch.zeros(1).to("cuda:0")),
    "graph": (lambda: torch.cuda.CUDAGraph(), lambda: torch.cuda.Stream()),
}


@pytest.mark.parametrize("case", MIXED)
def test_what_a_card_refuses_is_refused(case: str) -> None:
    broken, right = MIXED[case]
    right()
    with pytest.raises(RuntimeError):
        broken()


@pytest.mark.parametrize("leak", [np.asarray, lambda t: t.numpy(), lambda t: np.array([t])])
def test_no_number_leaks_through_numpy(leak: Callable[[Tensor], object]) -> None:
    with pytest.raises(TypeError, match="cuda:0 device type tensor to numpy"):
        leak(there(3))
    leak(there(3).cpu())


WAITS: dict[str, tuple[Make, list[str]]] = {
    "item": (lambda: there(1).item(), ["_local_scalar_dense"]),
    "float": (lambda: float(there(2).sum()), ["_local_scalar_dense"]),
    "condition": (lambda: bool((there(2) > 0).all()), ["_local_scalar_dense"]),
    "list": (lambda: there(2).tolist(), ["tolist"]),
    "cpu": (lambda: there(2).cpu(), ["to"]),
    "to": (lambda: torch.rand(2).to(there(1)), ["to"]),
    "numbers of the host": (lambda: torch.tensor([1.0], device="cuda"), ["tensor"]),
    "as_tensor": (lambda: torch.as_tensor([1.0], device="cuda"), ["as_tensor"]),
    "copy": (lambda: there(2).copy_(torch.rand(2)), ["copy_"]),
    "mask": (lambda: there(2)[there(2) > 0], ["index"]),
    "places": (lambda: there(2)[torch.tensor([0])], ["index"]),
    "nonzero": (lambda: there(2).nonzero(), ["nonzero"]),
    "equal": (lambda: torch.equal(there(2), there(2)), ["equal"]),
    "synchronize": (lambda: torch.cuda.synchronize(), ["synchronize"]),
    "full": (lambda: torch.full((2,), 0.5, device="cuda"), []),
    "arithmetic": (lambda: (2 * there(2) + 1).sum().clamp(min=0).sqrt(), []),
    "filled by a mask": (lambda: there(2).masked_fill_(there(2) > 0, 1.0), []),
    "where": (lambda: torch.where(there(2) > 0, there(2), 0.0), []),
}


@pytest.mark.parametrize("case", WAITS)
def test_waits_of_the_host_are_counted(case: str, log: Log) -> None:
    run, expected = WAITS[case]
    run()
    assert log.found == expected
    log.found.clear()
    with torch.inference_mode():  # operations come whole there, not taken apart
        run()
    assert log.found == expected


def test_waits_are_said_where_torch_says_them() -> None:
    x = there(2)
    torch.cuda.set_sync_debug_mode("warn")
    with pytest.warns(UserWarning, match="synchronizing CUDA operation"):
        x.cpu()
    torch.cuda.set_sync_debug_mode("error")
    with pytest.raises(RuntimeError, match="synchronizing CUDA operation"):
        x.sum().item()
    torch.cuda.set_sync_debug_mode("default")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x.cpu()


MADE: dict[str, Callable[[str | None], Tensor]] = {
    "zeros": lambda d: torch.zeros(2, device=d),
    "full": lambda d: torch.full((2,), 1.0, device=d),
    "arange": lambda d: torch.arange(3, device=d),
    "linspace": lambda d: torch.linspace(0, 1, 3, device=d),
    "randn": lambda d: torch.randn(2, device=d),
    "randperm": lambda d: torch.randperm(3, device=d),
    "normal": lambda d: torch.normal(0.0, 1.0, (2,), device=d),
    "tensor": lambda d: torch.tensor([1.0], device=d),
    "as_tensor": lambda d: torch.as_tensor(np.ones(2), device=d),
    "asarray": lambda d: torch.asarray([1.0], device=d),
    "fftfreq": lambda d: torch.fft.fftfreq(4, device=d),
    "from_numpy": lambda d: torch.from_numpy(np.ones(2)).to(d or "cpu"),
    "eye": lambda d: torch.eye(2, device=d),
    "hann": lambda d: torch.hann_window(4, device=d),
    "zeros_like": lambda d: torch.zeros_like(torch.rand(2), device=d),
    "new_ones": lambda d: torch.rand(2).new_ones(2, device=d),
    "sparse": lambda d: torch.eye(2).to_sparse_coo().to(d or "cpu"),
}


@pytest.mark.parametrize("case", MADE)
def test_what_names_a_device_lies_there(case: str) -> None:
    assert MADE[case]("cuda").device == torch.device("cuda:0")
    assert MADE[case]("cpu").device == MADE[case](None).device == torch.device("cpu")


def test_what_names_none_lies_where_its_arguments_do() -> None:
    x = there(2, 3)
    for made in (x + 1, x[0], x.T, x.new_zeros(2), torch.empty_like(x), x.new_tensor([1.0]),
                 torch.as_tensor(x), torch.quantile(x, 0.5), copy.deepcopy(x), x.double(),
                 x.detach(), x.to(x), torch.stack([x, x]), nn.Parameter(x)):  # fmt: skip
        assert made.is_cuda
        assert made.get_device() == 0
    for made in (x.cpu(), torch.zeros_like(x, device="cpu"), x.new_zeros(2, device="cpu")):
        assert (made.is_cuda, made.get_device()) == (False, -1)
    assert torch.bernoulli(x).is_cuda


def work(device: str) -> list[Tensor]:
    """A step of a network and transforms of a function, from numbers of the CPU."""
    draws = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.SiLU(), nn.Conv2d(4, 1, 3))
    for number, value in enumerate(net.parameters()):
        value.data.fill_(0.1 * number).add_(0.1 * torch.randn(value.shape, generator=draws))
    x = torch.rand(2, 1, 8, 8, generator=draws).to(device)
    net.to(device)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()
    with torch.autocast(device, torch.bfloat16):
        low = net(x)

    def energy(t: Tensor) -> Tensor:
        return torch.fft.rfft2(t).abs().square().sum() * t.exp().mean()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slope = torch.func.jvp(torch.func.grad(energy), (x[0, 0],), (x[1, 0],))[1]
    return [low, slope, torch.func.vmap(energy)(x), *net.parameters()]


def test_numbers_and_gradients_are_those_of_the_cpu_to_the_bit() -> None:
    for here, found in zip(work("cpu"), work("cuda"), strict=True):
        assert found.device.type == "cuda"
        assert found.dtype == here.dtype
        assert torch.equal(found.cpu(), here)
    assert work("cuda")[0].dtype == torch.bfloat16


def test_gradients_go_the_way_back() -> None:
    x = torch.rand(3, requires_grad=True)
    (x.to("cuda") * there(3)).cpu().square().sum().backward()
    assert x.grad is not None
    assert not x.grad.is_cuda


def test_files_bring_tensors_back_to_where_they_lay() -> None:
    buffer = io.BytesIO()
    torch.save({"there": there(2), "here": torch.rand(2)}, buffer)
    for where, expected in ((None, [True, False]), ("cpu", [False] * 2), ("cuda", [True] * 2)):
        buffer.seek(0)
        found = torch.load(buffer, map_location=where, weights_only=True)
        assert [found["there"].is_cuda, found["here"].is_cuda] == expected


def test_threads_are_under_its_rules_too() -> None:
    refused: list[str] = []

    def mix() -> None:
        try:
            there(3) + torch.rand(3)
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=mix)
    thread.start()
    thread.join()
    assert "same device" in refused[0]


def test_memory_is_that_of_the_tensors_that_live() -> None:
    before = torch.cuda.memory_allocated()
    x = there(1000)
    assert torch.cuda.memory_allocated() == before + 4000
    del x
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() >= before + 4000


def test_there_is_one_at_most() -> None:
    with pytest.raises(RuntimeError, match="neither needs another"), standin():
        pass
