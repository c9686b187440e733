"""What stands at the top of a report: whether the run is certified, in words and a colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pnp_recon.report.trade import OTHER_KIND

# Runs that succeeded and are not settled: their last step is one on the way.
EARLY = ("early_stop", "least_error")


def verdict_html(
    certificate: Mapping[str, Any], status: Mapping[str, Any], doubts: Sequence[str] = ()
) -> str:
    """The banner of a report.

    Args:
        certificate, status: its blocks.
        doubts: why the picture may be wrong all the same, a sentence each.
    """
    if certificate["contradicted"]:
        kind, title = "failed", "The certificate FAILED"
        text = (
            "The run broke a law that the proof implies. Do not rely on this picture: the proof "
            "was applied to something else than what ran, or the hardware erred."
        )
    elif status["name"] == "direct":
        kind, title = "plain", "Computed by a formula"
        text = "The picture is computed in one step: there is no iteration that has to settle."
    elif not certificate["proven"]:
        kind, title = "none", "No guarantee"
        text = (
            "Nothing is proven about this run: the method may not settle, and another start may "
            "end elsewhere. The picture may still be good."
        )
    elif certificate["unchecked"]:
        kind, title = "none", "Not certified: the run checked nothing"
        text = f"There is a theorem about the method, but {certificate['unchecked']}."
    elif certificate["conditions"]:
        kind, title = "good", "Certified, if what was declared is true"
        text = (
            "It is proven that the repeated step settles on a picture, and the run agreed with "
            f"the proof, if {' and '.join(certificate['conditions'])}. Nothing that was measured "
            "speaks against it. This is a statement about the method, not that every restored "
            "detail is true."
        )
    else:
        kind, title = "good", "Certified: the method is proven to settle"
        text = (
            "It is proven that the repeated step settles on a picture instead of drifting or "
            "blowing up, and the run agreed with the proof. This is a statement about the "
            "method, not that every restored detail is true."
        )
    if kind == "good" and (status["name"] in EARLY or not status["succeeded"]):
        text += " This run was stopped before it had settled: the picture is an intermediate one."
    if kind == "good":
        text += OTHER_KIND.get(certificate["kind"], "")
    doubted = "".join(f"<li>{escape(doubt)}</li>" for doubt in doubts)
    if doubted:
        doubted = (
            "<p><strong>There is doubt about this picture.</strong> No certificate speaks for what "
            f"it was told of blur, noise or scan:</p><ul>{doubted}</ul>"
        )
    return (
        f'<div class="verdict {kind}"><strong>{title}</strong><p>{text}</p>'
        f"<p>{escape(certificate['verdict'])}</p>{doubted}</div>"
    )
