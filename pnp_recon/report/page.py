"""report.html: the report as one self-contained page that a non-programmer can read.

Every picture is inline, nothing is fetched, every text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from pnp_recon.pictures.preview import picture_png
from pnp_recon.report.figure import kernel_png, kernel_size
from pnp_recon.report.glossary import glossary_html
from pnp_recon.report.run import Run
from pnp_recon.report.strength import strength_sentence
from pnp_recon.report.trade import MEANING
from pnp_recon.report.verdict import verdict_html

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; color: #22303c;
       background: #f4f6f8; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 24px; background: #fff; }
h1 { font-size: 1.7em; margin: 0 0 .2em; } h2 { margin: 1.8em 0 .5em; font-size: 1.25em; }
.sub { color: #5b6875; margin: 0 0 1.2em; }
.verdict { border-left: 8px solid; padding: 14px 18px; border-radius: 4px; margin: 1em 0; }
.verdict strong { font-size: 1.15em; }
.good { border-color: #2e7d46; background: #eaf5ed; }
.plain { border-color: #5b7083; background: #eef2f5; }
.none { border-color: #d9822b; background: #fdf3e6; }
.failed { border-color: #b3261e; background: #fbe9e7; color: #7d1913; }
.pictures { display: flex; flex-wrap: wrap; gap: 16px; }
figure { margin: 0; flex: 1 1 300px; }
figure.kernel { flex: 0 0 auto; }
figure.kernel img { width: 160px; image-rendering: pixelated; }
figure img { width: 100%; height: auto; border-radius: 3px; background: #000; }
figcaption { color: #5b6875; font-size: .92em; margin-top: 4px; }
table { border-collapse: collapse; width: 100%; font-size: .95em; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid #e2e7ec;
         vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; width: 26%; }
thead th { color: #5b6875; width: auto; }
.number { white-space: nowrap; }
.ok { color: #2e7d46; font-weight: 600; } .bad { color: #b3261e; font-weight: 700; }
dt { font-weight: 600; } dd { margin: 0 0 .7em 0; }
img.wide { width: 100%; }
"""


