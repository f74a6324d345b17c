"""Sentences on what was out of the ordinary in a run, for whoever looks at it once it is finished."""

from collections.abc import Mapping
from typing import Any

__all__ = ["notes_of_run"]

_SHOWN = 3


def notes_of_run(manifest: Mapping[str, Any]) -> list[str]:
    """What a run's manifest says of sequences without a score and of want of memory; often nothing.

    Args:
        manifest: Of a finished run; those of earlier versions say nothing.
    """
    sentences = []
    for name, left_out in (("scores", "has no score"), ("fisher", "was left out of the Fisher information")):
        found = manifest.get("unscored", {}).get(name, {"sequences": 0, "first": []})
        total, first = found["sequences"], found["first"][:_SHOWN]
        if total:
            subject = "1 sequence" if total == 1 else f"{total:,} sequences"
            verb = left_out if total == 1 else left_out.replace("has", "have").replace("was", "were")
            named = ", ".join(f"{each['id']} ({each['reason']})" for each in first)
            more = f" and {total - len(first):,} more" if total > len(first) else ""
            sentences.append(
                f"{subject} {verb}, because a value is NaN or infinite: {named}{more}. "
                f"Each is named in {name}/part-*.json of the run."
            )
    backoffs = manifest["counts"].get("backoffs", 0) + manifest.get("fisher", {}).get("backoffs", 0)
    if backoffs:
        times = "once" if backoffs == 1 else f"{backoffs:,} times"
        sentences.append(
            f"The device's memory was too small for a batch {times}; it went on with smaller ones. The last "
            "bits of the scores may differ from those of a run with enough memory."
        )
    return sentences
