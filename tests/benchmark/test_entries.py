"""Methods by entry: a user's own, and names that are wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pnp_recon import guarantees
from pnp_recon.benchmark.methods import expand, load_method
from pnp_recon.benchmark.methods.registry import _load
from pnp_recon.errors import InputError, WeightsError
from pnp_recon.priors import catalogue

ROOT = Path(__file__).resolve().parents[2]
X = torch.rand(2, 3, 16, 18, generator=torch.Generator().manual_seed(0))

MINE = """
from pnp_recon.benchmark import Method
class Mine(Method):
    def denoise(self, x, sigma): return 0.5 * x
"""

SEVERAL = """
import torch
from beside import FACTOR
from pnp_recon import guarantees
from pnp_recon.benchmark import Method
from pnp_recon.priors.denoiser import Denoiser

def halve(x, sigma):
    return FACTOR * x

certified = Denoiser(halve, "halver", guarantees.lipschitz(0.5, "it halves"), channels=1)

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout()
    def forward(self, x, sigma):
        return self.dropout(x)

class One(Method):
    name = "one"
    channels = 1
    tuned_by = {"factor": (1.0, 2.0)}
    defaults = {"factor": 2.0}
    def denoise(self, x, sigma, factor=2.0):
        assert x.shape[1] == 1
        return factor * x

class Two(Method):
    channels = 3
    def denoise(self, x, sigma):
        x *= 0  # in place, which must not reach the caller
        return x

class Abstract(Method):
    pass

class Needy(Method):
    def __init__(self, more): ...
    def denoise(self, x, sigma): return x

def cropped(x, sigma): return x[..., 1:]
def whole_numbers(x, sigma): return (255 * x).to(torch.int32)
def array(x, sigma): return x.numpy()
def runaway(x, sigma): return x / 0
def failing(x, sigma): raise RuntimeError("no luck")
class Other: pass
number = 3
instance = One()
"""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, a current folder and an import path of its own, and no network."""

    def refuse(url: str, *args: object, **options: object) -> None:
        raise AssertionError(f"tried to download {url}")

    _load.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