def report_html(report: Mapping[str, Any], run: Run, figure: bytes) -> str:
    """The page. `report` is the validated document, `figure` the PNG of the figure."""
    name = Path(report["inputs"][0]["path"]).name if report["inputs"] else "picture"
    body = [
        f"<h1>Restoration of {escape(name)}</h1>",
        f'<p class="sub">{escape(report["created"])} · pnp-recon '
        f"{escape(report['environment']['pnp_recon'] or 'development version')}</p>",
        verdict_html(report["certificate"], report["status"], run.doubts),
        _section("What was done", f"<p>{escape(' '.join(_story(report)))}</p>" + _notes(report)),
        _section("Before and after", _pictures(run)),
        _section("What is proven", _proven(report["certificate"])),
        _section("What was observed", _observed(report, figure)),
        _section("Numbers", _rows(_numbers(report))),
        _section("Words", glossary_html(report)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Restoration of {escape(name)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _story(report: Mapping[str, Any]) -> Iterable[str]:
    kernel, noise, status = report["kernel"], report["noise"], report["status"]
    if kernel is not None:
        numbers = ", ".join(
            f"{key} {_number(value)}"
            for key, value in kernel["parameters"].items()
            if value is not None
        )
        blur = f"{kernel['name']} ({numbers})" if numbers else kernel["name"]
        if report["simulated"]:
            yield f"A clean picture was blurred on purpose, by the kernel {blur}."
        else:
            yield f"The picture was taken to be blurred by the kernel {blur}."
        if kernel["origin"] == "estimated":
            sure = kernel["confidence"]
            said = "" if sure is None else f", with confidence {sure:.2f} of 1"
            apart = (
                f" (but its {' and '.join(kernel['given'])}, as given)" if kernel["given"] else ""
            )
            yield (
                f"The kernel was estimated from the picture{apart}{said}; proofs are about it only."
            )
    if report["physics"] is not None and report["physics"]["words"]:
        yield report["physics"]["words"]
    if noise["level"] is not None:
        yield f"Its noise level is {noise['words']}."
    what = "the camera saw" if kernel is not None else "was measured"
    prior = report["denoiser"]
    changes = {"denoiser": "remove noise with the network", "energy": "lower the energy"}
    change = f"{changes.get(prior['kind'], 'lower its')} {prior['name']}"
    if prior["kind"] == "reconstruction network":
        yield (
            f"The network {prior['name']} then made the picture in {status['iterations']} learned "
            f"steps, each of which compares it with what {what} and corrects it."
        )
    elif status["iterations"]:
        yield (
            f"The method {report['solver']['name']} then {_repeated(report)}: make the picture "
            f"agree with what {what}, then {change}."
        )
    else:
        yield f"The method was {report['solver']['name']}."
    if sentence := strength_sentence(report["strength"]):
        yield sentence
    yield f"It ended like this: {status['message']}."
    before, after = report["metrics"]["before"], report["metrics"]["after"]
    if before and after:
        yield (
            f"Against the true picture the quality went from {_number(before['psnr'], 'dB')} to "
            f"{_number(after['psnr'], 'dB')} PSNR."
        )


def _notes(report: Mapping[str, Any]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in report["notes"])
    return f"<ul>{items}</ul>" if items else ""


def _pictures(run: Run) -> str:
    state = "degraded" if run.physics is None else run.physics.shown
    if run.kernel is not None:
        state = "blurred" + (" by us" if run.simulated else "")
    shown = [
        (f"before: {state}", picture_png(run.degraded)),
        ("after: restored", picture_png(run.restored)),
    ]
    if run.reference is not None:
        shown.append(("the true picture", picture_png(run.reference)))
    out = [_figure(png, caption) for caption, png in shown]
    if run.kernel is not None:
        weights = run.kernel.weights
        caption = f"the blur kernel{'s' * (weights.ndim == 4)}, {kernel_size(weights)}"
        out.append(_figure(kernel_png(run.kernel.weights), caption, "kernel"))
    elif run.physics is not None and run.physics.picture is not None:
        out.append(_figure(picture_png(run.physics.picture[None, None]), run.physics.caption))
    return f'<div class="pictures">{"".join(out)}</div>'


def _figure(png: bytes, caption: str, kind: str = "") -> str:
    return (
        f'<figure class="{kind}"><img alt="{escape(caption)}" src="{_inline(png)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _proven(certificate: Mapping[str, Any]) -> str:
    if not certificate["proven"]:
        text = f"<p><strong>Nothing.</strong> {escape(certificate['verdict'])}</p>"
    else:
        meaning = MEANING.get(certificate["kind"])
        text = f"<p>{escape(meaning)}</p>" if meaning else ""
        text += f"<p>{escape(certificate['theorem'])}</p>"
        if certificate["guarantee"]["holds"]:  # other theorems are about no map
            text += f"<p>The step as a map: {escape(certificate['guarantee']['words'])}</p>"
    text += "".join(f"<p>{escape(remark)}</p>" for remark in certificate["remarks"])
    rows = "".join(
        f"<tr><td>{escape(item['name'])}</td><td class='number'>{_number(item['value'])}</td>"
        f"<td>{escape(item['how'])}</td></tr>"
        for item in certificate["constants"]
    )
    if not rows:
        return text
    head = "<thead><tr><th>constant</th><th>value</th><th>how it is known</th></tr></thead>"
    return f"{text}<table>{head}<tbody>{rows}</tbody></table>"


def _observed(report: Mapping[str, Any], figure: bytes) -> str:
    rows = "".join(
        f"<tr><td>{escape(item['law'])}</td><td class='number'>{_number(item['worst'])}</td>"
        f"<td>{_number(item['limit'])}</td><td class='{'ok' if item['passed'] else 'bad'}'>"
        f"{'holds' if item['passed'] else 'BROKEN'}</td></tr>"
        for item in report["certificate"]["observations"]
    )
    head = (
        "<thead><tr><th>consequence of the proof</th><th>worst</th><th>limit</th>"
        "<th>verdict</th></tr></thead>"
    )
    table = f"<table>{head}<tbody>{rows}</tbody></table>" if rows else ""
    none = "" if rows else "<p>Nothing was proven, so there was no consequence to check.</p>"
    if report["status"]["name"] == "direct":
        none = ""
    return f'{none}{table}<p><img class="wide" alt="figure" src="{_inline(figure)}"></p>'


def _numbers(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for label, which in (("before", "before"), ("after", "after")):
        quality = report["metrics"][which]
        if quality:
            yield (
                f"quality {label}",
                f"PSNR {_number(quality['psnr'], 'dB')}, SSIM {_number(quality['ssim'])}",
            )
    history, environment = report["history"], report["environment"]
    if history["relative_residuals"]:
        yield "last relative residual", _number(_largest(history["relative_residuals"][-1]))
    yield "solver", report["solver"]["name"]
    for key, value in report["solver"]["parameters"].items():
        yield key.replace("_", " "), _number(value)
    if report["strength"]:
        yield "strength", report["strength"]["words"]
    prior = report["denoiser"]
    yield prior["kind"], f"{prior['name']}: {prior['guarantee']['words']}"
    yield "SHA-256 of its weights", prior["sha256"] or "none"
    boundary = report["operator"]["boundary"]
    yield "operator", report["operator"]["name"] + (f", border {boundary}" if boundary else "")
    for file in report["inputs"]:
        yield f"{file['role']} file", f"{file['path']} (SHA-256 {file['sha256']})"
    if report["output"]:
        yield "output file", report["output"]
    for key, value in report["timings"].items():
        yield f"time: {key.replace('_', ' ')}", _number(value, "s")
    if report["peak_memory"]["host_bytes"]:
        yield "peak memory", f"{report['peak_memory']['host_bytes'] / 2**20:.0f} MiB"
    yield (
        "computer",
        f"{environment['device']} ({environment['device_name']}), {environment['threads']} "
        f"threads, {environment['dtype']}, {environment['platform']}",
    )
    libraries = {"python": environment["python"], **environment["libraries"]}
    yield "versions", ", ".join(f"{key} {value}" for key, value in libraries.items() if value)


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in pairs)
    return f"<table>{cells}</table>"


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}"


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _largest(row: Iterable[float | None]) -> float | None:
    return max((value for value in row if value is not None), default=None)


def _repeated(report: Mapping[str, Any]) -> str:
    iterations = report["status"]["iterations"]
    before = report["solver"]["parameters"].get("continued")
    times = "took one step" if iterations == 1 else f"repeated one step {iterations} times"
    return f"began where {before:g} rougher steps had led, and {times}" if before else times


def _number(value: Any, unit: str = "") -> str:
    """A number for reading, escaped: "not finite" where JSON holds null."""
    if value is None:
        return "not finite"
    text = f"{value:.5g}" if isinstance(value, float) else escape(str(value))
    return f"{text} {unit}" if unit else text
