"""`pnp-recon verify`: every value of a report is held against its run, and models are checked."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pnp_recon.cli.listing import main
from pnp_recon.cli.verify.report import verify_report
from support.verified import QUICK, UNRUN, Good, failing

# What a report says of the clock and of inner errors below rounding, nobody can hold against it.
FREE = ("history/inner_errors", "history/checked", "history/seconds")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The plain values of a document, of lists the first and the last."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for place in sorted({0, len(value) - 1} if value else ()):
            yield from leaves(value[place], (*path, place))
    elif value is not None:
        yield path, value


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return 1.01 * value + 1e-6 if isinstance(value, float) else f"{value}x"


@pytest.mark.slow
def test_every_value_that_is_no_setting_is_held_against_the_run(good: Good) -> None:
    """Whatever is edited: a new field of the report must be verified, or stand in `FREE`."""
    blocks = ("certificate", "denoiser", "history", "kernel", "noise", "operator", "solver")
    blocks += ("status", "inputs", "simulated", "linear_light", "metrics")
    whole, path = good.read(), good.report / "report.json"
    unseen, count = [], 0
    for place, value in leaves({name: whole[name] for name in blocks}):
        plain = copy.deepcopy(whole)
        inner = plain
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = other(value)
        path.write_text(json.dumps(plain), encoding="utf-8")
        name, count = "/".join(map(str, place)), count + 1
        if name == "inputs/0/path" or name.startswith(FREE):
            continue
        if all(one.holds is not False for one in verify_report(path, {}, 0)):
            unseen.append(name)
    assert count > 60
    assert unseen == []


# ---- models ---------------------------------------------------------------------------------


def test_a_model_is_checked_as_pnp_train_check_does(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    from pnp_recon.cli import train

    args = [str(good.model), "--attack-steps", "2"]
    assert main(["verify", *args]) == 0
    mine = capsys.readouterr().out
    assert train.main(["check", *args]) == 0
    assert capsys.readouterr().out == mine
    assert main(["verify", *args, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["constants"][-1]["attained"] > 0


def test_an_edited_card_is_named(good: Good, capsys: pytest.CaptureFixture[str]) -> None:
    card = json.loads(good.model.read_text())
    card["certificate"]["averagedness"] = 0.3
    good.model.write_text(json.dumps(card))
    line = failing(capsys, good.model, *QUICK)
    assert "network, α: the card claims 0.3" in line
    # The report that rests on it fails as well.
    assert "proof of denoiser tiny" in failing(capsys, good.report, *UNRUN)


def test_weights_with_smaller_norms_are_named(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = good.model.with_suffix(".safetensors")
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    state = load_file(weights)
    norms = [key for key in state if key.endswith("norm")]
    assert norms
    for key in norms:
        state[key] /= 1.5
    save_file(state, weights, metadata)
    card = json.loads(good.model.read_text())
    card["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    good.model.write_text(json.dumps(card))
    assert "the block is not averaged: h‖W‖²/2" in failing(capsys, good.model, *QUICK)
    digest = card["sha256"]
    good.edit(lambda plain: plain["denoiser"].update(sha256=digest))
    assert "proof of denoiser tiny" in failing(capsys, good.report, *UNRUN)
