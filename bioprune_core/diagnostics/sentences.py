"""What the diagnostics of a run mean, in words, from its manifest alone. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Level", "trust_sentences"]

# From these on a figure is told as a caution.
_CONFOUNDED = 0.5
_SAME_ORDER = 0.95
_LOPSIDED = 0.5
_LEAST_LIKENESS = 0.8


class Level(StrEnum):
    """How a finding bears on the scores."""

    GOOD = "good"
    CAUTION = "caution"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question about a run.

    Args:
        question: As a person would ask it.
        level: Whether it speaks for the scores.
        sentence: What was found, with its figures, and what to do.
    """

    question: str
    level: Level
    sentence: str


def trust_sentences(manifest: Mapping[str, Any]) -> list[Finding]:
    """Can these scores be trusted? One finding for each question, in the order in which to ask them.

    Args:
        manifest: Of a finished run; older ones, which lack some diagnostics, are told as unknown.
    """
    return [
        _convergence(manifest["convergence"]),
        _subset(manifest.get("diagnostics")),
        _confounding(manifest.get("rank_correlations")),
        _spectrum(manifest.get("fisher"), manifest.get("influence", {}).get("damping")),
        _diagonal(manifest.get("diagnostics")),
    ]


def _convergence(convergence: Mapping[str, Any]) -> Finding:
    level = Level.GOOD if convergence["verdict"] == "adapted" else Level.CAUTION
    sentence = convergence.get("sentence", f"The verdict is {convergence['verdict']}.")
    return Finding("Did the fine-tuning converge?", level, sentence)


def _subset(diagnostics: Mapping[str, Any] | None) -> Finding:
    question = "Is the subset large enough?"
    found = _computed(diagnostics, "agreement")
    if isinstance(found, str):
        return Finding(question, Level.UNKNOWN, found)
    level = Level.GOOD if found["verdict"] == "large-enough" else Level.CAUTION
    note = "The model is the same in both; only the Fisher information changes."
    return Finding(question, level, f"{found['sentence']} {note}")


def _confounding(correlations: Mapping[str, Any] | None) -> Finding:
    question = "Is influence more than length, loss or gradient norm?"
    if not correlations:
        return Finding(question, Level.UNKNOWN, "The rank correlations of this run were not computed.")
    names = {"tokens": "length", "loss": "loss", "gradient_norm": "gradient norm"}
    figures = _listed([f"{_signed(correlations[key])} with {name}" for key, name in names.items()])
    text = f"The rank correlation of influence is {figures}."
    strong = [name for key, name in names.items() if abs(correlations[key] or 0.0) >= _CONFOUNDED]
    if abs(correlations["tokens"] or 0.0) >= _CONFOUNDED:
        text += " Much of it is length: compare with length-adjusted influence when you select."
    if any(abs(correlations[key] or 0.0) >= _SAME_ORDER for key in ("loss", "gradient_norm")):
        text += " One of these trivial scores gives nearly the same order by itself."
    adjusted = correlations.get("length_adjusted")
    if adjusted:
        figures = _listed([f"{_signed(adjusted[key])} with {name}" for key, name in names.items()])
        text += f" Adjusted for length it is {figures}."
    return Finding(question, Level.CAUTION if strong else Level.GOOD, text)


def _spectrum(fisher: Mapping[str, Any] | None, damping: float | None) -> Finding:
    question = "Does the Fisher information rest on a few parameters?"
    if not fisher or "largest_input_feature_share" not in fisher:
        return Finding(question, Level.UNKNOWN, "The spectrum of this run's Fisher information is not known.")
    largest, below = fisher["largest_input_feature_share"], fisher["share_below_damping"]
    even = (
        f" (evenly spread it would be {1 / fisher['input_features']:.1%})"
        if "input_features" in fisher
        else ""
    )
    bound = "the damping" if damping is None else f"the damping of {damping:g}"
    text = (
        f"The input feature with the most Fisher information holds {largest:.0%} of it{even}. A plain "
        "gradient norm leans that much on it; influence divides by it, so that on the subset every parameter "
        "counts alike. "
        f"{below:.0%} of the entries lie below {bound}: these parameters count less."
    )
    if below >= _LOPSIDED:
        text += " That is most of them: try a smaller damping and see whether the order stays."
    return Finding(question, Level.CAUTION if below >= _LOPSIDED else Level.GOOD, text)


def _diagonal(diagnostics: Mapping[str, Any] | None) -> Finding:
    question = "What does the diagonal leave out?"
    found = _computed(diagnostics, "curvature")
    if isinstance(found, str):
        return Finding(question, Level.UNKNOWN, found)
    values = {(row["form"], row["damping"]): row["rank_correlation"] for row in found["rows"]}
    mean, damping = found["mean_diagonal"], found["damping"]
    text = (
        f"On {found['sample']:,} sequences outside the subset, with {found['members']:,} of the subset to "
        "estimate each, the order by the diagonal has"
    )
    names = {"full": "the full Fisher information", "kronecker": "its Kronecker-factored form (K-FAC)"}
    forms = [form for form in names if (form, mean) in values]
    parts = [
        f"a rank correlation of {_signed(values[form, mean])} with that by {names[form]} "
        f"({_signed(values[form, damping])} at the damping of the run)"
        for form in forms
    ]
    text += (
        f" {_listed(parts)}, both damped by the mean of the diagonal."
        if len(parts) > 1
        else (f" {_listed(parts)}, damped by the mean of the diagonal.")
    )
    if not found["full"]:
        text += f" For {found['parameters']:,} parameters the full form is not computed."
    alike = bool(forms) and all((values[form, mean] or 0.0) >= _LEAST_LIKENESS for form in forms)
    if not alike:
        text += " How parameters act together matters here: take the order within the bulk with care."
    return Finding(question, Level.GOOD if alike else Level.CAUTION, text)


def _computed(diagnostics: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | str:
    """What was computed, or the sentence that says why not."""
    if not diagnostics:
        return "This run was made without this check. Score the dataset again to have it."
    if "reason" in diagnostics:
        return str(diagnostics["reason"])
    found: Mapping[str, Any] = diagnostics[name]
    return str(found["reason"]) if "reason" in found else found


def _signed(value: float | None) -> str:
    return "none" if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
