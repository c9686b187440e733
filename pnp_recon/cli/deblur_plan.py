"""`pnp-deblur` before anything heavy: the options as a value, and which file goes where.

Imports no torch: a wrong option or path is answered at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pnp_recon.cli.common import check_writable, make_folder, parse_level, parse_positive
from pnp_recon.errors import InputError
from pnp_recon.files import check_target
from pnp_recon.inputs import expand_inputs

KERNELS = ("motion", "trajectory", "gaussian", "disk", "uniform")
# What of --length, --angle and --kernel-size a kernel can use.
_USES = {
    "motion": {"--length", "--angle", "--kernel-size"},
    "trajectory": {"--kernel-size"},
    "gaussian": {"--length", "--kernel-size"},
    "disk": {"--length", "--kernel-size"},
    "uniform": {"--kernel-size"},
}
SIMULATED_LEVEL = 2.55 / 255
MARK = "_deblurred"


@dataclass(frozen=True)
class Options:
    """What the user asked for; None means that a default or an estimate takes its place."""

    inputs: tuple[str, ...]
    output: Path | None = None
    kernel: str = "motion"
    length: float | None = None
    angle: float | None = None
    kernel_size: int | None = None
    seed: int = 0
    sigma: str | None = None
    boundary: str = "valid"
    denoiser: str = "auto"
    solver: str = "auto"
    strength: str = "auto"
    step: float | None = None
    max_iter: int | None = None
    tol: float | None = None
    time_limit: float | None = None
    device: str = "auto"
    dtype: str = "float32"
    simulate: bool = False
    linear_light: bool = False
    reference: Path | None = None
    report: Path | None = None
    residuals: Path | None = None
    require_certificate: bool = False
    allow_uncertified: bool = False
    overwrite: bool = False
    output_is_folder: bool = False

    @property
    def kernel_file(self) -> Path | None:
        return None if self.kernel in KERNELS else Path(self.kernel)

    @property
    def noise_level(self) -> float | None:
        """The level that --sigma gives, [0, 1] scale; None: estimate it."""
        if self.sigma is None:
            return SIMULATED_LEVEL if self.simulate else None
        return parse_level(self.sigma)

    @property
    def simulated_level(self) -> float:
        """The noise that --simulate adds."""
        level = None if self.sigma is None else parse_level(self.sigma)
        return SIMULATED_LEVEL if level is None else level

    def check(self) -> None:
        """Refuses what cannot work, before any file is read.

        Raises:
            InputError: naming the option, what was found and what to do.
        """
        if self.sigma is not None:
            parse_level(self.sigma)
        parse_positive(self.strength, "--strength")
        if self.kernel_file is not None and not self.kernel_file.exists():
            raise InputError(
                f"--kernel is {self.kernel!r}; expected {', '.join(KERNELS)} or an existing "
                "kernel file"
            )
        given = {
            "--length": self.length,
            "--angle": self.angle,
            "--kernel-size": self.kernel_size,
        }
        used = _USES.get(self.kernel, set())
        for option, value in given.items():
            if value is not None and option not in used:
                fits = f"it takes {', '.join(sorted(used))}" if used else "a file is complete"
                raise InputError(f"{option} does not go with --kernel {self.kernel}: {fits}")
        if self.simulate and self.reference is not None:
            raise InputError(
                "--simulate takes the input itself as the reference; leave out --reference"
            )
        if self.require_certificate and self.allow_uncertified:
            raise InputError(
                "--require-certificate and --allow-uncertified contradict each other; give one"
            )


@dataclass(frozen=True)
class Job:
    """One picture: what goes in, and where its results go."""

    source: Path
    target: Path
    reference: Path | None = None
    report: Path | None = None
    residuals: Path | None = None
    other_inputs: tuple[Path, ...] = ()


def is_batch(options: Options) -> bool:
    """Several files may come: a folder, a glob, or more than one name."""
    single = len(options.inputs) == 1 and Path(options.inputs[0]).is_file()
    return not (single or (len(options.inputs) == 1 and not _is_pattern(options.inputs[0])))


def _is_pattern(entry: str) -> bool:
    return Path(entry).is_dir() or any(mark in entry for mark in "*?[")


def plan_jobs(options: Options) -> list[Job]:
    """The jobs, with folders for results created and checked.

    In folders and globs, results of an earlier run (`x_deblurred.png` beside `x.png`) are passed
    over.

    Raises:
        InputError, OutputError: an input matches nothing, or a result has no place.
    """
    batch = is_batch(options)
    sources = expand_inputs(options.inputs)
    if batch:
        named = {Path(entry) for entry in options.inputs}
        results = {_beside(source) for source in sources}
        sources = [path for path in sources if path not in results or path in named]
    folder = _folder_for_results(options, batch)
    if folder is None and options.output is not None:
        targets = [options.output]
    elif folder is None:
        targets = [_beside(source) for source in sources]
    else:
        make_folder(folder)
        targets = [folder / _beside(source).name for source in sources]
    twice = [path for path, count in Counter(targets).items() if count > 1]
    if twice:
        raise InputError(
            f"several inputs would be written to {twice[0]}; give them in separate calls"
        )
    names = _distinct_names(sources)
    kernel_file = [] if options.kernel_file is None else [options.kernel_file]
    return [
        Job(
            source,
            target,
            _reference_for(options, source, batch),
            _inside(options.report, name if batch else None),
            _with_name(options.residuals, name if batch else None),
            (*sources, *kernel_file),
        )
        for source, target, name in zip(sources, targets, names, strict=True)
    ]


def check_places(job: Job, options: Options) -> None:
    """Refuses a job whose results cannot be written, before its run.

    Raises:
        OutputError: with the reason.
    """
    inputs = [job.source, *job.other_inputs]
    if job.reference is not None:
        inputs.append(job.reference)
    for path in (job.target, job.residuals):
        if path is not None:
            check_target(path, overwrite=options.overwrite, inputs=inputs)
            check_writable(path.resolve().parent)
    if job.report is not None:
        make_folder(job.report)
        check_writable(job.report)


def _beside(source: Path) -> Path:
    return source.with_name(f"{source.stem}{MARK}{source.suffix}")


def _folder_for_results(options: Options, batch: bool) -> Path | None:
    out = options.output
    if out is None:
        return None
    if batch and out.is_file():
        raise InputError(f"--output is the file {out}; for several pictures give a folder")
    return out if batch or options.output_is_folder or out.is_dir() else None


def _reference_for(options: Options, source: Path, batch: bool) -> Path | None:
    given = options.reference
    if given is None:
        return None
    if given.is_dir():
        return given / source.name
    if batch:
        raise InputError(
            f"--reference is {given}; for several pictures give a folder with files of their names"
        )
    return given


def _distinct_names(sources: list[Path]) -> list[str]:
    """Stems, or whole names where two files share a stem."""
    counts = Counter(source.stem for source in sources)
    names = [source.stem if counts[source.stem] == 1 else source.name for source in sources]
    again = Counter(names)
    return [
        name if again[name] == 1 else f"{index}_{name}" for index, name in enumerate(names, start=1)
    ]


def _inside(folder: Path | None, name: str | None) -> Path | None:
    return folder if folder is None or name is None else folder / name


def _with_name(path: Path | None, name: str | None) -> Path | None:
    if path is None or name is None:
        return path
    return path.with_name(f"{path.stem}_{name}{path.suffix}")
