"""Experiments: is a model trained on a coreset better than one trained on random sequences?

What is compared, the plan of its cells, the statistics and the report, all as pure functions. Nothing here
trains or measures a network.
"""

from bioprune_core.experiments.advice import Advice, AdviceOutcome, SizeCurve, advise
from bioprune_core.experiments.arms import Arm, ArmKind, Role, draw_seed
from bioprune_core.experiments.cells import (
    EvaluationCell,
    Inputs,
    Place,
    Plan,
    PretrainingCell,
    plan_cells,
)
from bioprune_core.experiments.columns import CoresetColumns, describe_draw
from bioprune_core.experiments.configuration import ExperimentConfig, read_experiment
from bioprune_core.experiments.cost import MeasuredSeconds, PlanCost, plan_cost
from bioprune_core.experiments.drawable import refuse_what_cannot_be_drawn
from bioprune_core.experiments.draws import draw
from bioprune_core.experiments.formats import report_csv, report_json, report_latex, report_markdown
from bioprune_core.experiments.paper import PaperNumber, paper_numbers
from bioprune_core.experiments.pool import HeldOut, Pool, hold_out
from bioprune_core.experiments.report import Report, build_report
from bioprune_core.experiments.results import HELD_OUT_LOSSES, CellResult, ReportedTask
from bioprune_core.experiments.settings import Budget, PretrainingSettings, TaskChoice
from bioprune_core.experiments.size_curves import (
    TOLERANCE,
    ArmAdvice,
    ArmCurve,
    advise_size,
    advise_sizes,
    size_caveat,
    size_curves,
)

__all__ = [
    "HELD_OUT_LOSSES",
    "TOLERANCE",
    "Advice",
    "AdviceOutcome",
    "Arm",
    "ArmAdvice",
    "ArmCurve",
    "ArmKind",
    "Budget",
    "CellResult",
    "CoresetColumns",
    "EvaluationCell",
    "ExperimentConfig",
    "HeldOut",
    "Inputs",
    "MeasuredSeconds",
    "PaperNumber",
    "Place",
    "Plan",
    "PlanCost",
    "Pool",
    "PretrainingCell",
    "PretrainingSettings",
    "Report",
    "ReportedTask",
    "Role",
    "SizeCurve",
    "TaskChoice",
    "advise",
    "advise_size",
    "advise_sizes",
    "build_report",
    "describe_draw",
    "draw",
    "draw_seed",
    "hold_out",
    "paper_numbers",
    "plan_cells",
    "plan_cost",
    "read_experiment",
    "refuse_what_cannot_be_drawn",
    "report_csv",
    "report_json",
    "report_latex",
    "report_markdown",
    "size_caveat",
    "size_curves",
]
