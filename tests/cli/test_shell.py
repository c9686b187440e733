"""What all commands share: levels and numbers as they are typed, versions, missing inputs."""

from __future__ import annotations

import errno
from importlib import metadata

import pytest

import pnp_recon
from pnp_recon.cli.catalogue import COMMANDS
from pnp_recon.cli.deblur import main
from pnp_recon.cli.shell import describe, exit_code_of, package_version, parse_level, parse_positive
from pnp_recon.errors import InputError
from support.cli import only_line


def test_no_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "pnp-deblur --help" in only_line("pnp-deblur", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["pnp-deblur", "pnp-inpaint", "pnp-ct", "pnp-recon"])
def test_version(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMANDS[name].load()(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"{name} 0.")


def test_a_checkout_that_is_not_installed_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert package_version() == f"{pnp_recon.__version__} (not installed)"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("deepinv", 2, "this needs deepinv, which is not installed"), ("pnp_recon.x", 1, "defect")],
)
def test_a_library_that_is_missing_is_named(name: str, code: int, said: str) -> None:
    error = ModuleNotFoundError(f"No module named {name!r}", name=name)
    assert said in describe(error)
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("text", "level"),
    [("0.03", 0.03), ("7.65/255", 0.03), (" AUTO ", None), ("0", 0.0), ("1", 1.0), ("255/255", 1)],
)
def test_levels(text: str, level: float | None) -> None:
    assert parse_level(text) == (None if level is None else pytest.approx(level))


@pytest.mark.parametrize("text", ["", "x", "1/0", "-0.1", "7.65", "nan", "inf", "1/2/3", "300/255"])
def test_bad_levels(text: str) -> None:
    with pytest.raises(InputError, match="--sigma"):
        parse_level(text)


def test_positive() -> None:
    assert parse_positive("auto", "--strength") is None
    assert parse_positive("2.5", "--strength") == 2.5
    for text in ("0", "-1", "nan", "inf", "x"):
        with pytest.raises(InputError, match="--strength"):
            parse_positive(text, "--strength")


def test_a_full_disk_is_no_defect_of_the_program() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert describe(full).startswith("the disk is full")
    assert exit_code_of(full) == 2
    assert "defect" in describe(OSError(errno.EIO, "input or output"))
