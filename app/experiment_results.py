"""An experiment's results: can it rank, who wins, how small can a coreset be, what did the paper find."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.charts.comparison import difference_chart, size_chart
from app.components import Html, chart, note, pairs, plain, state_html, table
from app.formatting import amount, percent
from app.theme import current_palette
from bioprune_core.experiments import (
    TOLERANCE,
    ArmCurve,
    Report,
    ReportedTask,
    Role,
    advise_size,
    size_caveat,
    size_curves,
)
from bioprune_core.experiments.gates import GateState, Verdict
from bioprune_core.experiments.results import PRETRAINING
from bioprune_core.experiments.rows import Row
from bioprune_core.experiments.statistics import Comparison, Result
from bioprune_core.experiments.tables import PAPER_HEADER, paper_cells

__all__ = ["results_view"]

_LOSSES = {
    "held_out_loss": "Loss, held-out sequences",
    "held_out_family_loss": "Loss, held-out families",
    "held_out_family_mean_loss": "Loss, mean over held-out families",
}
_RESULTS = {
    Result.WIN: ("done", "better"),
    Result.LOSS: ("failed", "worse"),
    Result.TIE: ("new", "cannot tell"),
    Result.UNKNOWN: ("cancelled", "too few seeds"),
}
_CAPITALS = {"f1", "auc", "mse", "r2", "mae", "rmse", "q3"}
_GATES = {
    GateState.PASSED: state_html("done", "Gate passed."),
    GateState.FAILED: state_html("failed", "Gate not passed."),
    GateState.UNDECIDED: state_html("new", "Gate not decided."),
}
_ABSENT = "–"

_Option = TypeVar("_Option")


def results_view(report: Report) -> None:
    """Everything that an experiment says so far."""
    ranks = all(gate.state is GateState.PASSED for gate in report.gates)
    (st.success if ranks else st.warning)(
        report.conclusion, icon=":material/check_circle:" if ranks else ":material/warning:"
    )
    task, protocol, metric, size = _choice(report)
    rows = [
        row
        for row in report.rows
        if (row.task, row.protocol, row.metric, row.size) == (task.name, protocol, metric, size)
    ]
    gates = [
        each for each in report.gates if (each.task, each.protocol, each.size) == (task.name, protocol, size)
    ]
    _comparison(report, task, metric, size, rows, gates)
    _sizes(report, task, protocol, metric)
    _coresets(report)
    _paper(report, task)
    _origin(report)


def _choice(report: Report) -> tuple[ReportedTask, str, str, int]:
    """Which table is looked at; the address tells it."""
    tasks = {task.name: task for task in report.tasks}
    one, two, three, four, five = st.columns((2, 1.4, 2, 1.4, 1))
    task = tasks[_chosen(one, "Task", list(tasks), "result-task", lambda each: tasks[each].title)]
    measured = task.name != PRETRAINING
    protocols = list(report.config.get("protocols", ["probe"])) if measured else [""]
    key = f"result-protocol-{not measured}"
    protocol = _chosen(two, "Measured by", protocols, key, lambda each: each or "the network itself")
    metric = _chosen(three, "Metric", task.metrics, f"result-metric-{task.name}", _metric_words)
    size = _chosen(four, "Coreset size B", report.config["sizes"], "result-size", lambda each: f"{each:,}")
    five.selectbox("Pictures as", ["svg", "png"], format_func=str.upper, key="picture")
    return task, protocol, metric, size


def _chosen(
    place: DeltaGenerator, label: str, options: Sequence[_Option], key: str, words: Callable[[Any], str]
) -> _Option:
    return place.selectbox(label, options, format_func=words, key=key, bind="query-params")


def _comparison(
    report: Report, task: ReportedTask, metric: str, size: int, rows: Sequence[Row], gates: Sequence[Verdict]
) -> None:
    st.header(plain(f"{task.title}, B = {size:,}"), anchor=False)
    for gate in gates:
        note(Html(f"{_GATES[gate.state]} {escape(gate.sentence)}"))
    better = "lower is better" if metric in task.lower_is_better else "higher is better"
    if any(row.against_random is not None and row.against_random.pairs for row in rows):
        _differences(report, task, metric, size, rows, better)
    table(
        ["Arm", "Mean ± sd", "Seeds", "To random", "Interval", "Against random", "Against its mixture"],
        [_row(row) for row in rows],
        numbers=(1, 2, 3, 4),
    )
    level = next((row.against_random.level for row in rows if row.against_random), None)
    if level is not None:
        note(
            f"{better.capitalize()}. Differences are paired by seed; intervals hold at {percent(level)}, "
            'which is 95 % corrected for the number of arms. "Cannot tell" is no evidence that there is no '
            "difference. A selection beats its mixture only where the last column says so."
        )
    if any(each.grouping.startswith("one per") for row in rows for each in row.against_mixture):
        note('"One per" there: against random sequences that were drawn one a group like the selection.')
    if task.stand_in:
        note(f"These data stand in for {task.stand_in}.")


def _differences(
    report: Report, task: ReportedTask, metric: str, size: int, rows: Sequence[Row], better: str
) -> None:
    chart(
        difference_chart(rows, current_palette(), metric=f"{_metric_words(metric)} ({better})", size=size),
        f"{task.name} B {size} differences",
        data=lambda: _csv(report, task.name, metric),
        alt=f"Difference of {len(rows)} arms to random in {metric}",
        picture=_picture(),
    )


def _row(row: Row) -> tuple[str, ...]:
    found = row.against_random
    missing = [f"{row.failed} failed"] * bool(row.failed) + [f"{row.missing} to come"] * bool(row.missing)
    seeds = f"{row.summary.count}" + (f" ({', '.join(missing)})" if missing else "")
    name = escape(row.arm)
    if row.role is not Role.ARM:
        name += f' <small style="opacity:.7">{row.role.value}</small>'
    return (
        Html(name),
        _mean(row),
        seeds,
        _ABSENT if found is None or found.mean is None else _signed(found.mean),
        _interval(found),
        Html(_ABSENT) if found is None else _result(found),
        Html(
            "<br>".join(
                f"{_result(each.comparison)} ({escape(each.grouping)}{_by_how_much(each.comparison)})"
                for each in row.against_mixture
            )
        )
        or _ABSENT,
    )


def _sizes(report: Report, task: ReportedTask, protocol: str, metric: str) -> None:
    """The curve over sizes and, where the full pool was measured, what it advises."""
    curves = size_curves(report, task.name, protocol, metric)
    if len(report.config["sizes"]) < 2 or not any(arm.curve.values for arm in curves):
        return
    st.header("How small can the coreset be?", anchor=False)
    chart(
        size_chart(curves, current_palette(), metric=_metric_words(metric)),
        f"{task.name} sizes",
        data=lambda: _csv(report, task.name, metric),
        alt=f"{metric} of {len(curves)} arms over coreset sizes",
        picture=_picture(),
    )
    tolerance = st.number_input(
        "May lose against the full pool (% of its value)",
        0.0,
        100.0,
        100 * TOLERANCE,
        step=0.5,
        key="tolerance",
        bind="query-params",
        width=320,
    )
    if caveat := size_caveat(report, task.name, protocol):
        st.warning(plain(caveat))
    table(["Arm", "Smallest coreset that is good enough"], _advice(curves, tolerance / 100))


def _advice(curves: Sequence[ArmCurve], tolerance: float) -> list[tuple[str, str]]:
    return [
        (arm.arm, advise_size(arm.curve, tolerance).sentence)
        for arm in curves
        if arm.role is not Role.CONTROL
    ]


def _coresets(report: Report) -> None:
    st.header("What the coresets consist of", anchor=False)
    rows = [
        (
            row.arm,
            f"{row.size:,}" if row.size else _ABSENT,
            f"{row.columns.sequences:,.0f}",
            _figure(row.columns.mean_length, ",.1f"),
            _figure(row.columns.near_duplicate_share, ".1%"),
            _figure(row.columns.near_test_share, ".2%"),
            _figure(row.columns.families, ",.0f"),
            _figure(row.columns.mixture_distance, ".3f"),
            _figure(row.tokens, ",.0f"),
        )
        for row in report.controls
    ]
    titles = [
        "Arm",
        "B",
        "Sequences",
        "Mean length (tokens)",
        "Near-duplicates",
        "Near a test",
        "Families",
        "Mixture distance",
        "Tokens trained on",
    ]
    table(titles, rows, numbers=range(1, 9))
    note(
        "Means over seeds. Near-duplicates: what would go if each cluster kept one. Near a test: what is "
        "identical or near-identical to a test sequence. Mixture distance: 0 is "
        "the pool's own proportions, 1 has nothing in common with them. Tokens are counted without pads: of "
        "equal steps small coresets fill theirs less well."
    )


def _paper(report: Report, task: ReportedTask) -> None:
    """The paper's numbers for this task, told apart from what was measured here."""
    rows = [cells[1:] for cells in paper_cells(report) if cells[0] == task.name]
    if not rows:
        return
    st.header("Beside the paper", anchor=False)
    st.info(
        f"The paper's numbers were not measured here. They are from {report.paper_source}",
        icon=":material/menu_book:",
    )
    table([title[:1].upper() + title[1:] for title in PAPER_HEADER[1:]], rows, numbers=(2, 3, 5))


