"""ISMRMRD files as scanners write them: what is no line of the picture, and what a header lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.kspace import read_kspace

library = pytest.importorskip("ismrmrd")

COILS, SAMPLES, STEPS = 2, 16, 12
RNG = np.random.default_rng(0)
DATA = RNG.standard_normal((2, COILS, SAMPLES, STEPS)).astype(np.float32)
KSPACE = (DATA[0] + 1j * DATA[1]).astype(np.complex64)

SPACE = """<{0}><matrixSize><x>{1}</x><y>12</y><z>1</z></matrixSize>
<fieldOfView_mm><x>1</x><y>1</y><z>1</z></fieldOfView_mm></{0}>"""
ENCODING = "<encoding>" + SPACE.format("encodedSpace", SAMPLES) + SPACE.format("reconSpace", "{0}")
ENCODING += """<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>11</maximum>
<center>6</center></kspace_encoding_step_1></encodingLimits>
<trajectory>cartesian</trajectory></encoding>"""
HEADER = """<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<experimentalConditions><H1resonanceFrequency_Hz>1</H1resonanceFrequency_Hz>
</experimentalConditions>{0}</ismrmrdHeader>"""

Change = Callable[[Any, int], None]


def write(
    path: Path,
    change: Change = lambda line, step: None,
    data: np.ndarray = KSPACE,
    header: str | None = None,
    width: int = SAMPLES,
) -> Path:
    """One line for each step of phase encoding; `change` gets it and its number."""
    text = HEADER.format(ENCODING.format(width)) if header is None else header
    with library.Dataset(str(path), "dataset", mode="w") as file:
        if text:
            file.write_xml_header(text.encode())
        for step in range(data.shape[2]):
            line = library.Acquisition.from_array(np.ascontiguousarray(data[:, :, step]))
            line.idx.kspace_encode_step_1 = step
            line.center_sample = SAMPLES // 2
            change(line, step)
            file.append_acquisition(line)
    return path


def counted(name: str, value: Callable[[int], int]) -> Change:
    return lambda line, step: setattr(line.idx, name, value(step))


def test_a_whole_scan_has_nothing_left_out(tmp_path: Path) -> None:
    scan = read_kspace(write(tmp_path / "a.h5"))
    assert torch.equal(scan.data, torch.from_numpy(KSPACE))
    assert bool(scan.mask.all())
    assert scan.doubts == ()


@pytest.mark.parametrize("name", ["contrast", "repetition", "set", "phase"])
def test_counters_that_begin_at_one(tmp_path: Path, name: str) -> None:
    scan = read_kspace(write(tmp_path / "a.h5", counted(name, lambda step: 1)))
    assert torch.equal(scan.data, torch.from_numpy(KSPACE))
    scan = read_kspace(write(tmp_path / "a.h5", counted(name, lambda step: 1 + step // 8)))
    assert scan.mask[0].tolist() == [True] * 8 + [False] * 4
    assert "4 lines of other contrasts" in scan.doubts[0]


def test_lines_of_another_encoding_are_left_out(tmp_path: Path) -> None:
    def reference(line: Any, step: int) -> None:
        line.encoding_space_ref = int(step < 3)

    scan = read_kspace(write(tmp_path / "a.h5", reference))
    assert scan.mask[0].tolist() == [False] * 3 + [True] * 9
    assert "3 lines" in scan.doubts[0]


@pytest.mark.parametrize("mode", ["embedded", "separate"])
def test_lines_of_a_separate_calibration_are_no_lines_of_the_picture(
    tmp_path: Path, mode: str
) -> None:
    """They repeat steps of the picture, with another contrast."""
    twice = np.concatenate([KSPACE, 5 * KSPACE[:, :, 5:8]], 2)

    def calibration(line: Any, step: int) -> None:
        if step >= STEPS:
            line.idx.kspace_encode_step_1 = step - STEPS + 5
            line.set_flag(library.ACQ_IS_PARALLEL_CALIBRATION)

    parallel = f"""</trajectory><parallelImaging><accelerationFactor>
    <kspace_encoding_step_1>1</kspace_encoding_step_1>
    <kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>
    <calibrationMode>{mode}</calibrationMode></parallelImaging>"""
    header = HEADER.format(ENCODING.format(SAMPLES).replace("</trajectory>", parallel))
    scan = read_kspace(write(tmp_path / "a.h5", calibration, twice, header))
    apart = mode == "separate"
    assert torch.equal(scan.data, torch.from_numpy(KSPACE)) == apart
    assert any("3 lines" in doubt for doubt in scan.doubts) == apart


def test_a_reversed_line_is_turned_with_its_centre_and_its_ends(tmp_path: Path) -> None:
    def backwards(line: Any, step: int) -> None:
        line.discard_pre = 2
        if step % 2:
            line.set_flag(library.ACQ_IS_REVERSE)
            line.data[:] = line.data[:, ::-1]
            line.center_sample = line.data.shape[1] - SAMPLES // 2 + 3
            line.discard_pre, line.discard_post = 0, 2
        else:
            line.center_sample = SAMPLES // 2 - 3

    scan = read_kspace(write(tmp_path / "a.h5", backwards, KSPACE[:, 3:]))
    assert torch.equal(scan.data[:, 5:], torch.from_numpy(KSPACE)[:, 5:])
    assert scan.mask[:, 0].tolist() == [False] * 5 + [True] * 11


def test_what_an_echo_lacks_is_missing(tmp_path: Path) -> None:
    """Samples that are not there, or to be discarded, are no measured zeros."""

    def discarded(line: Any, step: int) -> None:
        line.discard_pre, line.discard_post = 3, 1

    def early(line: Any, step: int) -> None:
        line.center_sample = 5

    for path, first, last in (
        (write(tmp_path / "a.h5", discarded), 3, 15),
        (write(tmp_path / "b.h5", early, KSPACE[:, 3:]), 3, 16),
    ):
        scan = read_kspace(path)
        rows = torch.zeros(SAMPLES, dtype=torch.bool)
        rows[first:last] = True
        assert torch.equal(scan.mask, rows[:, None].expand(SAMPLES, STEPS))
        assert torch.equal(scan.data[:, rows], torch.from_numpy(KSPACE)[:, rows])
        assert "the echo is partial" in scan.doubts[0]
    # Cut to half the field of view, samples mix: those beside the gap are left out, too.
    scan = read_kspace(write(tmp_path / "c.h5", discarded, width=SAMPLES // 2))
    assert scan.mask[:, 0].tolist() == [False] * 4 + [True] * 2 + [False] * 2


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "no header"),
        ("<hello>", "not understood"),
        (HEADER.format(""), "no encoding"),
    ],
)
def test_headers_that_are_none(tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_kspace(write(tmp_path / "a.h5", header=header))


def test_lines_that_are_none(tmp_path: Path) -> None:
    empty = KSPACE[:, :, :0]
    for data, words in (
        (empty, "no lines"),
        (0 * KSPACE, "nothing but zeros"),
        (KSPACE * np.nan, "not finite"),
    ):
        with pytest.raises(InputError, match=words):
            read_kspace(write(tmp_path / "a.h5", data=data))
