"""Which file goes where: from the names that a user gives to jobs.

Imports no torch: a wrong path is answered at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pnp_recon.cli.run.options import RunOptions
from pnp_recon.cli.shell import check_writable, make_folder
from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import (
    PICTURE_SUFFIXES,
    READ_SUFFIXES,
    check_target,
    expand_inputs,
    split_frame,
)


@dataclass(frozen=True)
class Names:
    """What a command takes for an input, and how it calls the result.

    Attributes:
        mark: put behind the stem of an input to name its result ("_deblurred").
        inputs: the suffixes that count as an input in folders and globs.
        outputs: the suffixes that can be written.
        output: the suffix of a result without --output; None: that of the input, or the first of
            `outputs` where the input's is only read.
    """

    mark: str
    inputs: tuple[str, ...] = READ_SUFFIXES
    outputs: tuple[str, ...] = PICTURE_SUFFIXES
    output: str | None = None


@dataclass(frozen=True)
class Job:
    """One input: what goes in, and where its results go.

    `other_inputs` are all inputs of the call and the files read beside them: none of them is
    ever overwritten.
    """

    source: Path
    target: Path
    reference: Path | None = None
    report: Path | None = None
    residuals: Path | None = None
    other_inputs: tuple[Path, ...] = ()


def is_batch(options: RunOptions) -> bool:
    """Several files may come: a folder, a glob, or more than one name."""
    single = len(options.inputs) == 1 and _is_one(split_frame(options.inputs[0])[0], options)
    return not (single or (len(options.inputs) == 1 and not _is_pattern(options.inputs[0])))


def _takes_folders(options: RunOptions) -> bool:
    """Whether a folder is one input of this command, not as many as it has files."""
    return bool(getattr(options, "whole_folders", False))


def _is_one(path: Path, options: RunOptions) -> bool:
    return path.is_file() or (_takes_folders(options) and path.is_dir())


def _is_pattern(entry: str) -> bool:
    return Path(entry).is_dir() or any(mark in entry for mark in "*?[")


def plan_jobs(names: Names, options: RunOptions) -> list[Job]:
    """The jobs, with folders for results created and checked.

    In folders and globs, results of an earlier run (`x_deblurred.png` beside `x.png`) and files
    that are read beside an input (a mask) are passed over.

    Raises:
        InputError, OutputError: an input matches nothing, or a result has no place.
    """
    batch = is_batch(options)
    if _takes_folders(options):
        sources = [Path(entry) for entry in options.inputs]
    else:
        sources = expand_inputs(options.inputs, names.inputs)
    if batch:
        named = {Path(entry) for entry in options.inputs}
        passed = {_beside(names, source) for source in sources}
        passed.update(path for source in sources for path in options.companions(source))
        sources = [path for path in sources if path not in passed or path in named]
    folder = _folder_for_results(options, batch)
    if folder is None and options.output is not None:
        targets = [Path(options.output)]
    elif folder is None:
        targets = [_beside(names, source) for source in sources]
    else:
        make_folder(folder)
        targets = [folder / _beside(names, source).name for source in sources]
    twice = [path for path, count in Counter(targets).items() if count > 1]
    if twice:
        raise InputError(
            f"several inputs would be written to {twice[0]}; give them in separate calls"
        )
    stems = _distinct_names(sources)
    beside = [path for source in sources for path in options.companions(source)]
    others = tuple(dict.fromkeys([*sources, *beside]))
    return [
        Job(
            source,
            target,
            _reference_for(options, source, batch),
            _inside(options.report, name if batch else None),
            _with_name(options.residuals, name if batch else None),
            others,
        )
        for source, target, name in zip(sources, targets, stems, strict=True)
    ]


def check_places(names: Names, job: Job, options: RunOptions) -> None:
    """Refuses a job whose results cannot be written, before its run.

    Raises:
        OutputError: with the reason.
    """
    suffix = job.target.suffix.lower()
    if suffix not in names.outputs:
        found = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise OutputError(
            f"cannot write {job.target}: it {found}; expected one of {', '.join(names.outputs)}"
        )
    inputs = [job.source, *job.other_inputs]
    if job.reference is not None:
        inputs.append(job.reference)
    places: dict[Path, Path] = {}
    for path in (job.target, job.residuals, getattr(options, "kernel_out", None)):
        if path is not None:
            check_target(path, overwrite=options.overwrite, inputs=inputs)
            check_writable(path.resolve().parent)
            if (twin := places.setdefault(path.resolve(), path)) is not path:
                raise OutputError(
                    f"two results would be written into {twin}, and one of them be lost; give "
                    "another name to one"
                )
    if job.report is not None:
        check_writable(_existing(job.report.absolute()))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: there it will be created."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _beside(names: Names, source: Path) -> Path:
    file, frame = split_frame(source)
    suffix = file.suffix if names.output is None else names.output
    if suffix.lower() not in names.outputs and suffix:
        suffix = names.outputs[0]
    stem = file.stem if frame is None else f"{file.stem}_{frame}"
    return source.with_name(f"{stem}{names.mark}{suffix}")


def _folder_for_results(options: RunOptions, batch: bool) -> Path | None:
    if options.output is None:
        return None
    out = Path(options.output)
    if batch and out.is_file():
        raise InputError(f"--output is the file {out}; for several pictures give a folder")
    return out if batch or options.output.endswith("/") or out.is_dir() else None


def _reference_for(options: RunOptions, source: Path, batch: bool) -> Path | None:
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