@pytest.fixture
def several(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("FACTOR = 0.5\n")
    path = tmp_path / "several.py"
    path.write_text(SEVERAL)
    return path


# A user's own.


def test_three_lines_are_a_method(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    for entry in ("mine.py", "mine.py:Mine", str(tmp_path / "mine.py")):
        method = load_method(entry, 3)
        assert method.name == "Mine"
        assert torch.equal(method.denoise(X, 0.1), 0.5 * X)
        assert not method.guarantee.holds
        assert torch.equal(method.prior()(X, 0.1), 0.5 * X)
    assert load_method("mine.py", 3) is load_method("mine.py", 3)
    assert expand(["tv", "mine.py"], 3) == ["tv", "mine.py"]


def test_modules_of_the_current_folder_count(tmp_path: Path) -> None:
    (tmp_path / "of_this_folder.py").write_text(MINE)
    assert load_method("of_this_folder:Mine", 1).name == "Mine"
    assert load_method("torch:relu_", 1).name == "torch:relu_"


def test_functions_networks_and_denoisers_are_taken(several: Path) -> None:
    halve = load_method("several.py:halve", 3)
    assert halve.name == "several.py:halve"
    assert torch.equal(halve.denoise(X, 0.1), 0.5 * X)
    certified = load_method("several.py:certified", 3)
    assert (certified.name, certified.guarantee.lipschitz) == ("halver", 0.5)
    assert torch.equal(certified.denoise(X, 0.1), 0.5 * X)
    network = load_method("several.py:Network", 3)
    assert network.differentiable
    assert torch.equal(network.denoise(X, 0.1), X)  # in evaluation mode


def test_methods_keep_what_they_declare(several: Path) -> None:
    for entry in ("several.py:One", "several.py:instance"):
        one = load_method(entry, 3)
        assert (one.name, one.channels, one.defaults) == ("one", 1, {"factor": 2.0})
        assert torch.equal(one.denoise(X, 0.1), 2 * X)  # each channel by itself
        assert torch.equal(one.denoise(X, 0.1, factor=1.0), X)
    before = X.clone()
    assert not load_method("several.py:Two", 3).denoise(X, 0.1).any()
    assert torch.equal(X, before)
    with pytest.raises(InputError, match="for pictures of 3 channels, these have 1"):
        load_method("several.py:Two", 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cropped", r"returned shape \(2, 3, 16, 17\); expected .*\(2, 3, 16, 18\)"),
        ("whole_numbers", "returned numbers of type torch.int32"),
        ("array", "returned a ndarray"),
    ],
)
def test_what_is_no_picture_is_refused(several: Path, name: str, words: str) -> None:
    method = load_method(f"several.py:{name}", 3)
    with pytest.raises(InputError, match=f"several.py:{name} {words}"):
        method.denoise(X, 0.1)


def test_divergence_is_a_result_and_other_errors_stay_what_they_are(several: Path) -> None:
    assert not load_method("several.py:runaway", 3).denoise(X, 0.1).isfinite().all()
    with pytest.raises(RuntimeError, match="no luck"):
        load_method("several.py:failing", 3).denoise(X, 0.1)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("several.py", "several methods; choose several.py:One or several.py:Two"),
        ("several.py:halv", "has no 'halv'; did you mean halve"),
        ("several.py:Abstract", "Abstract\\(\\) failed: TypeError"),
        ("several.py:Needy", "Needy\\(\\) failed: TypeError"),
        ("several.py:Other", "is the class Other; expected a function"),
        ("several.py:number", "is a int; expected a function"),
        ("several.py:", "expected module:name"),
        ("beside.py", "defines no subclass of pnp_recon.benchmark.Method"),
        ("absent.py", "there is no file .*absent.py"),
        ("absent:f", "there is no module 'absent', neither installed nor in"),
        ("torch.absent:f", "there is no module 'torch.absent'"),
        ("broken.py:f", "importing .*broken.py failed: ZeroDivisionError: division by zero"),
        ("broken:f", "importing broken failed: ZeroDivisionError"),
        ("needs:f", "importing needs failed: No module named 'nowhere'"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(several: Path, entry: str, words: str) -> None:
    several.with_name("broken.py").write_text("1 / 0\n")
    several.with_name("needs.py").write_text("import nowhere\n")
    with pytest.raises(InputError, match=words):
        load_method(entry, 3)


def test_a_declared_guarantee_is_believed(tmp_path: Path) -> None:
    text = MINE + "    from pnp_recon import guarantees as g\n    guarantee = g.firm('Moreau 1965')"
    (tmp_path / "firm.py").write_text(text)
    assert load_method("firm.py", 1).guarantee == guarantees.firm("Moreau 1965")


# Names.


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("euler_gray", "euler_grey"), ("TV", "tv"), ("bm3", "bm3d"), ("clasical", "classical")],
)
def test_an_unknown_name_suggests_the_nearest(typo: str, meant: str) -> None:
    for call in (lambda: load_method(typo, 1), lambda: expand(["tv", typo], 1)):
        with pytest.raises(InputError, match=f"unknown method '{typo}'; did you mean {meant}") as e:
            call()
        assert "known: tv, wavelet" in str(e.value)


def test_a_name_like_no_other_lists_the_known() -> None:
    with pytest.raises(InputError, match="unknown method 'qqqq'; known: tv, "):
        load_method("qqqq", 1)


def test_a_group_is_no_method() -> None:
    with pytest.raises(InputError, match="'all' is a group of methods; name one of tv, "):
        load_method("all", 1)


def test_a_method_for_colour_does_not_fit_grey_pictures() -> None:
    for call in (lambda: load_method("euler_colour", 1), lambda: expand(["euler_colour"], 1)):
        with pytest.raises(InputError, match="euler_colour is for pictures of 3 channels"):
            call()


def test_a_missing_card_is_named() -> None:
    with pytest.raises(WeightsError, match=r"absent\.json does not exist"):
        load_method("models/absent.json", 1)


def test_without_bm3d_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)  # importing it now fails
    with pytest.raises(InputError, match=r"pip install 'pnp-recon\[bench\]'"):
        load_method("bm3d", 1)
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"bm3d is not available: .*\[bench\]"):
        expand(["bm3d"], 1)
    assert "bm3d" not in expand(["classical"], 1)


def test_the_list_costs_little() -> None:
    code = (
        "import sys; from pnp_recon.benchmark import cells, rows, store; print('torch' in "
        "sys.modules); from pnp_recon.benchmark.methods import known_methods; known_methods(); "
        "print(sorted({'deepinv', 'skimage', 'scipy', 'matplotlib', 'pywt', 'bm3d'} & "
        "set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stdout.split("\n")[:2] == ["False", "[]"], done.stderr
