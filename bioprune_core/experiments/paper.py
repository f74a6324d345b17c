"""The numbers of arXiv 2512.12932, to stand beside an experiment's own; they are never mixed with them."""

import csv
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from bioprune_core.experiments.arms import ArmKind

__all__ = ["SOURCE", "PaperNumber", "paper_numbers"]

SOURCE = (
    'arXiv 2512.12932, "Investigating Data Pruning for Pretraining Biological Foundation Models at Scale" '
    "(AAAI 2026), as read from public notes on it: other pools, models, data splits and training."
)

_FILE = "paper_results.csv"
_TASKS = {
    ("rna", "ncrna_type"): "rna-type",
    ("rna", "modification"): "modification",
    ("rna", "crispr_on_target"): "crispr-on-target",
    ("rna", "secondary_structure"): "rna-structure",
    ("rna", "distance_map"): "distance-map",
    ("rna", "contact_map"): "contact-map",
    ("rna", "rbp_interaction"): "rbp",
    ("protein", "localization"): "localisation",
    ("protein", "secondary_structure"): "protein-structure",
    ("protein", "ppi_affinity"): "ppi-affinity",
}
_METRICS = {"q3_accuracy": "q3", "top_1.0L_precision": "contact_precision_l"}
_ABSOLUTE = "_absolute"
_RANDOM_B, _RANDOM_TENFOLD = 200_000, 2_000_000
_METHODS = {
    ("full", None): ArmKind.FULL,
    ("random", _RANDOM_B): ArmKind.RANDOM,
    ("random", _RANDOM_TENFOLD): ArmKind.RANDOM_TENFOLD,
    ("top_influence", None): ArmKind.TOP_INFLUENCE,
    ("coverage_centric", None): ArmKind.COVERAGE_CENTRIC,
}
_WITHOUT = "_without_finetuning"


@dataclass(frozen=True, slots=True)
class PaperNumber:
    """One figure of the paper's tables.

    Args:
        task: The task's name here.
        metric: Its name here; the paper's where it does not say which metric it is ("score").
        percent: Whether the value is in per cent; otherwise in the metric's own unit.
        method: The paper's arm in words.
        kind: The kind of arm here that does the same; None where there is none.
        fine_tuned: Whether the model that scored was fine-tuned on a subset first; None where the arm looks
            at no influence.
        sequences: Of the paper's arm.
        value: As printed.
    """

    task: str
    metric: str
    percent: bool
    method: str
    kind: ArmKind | None
    fine_tuned: bool | None
    sequences: int
    value: float

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def paper_numbers() -> tuple[PaperNumber, ...]:
    """All figures known, in the paper's order."""
    file = resources.files("bioprune_core.experiments").joinpath(_FILE)
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(_number(row) for row in csv.DictReader(lines))


def _number(row: dict[str, str]) -> PaperNumber:
    metric, method, sequences = row["metric"], row["method"], int(row["sequences"])
    name = metric.removesuffix(_ABSOLUTE)
    plain = method.removesuffix(_WITHOUT)
    kind = _METHODS.get((plain, sequences)) or _METHODS.get((plain, None))
    by_influence = kind in (ArmKind.TOP_INFLUENCE, ArmKind.COVERAGE_CENTRIC)
    return PaperNumber(
        task=_TASKS[row["modality"], row["task"]],
        metric=_METRICS.get(name, name),
        percent=not metric.endswith(_ABSOLUTE),
        method=method.replace("_", " "),
        kind=kind,
        fine_tuned=plain == method if by_influence else None,
        sequences=sequences,
        value=float(row["value"]),
    )
