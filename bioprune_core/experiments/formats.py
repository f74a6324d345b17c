"""A report as Markdown, LaTeX, CSV and JSON."""

import csv
import io
import json
from dataclasses import asdict, fields
from itertools import groupby

from bioprune_core.experiments.gates import Verdict
from bioprune_core.experiments.report import Report
from bioprune_core.experiments.results import PRETRAINING, Measurement, State
from bioprune_core.experiments.rows import Row
from bioprune_core.experiments.size_curves import TOLERANCE, advise_sizes
from bioprune_core.experiments.tables import (
    ADVICE_HEADER,
    CONTROL_HEADER,
    PAPER_HEADER,
    ROW_HEADER,
    advice_cells,
    control_cells,
    paper_cells,
    row_cells,
)

__all__ = ["report_csv", "report_json", "report_latex", "report_markdown"]

_READING = (
    "Differences are arm minus random B, paired by seed; the interval is a bootstrap one with the t "
    "interval beside it (which assumes normally distributed differences), both corrected for the number of "
    "arms in the block. A tie means that an interval covers zero, not that there is no "
    "difference. A selection is better than its mixture only where it also wins against random "
    "sequences of its mixture."
)
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
}


def report_json(report: Report) -> str:
    """Everything in the report, every measurement included."""
    value = asdict(report)
    for task in value["tasks"]:
        task["lower_is_better"] = sorted(task["lower_is_better"])
    value["gates"] = [{**asdict(gate), "sentence": gate.sentence} for gate in report.gates]
    value["counts"] = {state.value: report.count(state) for state in State}
    value["failures"] = list(report.failures)
    value["advice"] = [asdict(each) for each in advise_sizes(report)]
    # Refuses NaN and infinity, which are no JSON; none may have come this far.
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def report_csv(report: Report) -> str:
    """The measurements in long form, one a line, also those that failed or are missing."""
    lines = io.StringIO()
    writer = csv.DictWriter(lines, [field.name for field in fields(Measurement)], lineterminator="\n")
    writer.writeheader()
    for measurement in report.measurements:
        value = measurement.to_json()
        # repr of a float reads back as the same float, as JSON's text does.
        writer.writerow({**value, "value": "" if value["value"] is None else repr(value["value"])})
    return lines.getvalue()


def report_markdown(report: Report) -> str:
    """The report to read: what it can say first, then results, controls, what failed, the paper, settings."""
    parts = [
        f"# {_plain(str(report.config['name']))}",
        f"**{_plain(report.conclusion)}**",
        "\n".join(f"- {_plain(sentence)}" for sentence in (report.equal, *report.notes)),
        _counts(report),
        "## Gates",
        "\n".join(f"- {gate.state}: {_plain(gate.sentence)}" for gate in report.gates),
        "## Results",
        _READING,
    ]
    for heading, rows, verdicts in _blocks(report):
        parts += [f"### {_plain(heading)}", *(f"*{_plain(each.sentence)}*" for each in verdicts)]
        parts.append(_markdown_table(ROW_HEADER, [row_cells(row) for row in rows]))
    parts += [
        "## What the coresets consist of",
        _markdown_table(CONTROL_HEADER, [control_cells(row) for row in report.controls]),
    ]
    if advice := advise_sizes(report):
        parts += [
            "## How small can the coreset be?",
            f"Good enough is what loses no more than {TOLERANCE:.0%} of the full pool's value.",
            _markdown_table(ADVICE_HEADER, [advice_cells(each) for each in advice]),
        ]
    if report.paper:
        parts += [
            "## Beside the paper",
            f"The paper's numbers are not measured here. They are from {_plain(report.paper_source)}",
            _markdown_table(PAPER_HEADER, paper_cells(report)),
        ]
    hardware = "\n".join(f"- {_plain(name)}: {_plain(what)}" for name, what in report.hardware.items())
    settings = json.dumps(report.config, indent=2, ensure_ascii=False)
    parts += ["## What ran where", hardware or "- not recorded", "## Settings", f"Digest `{report.digest}`."]
    parts.append(f"```json\n{settings}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def report_latex(report: Report) -> str:
    """The tables as LaTeX for the package booktabs, text escaped; the conclusion stands in every caption."""
    tables = []
    for heading, rows, verdicts in _blocks(report):
        caption = " ".join([heading + ".", *(each.sentence for each in verdicts), report.equal])
        tables.append(_latex_table(ROW_HEADER, [row_cells(row) for row in rows], caption))
    controls = [control_cells(row) for row in report.controls]
    tables.append(_latex_table(CONTROL_HEADER, controls, "What the coresets consist of."))
    if report.paper:
        caption = f"Beside the paper, whose numbers are not measured here: {report.paper_source}"
        tables.append(_latex_table(PAPER_HEADER, paper_cells(report), caption))
    comment = "% " + report.conclusion.replace("\n", " ")
    return f"{comment}\n% Needs \\usepackage{{booktabs}}.\n" + "\n".join(tables)


def _blocks(report: Report) -> list[tuple[str, list[Row], list[Verdict]]]:
    """Heading, rows and gates of each task, protocol, metric and size."""
    titles = {task.name: task.title for task in report.tasks}
    found = []
    for (task, protocol, metric, size), rows in groupby(
        report.rows, key=lambda row: (row.task, row.protocol, row.metric, row.size)
    ):
        listed = list(rows)
        better = "lower" if listed[0].lower_is_better else "higher"
        how = "" if task == PRETRAINING else f" ({protocol})"
        heading = f"{titles[task]}{how}: {metric}, {better} is better, B = {size:,}"
        verdicts = [
            each for each in report.gates if (each.task, each.protocol, each.size) == (task, protocol, size)
        ]
        found.append((heading, listed, verdicts))
    return found


def _counts(report: Report) -> str:
    text = ", ".join(f"{report.count(state):,} {state}" for state in State)
    lines = [f"Measurements: {text}. Those failed or missing are in no mean."]
    return "\n".join([*lines, *(f"- {_plain(sentence)}" for sentence in report.failures)])


def _markdown_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *(tuple(_plain(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    for special in "\\|*_`<[":
        text = text.replace(special, "\\" + special)
    return text.replace("\n", " ")


def _latex_table(header: tuple[str, ...], rows: list[tuple[str, ...]], caption: str) -> str:
    lines = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in (header, *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex(caption)}}}",
            rf"\begin{{tabular}}{{{'l' * len(header)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(letter, letter) for letter in text.replace("\n", " "))
