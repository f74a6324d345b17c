"""The cells of a report's tables as text, the same for every format."""

from bioprune_core.experiments.paper import PaperNumber
from bioprune_core.experiments.report import ControlRow, Report
from bioprune_core.experiments.rows import Row
from bioprune_core.experiments.size_curves import ArmAdvice
from bioprune_core.experiments.statistics import Comparison

__all__ = [
    "ADVICE_HEADER",
    "CONTROL_HEADER",
    "PAPER_HEADER",
    "ROW_HEADER",
    "advice_cells",
    "control_cells",
    "paper_cells",
    "row_cells",
]

ROW_HEADER = (
    "arm",
    "role",
    "mean ± sd",
    "n",
    "failed",
    "missing",
    "difference to random",
    "bootstrap interval",
    "t interval",
    "result",
    "against its mixture",
)
CONTROL_HEADER = (
    "arm",
    "role",
    "B",
    "sequences",
    "mean length",
    "near-duplicates",
    "near a test",
    "families",
    "mixture distance",
    "tokens trained on",
)
PAPER_HEADER = (
    "task",
    "metric",
    "paper's arm",
    "paper: sequences",
    "paper: value",
    "here: arm and B",
    "here: mean ± sd",
)
ADVICE_HEADER = ("task", "metric", "arm", "smallest coreset that is good enough")
_ABSENT = "–"


def row_cells(row: Row) -> tuple[str, ...]:
    """A row of results, as `ROW_HEADER`."""
    found = row.against_random
    return (
        row.arm,
        row.role.value,
        _mean_and_sd(row, 1.0),
        f"{row.summary.count}",
        f"{row.failed}",
        f"{row.missing}",
        _ABSENT if found is None or found.mean is None else f"{found.mean:+.4g} (n = {found.pairs})",
        _ABSENT if found is None else _interval(found.low, found.high, found),
        _ABSENT if found is None else _interval(found.t_low, found.t_high, found),
        _ABSENT if found is None else _result(found),
        "; ".join(_against_mixture(each.grouping, each.comparison) for each in row.against_mixture)
        or _ABSENT,
    )


def control_cells(row: ControlRow) -> tuple[str, ...]:
    """A row of control columns, as `CONTROL_HEADER`."""
    columns = row.columns
    return (
        row.arm,
        row.role.value,
        f"{row.size:,}" if row.size else _ABSENT,
        f"{columns.sequences:,.0f}",
        _number(columns.mean_length, ",.1f"),
        _number(columns.near_duplicate_share, ".1%"),
        _number(columns.near_test_share, ".2%"),
        _number(columns.families, ",.1f"),
        _number(columns.mixture_distance, ".3f"),
        _number(row.tokens, ",.0f"),
    )


def advice_cells(found: ArmAdvice) -> tuple[str, ...]:
    """A row of advice, as `ADVICE_HEADER`."""
    sentence = f"{found.caveat} {found.advice.sentence}".strip()
    return (f"{found.task} ({found.protocol})", found.metric, found.arm, sentence)


def paper_cells(report: Report) -> list[tuple[str, ...]]:
    """The paper's numbers, each with what was measured here by the same kind of arm, as `PAPER_HEADER`.

    What was measured here is shown in the paper's unit. A number of the paper without a counterpart stands
    alone; one with several, such as several sizes, has a line for each.
    """
    found: list[tuple[str, ...]] = []
    for number in report.paper:
        theirs = (
            number.task,
            number.metric,
            number.method,
            f"{number.sequences:,}",
            f"{number.value:g} %" if number.percent else f"{number.value:g}",
        )
        rows = _counterparts(report, number)
        found += [(*theirs, _place(row), _mean_and_sd(row, 100.0 if number.percent else 1.0)) for row in rows]
        if not rows:
            found.append((*theirs, _ABSENT, _ABSENT))
    return found


def _counterparts(report: Report, number: PaperNumber) -> list[Row]:
    """Rows of the same kind of arm; one that has no size, and stands in every block, once a protocol.

    Influence of a model that was fine-tuned on a subset and of one that was not are different arms.
    """
    if number.fine_tuned not in (None, report.fine_tuned):
        return []
    found: dict[tuple[str, str, int], Row] = {}
    for row in report.rows:
        same = number.kind is not None and row.kind is number.kind and row.plain
        if same and (row.task, row.metric) == (number.task, number.metric) and row.summary.count:
            found.setdefault((row.arm, row.protocol, row.size if row.sized else 0), row)
    return list(found.values())


def _place(row: Row) -> str:
    return f"{row.arm} ({row.protocol})" + (f", B = {row.size:,}" if row.sized else "")


def _mean_and_sd(row: Row, scale: float) -> str:
    summary = row.summary
    if summary.mean is None:
        return _ABSENT
    unit = " %" if scale != 1.0 else ""
    spread = "" if summary.sd is None else f" ± {scale * summary.sd:.2g}"
    return f"{scale * summary.mean:.4g}{spread}{unit}"


def _interval(low: float | None, high: float | None, found: Comparison) -> str:
    if low is None or high is None:
        return _ABSENT
    return f"{low:+.3g} to {high:+.3g} ({100 * found.level:.4g} %)"


def _result(found: Comparison) -> str:
    reasons = ("all differences are equal",) * found.is_equal + found.missing
    return found.result.value + (f" ({'; '.join(reasons)})" if reasons else "")


def _against_mixture(grouping: str, found: Comparison) -> str:
    if found.mean is None:
        return f"{grouping}: {found.result}"
    how = "all differences are equal" if found.is_equal else _interval(*found.outer, found)
    return f"{grouping}: {found.result} ({found.mean:+.4g}, {how})"


def _number(value: float | None, form: str) -> str:
    return _ABSENT if value is None else format(value, form)
