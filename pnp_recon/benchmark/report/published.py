"""Values from papers: quoted, not run here, and never in one table with what was.

Each table says where it is from and in what its protocol differs, and is shown only where the
benchmark's own suite and pictures match.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One table of a paper.

    Attributes:
        suite, split, channels: which runs it may stand beside.
        head: titles of the columns behind the method and before the guarantee.
        rows: (method, values, guarantee); an empty value was not published.
        source: who measured it.
        differs: in what the protocol is not the benchmark's.
    """

    suite: str
    split: str
    channels: int
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], str], ...]
    source: str
    differs: str


_CRR = (
    "Goujon, Neumayer, Bohra, Ducotterd and Unser, A Neural-Network-Based Convex Regularizer for "
    "Inverse Problems, IEEE Trans. Computational Imaging 2023 (CRR-NN, one gradient step, ReLU "
    "variant)"
)
_WCRR = (
    "Goujon, Neumayer and Unser, Learning Weakly Convex Regularizers for Convergent "
    "Image-Reconstruction Algorithms, SIAM J. Imaging Sciences 2024 (WCRR-NN)"
)
_DEAL = (
    "Pourya, Kobler, Unser and Neumayer, DEALing with Image Reconstruction: Deep Attentive Least "
    "Squares, ICML 2025 (DEAL)"
)
_WEI = "Wei, Chen and Li, Learning Pseudo-Contractive Denoisers for Inverse Problems, ICML 2024"

PUBLISHED: tuple[Published, ...] = (
    Published(
        "denoise", "bsd68", 1,
        "Grey BSD68, PSNR in dB",
        ("σ·255 = 5", "15", "25"),
        (
            ("CRR-NN, prox of a learned convex function", ("36.96", "30.54", "28.10"),
             "firmly nonexpansive if solved exactly; norm by power iteration"),
            ("CRR-NN, one gradient step", ("36.87", "", "27.86"), "nonexpansive"),
            ("ReLU variant, one gradient step", ("35.50", "", "26.75"), "nonexpansive"),
            ("WCRR-NN", ("37.65", "31.21", "28.68"), "none of this kind (1-weakly convex)"),
            ("DEAL", ("37.85", "31.61", "29.16"), "none"),
        ),
        f"{_CRR}; {_WCRR}; {_DEAL}",
        "The grey BSD68 of the papers was converted to 8 bit by MATLAB, here it is converted in "
        "float (0.299 R + 0.587 G + 0.114 B): a difference in the second decimal. The noise is "
        "another draw.",
    ),
    Published(
        "denoise", "bsd68", 3,
        "CBSD68, PSNR in dB",
        ("σ·255 = 15", "25", "40"),
        (
            ("MMO", ("32.21", "29.99", "27.87"), "soft Jacobian penalty, not certified"),
            ("NE-DRUNet", ("32.54", "30.12", "28.00"), "soft Jacobian penalty, not certified"),
            ("pseudo-contractive DRUNet", ("34.01", "31.44", "29.14"),
             "pseudo-contractive by a training penalty, not certified"),
            ("DRUNet", ("34.14", "31.54", "29.33"), "none"),
        ),
        f"{_WEI}, which quotes or retrained the others",
        "Noise levels as in their paper, and another draw of the noise; their networks were "
        "trained on other and mostly larger sets of pictures.",
    ),
    Published(
        "deblur", "bsd68", 3,
        "CBSD68 deblurring, PSNR in dB / SSIM",
        ("σ·255 = 12.75", "17.85"),
        (
            ("DPIR", ("27.65 / 0.774", "26.75 / 0.729"), "none"),
            ("MMO", ("26.03 / 0.687", "25.30 / 0.642"), "soft Jacobian penalty, not certified"),
            ("NE-PGD", ("26.16 / 0.698", "25.37 / 0.653"), "soft Jacobian penalty, not certified"),
            ("Prox-DRS", ("26.64 / 0.720", "25.99 / 0.690"),
             "soft Jacobian penalty, not certified"),
            ("pseudo-contractive HQS", ("27.60 / 0.770", "26.63 / 0.730"),
             "pseudo-contractive by a training penalty, not certified"),
        ),
        f"{_WEI}, with the kernels of Levin et al. (2009)",
        "The kernels are Levin's eight camera shakes; here they are linear motion, two seeded "
        "trajectories, a Gaussian and a disk; σ·255 = 12.75 is in both. Only the order of "
        "magnitude can be compared.",
    ),
)  # fmt: skip


def published(suite: str, split: str, channels: int) -> list[Published]:
    """The tables that may stand beside runs of this suite, split and number of channels."""
    return [
        table
        for table in PUBLISHED
        if (table.suite, table.split, table.channels) == (suite, split, channels)
    ]
