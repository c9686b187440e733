"""The parts of the report's page about the device: agreement, waits, time, what does not fit."""

from __future__ import annotations

from collections import Counter, defaultdict

from scripts.accelerator.record import (
    MODES,
    UNREACHED,
    Found,
    errors_of,
    measured,
    raw_errors,
    section,
    sections,
    table,
)

# Waits of a record that the tree does not have any more, as the record names their lines.
MENDED = (
    "operators/base.py:331",
    "operators/base.py:336",
    "networks/euler.py:93",
)


def agreement(record: Found) -> str:
    planned = section(record, "reconstruct").get("matrix", {})
    rows = measured(planned)
    text = ["## Solvers and operators against the CPU"]
    if rows:
        worst = max(rows, key=lambda key: rows[key]["diff"]["max"])
        same = sum(row["verdict_same"] for row in rows.values())
        text.append(
            f"{len(rows)} of {len(planned)} combinations of operator, prior and solver were run, "
            "each with the same number of iterations on the CPU and on the device in float32. The "
            f"largest difference of a picture is {rows[worst]['diff']['max']:.1e} ({worst}); "
            f"{same} of {len(rows)} verdicts are the same."
        )
    found = measured(section(record, "operators"))
    if operators := {key: row for key, row in found.items() if "norm_device" in row}:
        held = operators.values()
        largest = {
            tag: max(row[f"adjoint_{tag}_f32"] for row in held) for tag in ("float32", "float64")
        }
        away = max(row["A_float32_f32_vs_cpu"] for row in held)
        norms = max(abs(row["norm_equal_rel"]) for row in held)
        broken = section(record, "operators").get("tolerance_broken") or "none"
        text.append(
            f"{len(operators)} operators: the largest relative mismatch of a transpose is "
            f"{largest['float32']:.1e} in float32 and {largest['float64']:.1e} in float64, the "
            f"largest difference of A x from the CPU {away:.1e}, of a norm bound {norms:.1e} "
            f"relative; tolerances broken: {broken}."
        )
    return "\n\n".join(text)


def waiting(record: Found) -> str:
    found = section(record, "synchronisations")
    rows = {key: row for key, row in measured(found).items() if "per_iteration" in row}
    if not rows:
        return ""
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    for key, row in rows.items():
        for line, often in row["sync_lines_per_iteration"].items():
            if often:
                # Files are named as they were at the recorded commit: by their last folder.
                counts[line.removeprefix("pnp_recon/")][key] = often
    text = [
        "## Where an iteration waits",
        "PnP-HQS on 481×321 in float32, per iteration; the denoiser in ms, and the rest as the "
        "overhead; waits are calls of `cudaStreamSynchronize`, launches of `cudaLaunchKernel`.",
        table(
            [
                "run",
                "ms",
                "of them denoiser",
                "overhead",
                "device idle",
                "waits",
                "kernels launched",
            ],
            (
                [
                    key,
                    f"{row['ms_per_iteration']:.2f}",
                    f"{row['denoiser_ms']:.2f}",
                    f"{100 * row['overhead_share']:.1f} %",
                    f"{100 * row['gpu_idle_share']:.0f} %",
                    f"{row['per_iteration']['cudaStreamSynchronize']:g}",
                    f"{row['per_iteration']['cudaLaunchKernel']:g}",
                ]
                for key, row in rows.items()
            ),
        ),
        table(
            ["line that waits", *rows, "since"],
            (
                [
                    f"`{line}`",
                    *(f"{held.get(key, 0):g}" for key in rows),
                    "mended" if line.startswith(MENDED) else "stays",
                ]
                for line, held in counts.items()
            ),
        ),
        "The device idles because launching the kernels of the denoiser takes longer than "
        "running them at this size. What stays reads the residuals at each look.",
    ]
    return "\n\n".join(text)


def times(record: Found) -> str:
    rows = measured(section(record, "time_memory").get("denoisers", {}))
    if not rows:
        return ""
    held: dict[tuple[str, str], dict[str, Found]] = defaultdict(dict)
    for key, row in rows.items():
        name, size, mode = key.split()
        held[size, name][mode] = row

    def cell(row: Found | None) -> str:
        if row is None:
            return "not reached"
        memory = f", {row['peak_extra_MiB']:.0f} MiB" if "peak_extra_MiB" in row else ""
        return f"{row['ms']:.1f} ms{memory}"

    return "\n\n".join(
        [
            "## Time and memory of one call",
            "Memory beside the picture and the weights, cuDNN's workspace included:",
            table(
                ["size", "denoiser", *MODES.values()],
                (
                    [size, name, *(cell(found.get(mode)) for mode in MODES)]
                    for (size, name), found in held.items()
                ),
            ),
        ]
    )


def mixtures(record: Found) -> str:
    found = section(record, "devices")
    if not found or "skipped" in found:
        return ""
    held: dict[str, list[str]] = defaultdict(list)
    for key, error in errors_of(found).items():
        held[error].append(key)
    text = ["## What does not fit together"]
    if held:
        lines = [[", ".join(keys), f"`{error}`"] for error, keys in held.items()]
        text += [
            "These end in an error of torch's, which does not say what to do:",
            table(["what was given", "error"], lines),
        ]
    ran = [key for key, row in found.items() if isinstance(row, str) and row.startswith("ran on")]
    count = Counter(key.partition(": ")[2] or key for key in ran)
    words = ", ".join(f"{key} ({often})" for key, often in count.items())
    text.append(f"These runs went through, with how many operators: {words}.")
    inverse = found.get("A_dagger valid on device")
    if isinstance(inverse, dict) and "max" in inverse:
        text.append(
            f"`A_dagger` of the valid blur differs from the CPU's by up to {inverse['max']:.1e} "
            f"(root mean square {inverse['rms']:.1e})."
        )
    return "\n\n".join(text)


def faults(record: Found) -> str:
    """What is to be mended, as far as the record shows it."""
    lines = []
    if failed := section(record, "reconstruct").get("contradicted_user_defaults"):
        runs = " and ".join(f"`{key}`" for key in failed)
        lines.append(
            f"TF32 is not switched off in certified runs: {runs} contradict their certificates, "
            "with what is torch's default."
        )
    if errors := raw_errors(section(record, "devices")):
        what = "; ".join(errors)
        lines.append(f"Raw errors of torch instead of one that says what to do: {what}.")
    if not lines:
        return ""
    return "\n\n".join(["## Faults to mend", "\n".join(f"- {line}" for line in lines)])


def unreached(record: Found) -> str:
    lines = []
    for name, found in sections(record).items():
        if "skipped" in found:
            lines.append(f"{name}: all of it ({found['skipped']})")
            continue
        nested = {part: rows for part, rows in found.items() if isinstance(rows, dict)}
        for part, rows in {"": found, **nested}.items():
            missed = [k for k, v in rows.items() if isinstance(v, str) and v.startswith(UNREACHED)]
            if missed:
                total = len(missed) + sum(isinstance(row, dict) for row in rows.values())
                lines.append(f"{name}{', ' + part if part else ''}: {len(missed)} of {total}")
        if found.get("late") or found.get("cut"):
            lines.append(f"{name}: cut at the end of its time")
    if not lines:
        return ""
    return "\n\n".join(["## Not reached", "\n".join(f"- {line}" for line in lines)])
