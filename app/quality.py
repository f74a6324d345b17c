"""The quality report of a dataset, drawn: what became of every record, lengths, letters, files."""

from collections.abc import Mapping
from itertools import pairwise
from math import log10

import plotly.graph_objects as go
import streamlit as st

from app.components import KeyFigure, chart, key_figures, note, table
from app.formatting import alphabet_name, amount, byte_size, count, percent
from app.previews import FORMATS
from app.theme import AMINO_ACIDS, NUCLEOTIDES, current_palette, figure_layout
from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences import QualityReport
from bioprune_core.sequences.report import DropReason, ReasonCount

__all__ = ["quality_figures", "quality_pictures", "quality_tables"]

_SHOWN_FILES = 50
_DUPLICATE = DropReason.DUPLICATE
_DROPPED = {
    "malformed": "Malformed record",
    "no-sequence": "No sequence",
    "letters-outside-alphabet": "Letters outside the alphabet",
    "ambiguous-letters": "Ambiguous letters",
    "too-short": "Too short",
    "too-long": "Too long",
    "duplicate": "Duplicate of an earlier sequence",
}
_CHANGED = {
    "upper-cased": "Put into upper case",
    "thymine-uracil-converted": "T and U made uniform",
    "gaps-removed": "Gaps removed",
    "trailing-stop-removed": "Stop at the end removed",
    "ambiguous-replaced": "Ambiguous letters replaced",
    "truncated": "Cut to the maximum length",
    "windowed": "Cut into windows",
    "id-given": "Given an id",
    "id-disambiguated": "Id made unique",
}


def quality_figures(report: QualityReport, collapsed: bool) -> None:
    """The key figures: every record read is kept, dropped or a duplicate.

    Args:
        report: What became of every record.
        collapsed: Whether equal sequences were made one.
    """
    unit = report.alphabet.unit
    duplicates = _duplicates(report)
    dropped = report.read - report.kept - duplicates
    lengths = report.lengths
    key_figures(
        [
            KeyFigure("Records read", f"{report.read:,}", comment=count(len(report.files), "file")),
            KeyFigure("Kept", f"{report.kept:,}", comment=_share(report.kept, report.read)),
            KeyFigure("Dropped", f"{dropped:,}", comment=_share(dropped, report.read)),
            KeyFigure("Duplicates", f"{duplicates:,}", comment=_share(duplicates, report.read)),
            KeyFigure(
                "In the pool",
                f"{report.sequences:,}",
                comment="all different" if collapsed else "equal ones kept",
            ),
            KeyFigure(
                "Median length",
                f"{lengths['median']:,.0f}",
                unit,
                f"{lengths['minimum']:,.0f} to {lengths['maximum']:,.0f} {unit}",
            ),
            KeyFigure(
                "Letters",
                *_letters(lengths["total"], unit),
                comment=f"{alphabet_name(report.alphabet)}, "
                f"{'detected' if report.alphabet_detected else 'chosen'}",
            ),
            *_labels(report),
        ]
    )


def _labels(report: QualityReport) -> list[KeyFigure]:
    labels = report.labels
    if labels is None:
        return []
    different = count(labels.different, "different label") if labels.different else "no label found"
    return [KeyFigure("With a label", f"{labels.sequences:,}", comment=different)]


def quality_pictures(report: QualityReport, name: str) -> None:
    """Histogram of lengths and composition, side by side."""
    left, right = st.columns((3, 2), gap="medium")
    with left:
        _lengths(report, name)
    with right:
        _composition(report, name)


def quality_tables(report: QualityReport) -> None:
    """What was dropped and what was changed, by reason with examples; files; notes."""
    for text in report.notes:
        note(text)
    left, right = st.columns(2, gap="large")
    with left:
        _records(report)
    with right:
        _files(report)


def _records(report: QualityReport) -> None:
    st.header("What became of the records", anchor=False)
    rows = [["Read", f"{report.read:,}", ""], ["Kept", f"{report.kept:,}", _share(report.kept, report.read)]]
    for verb, words, tallies in (
        ("Dropped", _DROPPED, {key: tally for key, tally in report.dropped.items() if key != _DUPLICATE}),
        ("Collapsed", _DROPPED, {key: tally for key, tally in report.dropped.items() if key == _DUPLICATE}),
        ("Changed", _CHANGED, report.changed),
    ):
        rows += [
            [f"{verb}: {_inside(words[reason])}", f"{tally.count:,}", _share(tally.count, report.read)]
            for reason, tally in tallies.items()
        ]
    table(["Records", "Number", "Share of read"], rows, numbers=(1, 2))
    _examples(
        "Examples of dropped and collapsed records",
        {_DROPPED[key]: tally for key, tally in report.dropped.items()},
    )
    _examples("Examples of changed records", {_CHANGED[key]: tally for key, tally in report.changed.items()})