def _origin(report: Report) -> None:
    with st.expander("What ran where, and what limits the results"):
        pairs(report.hardware or {"Nothing": "was computed yet"})
        for sentence in (report.equal, *report.notes):
            note(sentence)


def _result(found: Comparison) -> Html:
    if not found.pairs:
        return Html(_ABSENT)
    return state_html(*_RESULTS[found.result])


def _by_how_much(found: Comparison) -> str:
    return "" if found.mean is None else f": {_signed(found.mean)}, {_interval(found)}"


def _mean(row: Row) -> str:
    summary = row.summary
    if summary.mean is None:
        return _ABSENT
    return amount(summary.mean, 4) + ("" if summary.sd is None else f" ± {amount(summary.sd, 2)}")


def _interval(found: Comparison | None) -> str:
    if found is None:
        return _ABSENT
    low, high = found.outer
    return _ABSENT if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}")


def _figure(value: float | None, form: str) -> str:
    return _ABSENT if value is None else format(value, form)


def _metric_words(metric: str) -> str:
    if metric in _LOSSES:
        return _LOSSES[metric]
    words = [word.upper() if word in _CAPITALS else word for word in metric.split("_")]
    text = " ".join(words).replace("precision l", "precision, top L/").removesuffix("/")
    return text[:1].upper() + text[1:]


def _picture() -> str:
    return str(st.session_state.get("picture", "svg"))


def _csv(report: Report, task: str, metric: str) -> bytes:
    lines = ["arm,size,seed,protocol,value,state"]
    lines += [
        f'"{each.arm}",{each.size},{each.seed},{each.protocol},'
        f"{'' if each.value is None else repr(each.value)},{each.state}"
        for each in report.measurements
        if (each.task, each.metric) == (task, metric)
    ]
    return ("\n".join(lines) + "\n").encode()
