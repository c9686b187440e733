"""The commands that there are. Loads none of them, and no command imports it.

pyproject.toml installs each under its name ([project.scripts]); a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.registry import Entry, Registry


@dataclass(frozen=True)
class CommandEntry(Entry):
    """A command; its home is the `main(argv)` that returns the exit code.

    Attributes:
        words: what it does, in one sentence.
    """

    words: str


COMMANDS: Registry[CommandEntry] = Registry(
    "command",
    [
        CommandEntry(
            "pnp-deblur",
            "pnp_recon.cli.deblur:main",
            "Deblurs photographs and says what is proven about the result.",
        ),
        CommandEntry(
            "pnp-inpaint",
            "pnp_recon.cli.inpaint:main",
            "Fills in missing pixels and says what is proven about the result.",
        ),
        CommandEntry(
            "pnp-sr",
            "pnp_recon.cli.sr:main",
            "Enlarges small pictures and says what is proven about the result.",
        ),
        CommandEntry(
            "pnp-jpeg",
            "pnp_recon.cli.jpeg:main",
            "Takes JPEG artefacts out, within the cells that the file gives.",
        ),
        CommandEntry(
            "pnp-ct",
            "pnp_recon.cli.ct:main",
            "Reconstructs slices from X-ray projections and says what is proven about them.",
        ),
        CommandEntry(
            "pnp-mri",
            "pnp_recon.cli.mri:main",
            "Reconstructs complex pictures from k-space and says what is proven about them.",
        ),
        CommandEntry(
            "pnp-train",
            "pnp_recon.cli.train:main",
            "Trains denoisers and reconstruction networks, exports them and checks their cards.",
        ),
        CommandEntry(
            "pnp-bench",
            "pnp_recon.cli.bench:main",
            "Runs the benchmark, tunes methods, and reports and compares results.",
        ),
        CommandEntry(
            "pnp-recon",
            "pnp_recon.cli.listing:main",
            "Lists what there is with its guarantees, and verifies reports and models.",
        ),
    ],
)