def _files(report: QualityReport) -> None:
    st.header("Files", anchor=False)
    table(
        ["File", "Size", "Format", "Packed", "Records", "Dropped"],
        [
            [
                file.name,
                byte_size(file.bytes),
                FORMATS[file.format],
                "no" if file.compression == "none" else file.compression,
                f"{file.records:,}",
                f"{file.dropped:,}",
            ]
            for file in report.files[:_SHOWN_FILES]
        ],
        numbers=(1, 4, 5),
    )
    if _duplicates(report):
        note(
            "Dropped are records that could not be used. Duplicates are counted over all files together, "
            "because which of two equal sequences stays depends on the order of the files."
        )
    if len(report.files) > _SHOWN_FILES:
        note(f"The first {_SHOWN_FILES} of {len(report.files):,} files; the downloaded report has all.")


def _duplicates(report: QualityReport) -> int:
    """Records that are not kept because an earlier one has the same sequence."""
    tally = report.dropped.get(_DUPLICATE)
    return 0 if tally is None else tally.count


def _inside(words: str) -> str:
    """Words as they stand inside a line: without the capital of a beginning."""
    return words if words[1:2].isspace() else words[0].lower() + words[1:]


def _examples(title: str, reasons: Mapping[str, ReasonCount]) -> None:
    rows = [
        [words, example.file, f"{example.record:,}", example.id, example.detail]
        for words, tally in reasons.items()
        for example in tally.examples
    ]
    if rows:
        with st.expander(title):
            table(["Reason", "File", "Record", "Id", "What was met"], rows, numbers=(2,))


def _lengths(report: QualityReport, name: str) -> None:
    palette = current_palette()
    edges, counts = report.length_histogram["edges"], report.length_histogram["counts"]
    unit = report.alphabet.unit
    bins = list(pairwise(edges))
    # A filled step line and not bars: bars of given width are misplaced on a logarithmic axis.
    figure = go.Figure(
        go.Scatter(
            x=edges,
            y=[*counts, counts[-1]],
            mode="lines",
            line={"shape": "hv", "color": palette.removed, "width": 1.2},
            fill="tozeroy",
            fillcolor=palette.context,
            customdata=[*bins, bins[-1]],
            hovertemplate=f"%{{customdata[0]:,}} to %{{customdata[1]:,}} {unit}: %{{y:,}}<extra></extra>",
        )
    )
    figure.update_layout(**figure_layout("Lengths", f"Length ({unit})", "Sequences", height=300))
    ticks = [step * 10**power for power in range(9) for step in (1, 2, 5)]
    figure.update_xaxes(
        type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks], range=_log_range(edges)
    )
    figure.update_yaxes(rangemode="tozero")

    def data() -> bytes:
        lines = (f"{low},{high},{n}" for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True))
        return ("from,to,sequences\n" + "\n".join(lines) + "\n").encode()

    chart(
        figure,
        f"{name}-lengths",
        data=data,
        alt=f"Histogram of the lengths of {report.sequences:,} sequences",
    )


def _composition(report: QualityReport, name: str) -> None:
    palette = current_palette()
    total = sum(report.composition.values())
    order = report.alphabet.residues + report.alphabet.ambiguous
    letters = sorted(report.composition, key=lambda letter: (order + letter).index(letter))
    colours = AMINO_ACIDS if report.alphabet is Alphabet.PROTEIN else NUCLEOTIDES
    figure = go.Figure(
        go.Bar(
            x=letters,
            y=[100 * report.composition[letter] / total for letter in letters],
            customdata=[report.composition[letter] for letter in letters],
            marker={
                "color": [colours.get(letter, palette.context) for letter in letters],
                "line": {"width": 0},
            },
            hovertemplate="%{x}: %{y:.3g} %<br>%{customdata:,} letters<extra></extra>",
        )
    )
    layout = figure_layout("Composition", "Letter", "Share of letters (%)", height=300)
    figure.update_layout(**layout | {"bargap": 0.25})

    def data() -> bytes:
        lines = (f"{letter},{report.composition[letter]}" for letter in letters)
        return ("letter,count\n" + "\n".join(lines) + "\n").encode()

    chart(figure, f"{name}-composition", data=data, alt="Share of each letter in the pool")


def _log_range(edges: list[int]) -> list[float]:
    return [log10(edges[0]), log10(edges[-1])]


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else ""


def _letters(total: float, unit: str) -> tuple[str, str]:
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if total >= size:
            return amount(total / size), prefix + unit
    return f"{total:,.0f}", unit
