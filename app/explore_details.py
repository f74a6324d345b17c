"""Below the linked views: one sequence with its neighbours, what strata are made of, and the table."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from html import escape

import pandas as pd
import streamlit as st

from app.brush_state import TABLE_PAGE, change_brush, current_brush, set_point
from app.category_names import REST, category_name
from app.charts.composition import category_chart, length_chart, letter_chart
from app.components import chart, field_error, note, pairs
from app.explore_views import ViewOptions
from app.formatting import amount, byte_size, count, percent, significant
from app.queries.brush import CategoryColumn
from app.queries.sequence import ScoredSequence, scored_sequence
from app.queries.table import SortKey, TableOrder, count_letters, export_rows, table_page
from app.run_data import OpenRun
from app.strata import Strata
from app.theme import AMINO_ACIDS, NUCLEOTIDES, current_palette
from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError, NotFoundError

__all__ = ["composition_view", "picked_in_table", "sequence_panel", "table_view"]

_ROWS = 20
_MOST_EXPORTED = 50_000
_MOST_LETTERS = 64 * 10**6
_SHOWN_STRATA = 25
_LINE = 100
_SHOWN_LETTERS = 4_000
_PICKED = "point-picked-in-table"


def picked_in_table(position: int | None) -> bool:
    """Whether a sequence was picked in the table, or next to one that was, and is shown there."""
    if position is None or st.session_state.get(_PICKED) != position:
        # Looked at from elsewhere since: picked on the map, it is shown below the map.
        st.session_state.pop(_PICKED, None)
        return False
    return True


def sequence_panel(data: OpenRun, position: int) -> None:
    """One sequence: its scores, its letters, and its neighbours on the map."""
    try:
        found = data.kept("sequence", lambda: scored_sequence(data.connection, position), position)
    except NotFoundError as error:
        field_error(error.message)
        return
    with st.container(border=True, gap="medium"):
        head, close = st.columns((7, 1), vertical_alignment="center")
        head.html(f'<div class="bp-empty"><h2>{escape(found.id)}</h2></div>')
        close.button(
            "Close",
            icon=":material/close:",
            type="tertiary",
            key="close-point",
            on_click=set_point,
            args=(None,),
        )
        left, right = st.columns((5, 6), gap="medium")
        with left:
            pairs(_facts(found, data.alphabet))
            _letters(found)
        with right:
            _neighbours(data, position)


def _facts(found: ScoredSequence, alphabet: Alphabet) -> dict[str, str]:
    # Rounded up: rank 2 of 4,955 is among the top 0.1 %, and not in a top 0.0 %.
    share = percent(-(-1000 * found.rank // found.total) / 1000)
    return {
        "Influence": f"{amount(found.influence, 4)}, rank {found.rank:,} of {found.total:,} (top {share})",
        "Loss": f"{amount(found.loss, 4)} nats/token",
        "Length": f"{found.length:,} {alphabet.unit}",
        "Label": found.label or "none",
        "Cluster": "none" if found.cluster is None else str(found.cluster),
        "Description": found.description or "none",
        "Position in the pool": f"{found.position:,}",
    }


def _letters(found: ScoredSequence) -> None:
    shown = found.sequence[:_SHOWN_LETTERS]
    lines = [shown[start : start + _LINE] for start in range(0, len(shown), _LINE)]
    st.code("\n".join(lines), language=None, height=150 if len(lines) > 4 else "content", wrap_lines=True)
    if found.length > _SHOWN_LETTERS:
        note(f"The first {_SHOWN_LETTERS:,} of {found.length:,} letters.")


def _neighbours(data: OpenRun, position: int) -> None:
    near = data.neighbours(position).iloc[1:]
    if near.empty or near["x"].isna().all():
        note("This run has no map, so neighbours are not known.")
        return
    key = f"near-{position}"
    st.dataframe(
        near[["id", "label", "length", "influence", "distance"]].assign(
            influence=near["influence"].map(significant)
        ),
        hide_index=True,
        key=key,
        on_select=_opening(key, near, in_table=picked_in_table(position)),
        selection_mode="single-row",
        column_config={
            "id": st.column_config.TextColumn("Nearest on the map"),
            "label": st.column_config.TextColumn("Label"),
            "length": st.column_config.NumberColumn(f"Length ({data.alphabet.unit})", format="localized"),
            "influence": st.column_config.NumberColumn("Influence", format="localized"),
            "distance": st.column_config.NumberColumn("Distance", format="%.3f", help="In map units"),
        },
    )


class Composition(StrEnum):
    """What the strata are broken down by."""

    LABEL = "Labels"
    CLUSTER = "Clusters"
    LENGTH = "Length"
    LETTERS = "Letters"


def composition_view(data: OpenRun, options: ViewOptions) -> None:
    """What the selected sequences of each stratum are made of."""
    choices = [each.value for each in Composition if each is not Composition.CLUSTER or data.map_extent]
    chosen = st.segmented_control(
        "Composition per stratum",
        choices,
        default=choices[0],
        required=True,
        key="composition",
        bind="query-params",
    )
    kind = Composition(chosen)
    strata, palette = _grouped(options.strata), current_palette()
    if kind is Composition.LENGTH:
        lengths = data.lengths(strata, options.brush)
        figure = length_chart(lengths, strata, palette, unit=data.alphabet.unit)
        table = lengths.assign(interval=[strata.intervals[index] for index in lengths["stratum"]])
    elif kind is Composition.LETTERS:
        shares = data.letters(strata, options.brush)
        letters = data.alphabet.residues
        colours = AMINO_ACIDS if data.alphabet is Alphabet.PROTEIN else NUCLEOTIDES
        counts = data.strata_counts(strata, options.brush)
        figure = letter_chart(shares, letters, strata, colours, counts, palette)
        table = pd.DataFrame(shares, columns=list(letters)).assign(interval=strata.intervals)
    else:
        column = CategoryColumn.LABEL if kind is Composition.LABEL else CategoryColumn.CLUSTER
        # The colours of the map, where it shows the same categories.
        named = options.categories if options.colour.value == column.value else ()
        categories = data.category_shares(column, strata, options.brush, named)
        figure = category_chart(categories, strata, palette, name=kind.value)
        names = [category_name(each) for each in categories.names]
        table = pd.DataFrame(categories.counts, columns=names)
        if categories.rest.any():
            table[REST] = categories.rest
        table = table.assign(interval=strata.intervals)
    chart(
        figure,
        f"{data.run.name} {kind.value.lower()} per stratum",
        data=lambda: table.to_csv(index_label="row").encode(),
        alt=f"{kind.value} of the selected sequences in {len(strata)} strata of influence",
    )
    if kind is Composition.LETTERS:
        note("From about 20,000 sequences, an equal number from every stratum.")


def _grouped(strata: Strata) -> Strata:
    """Neighbouring strata joined, where there are more than can be told apart side by side."""
    if len(strata) <= _SHOWN_STRATA * 2:
        return strata
    return Strata.merged(strata.edges, _SHOWN_STRATA, strata.has_removed)


def table_view(data: OpenRun, options: ViewOptions, *, with_panel: bool = False) -> None:
    """The selected sequences, sorted and paged by the database; a click on a row opens it.

    Args:
        data: The run.
        options: The settings of the views.
        with_panel: Whether the sequence looked at is shown here, directly above the rows.
    """
    selected = options.brush.predicate()
    rows = data.count(options.brush)
    search, sort, direction, download = st.columns((3, 2, 2, 3), vertical_alignment="bottom")
    with search:
        _search()
    key = sort.selectbox(
        "Sort by",
        [each.value for each in SortKey],
        format_func=str.capitalize,
        key="sort",
        bind="query-params",
    )
    falling = direction.selectbox(
        "Order", ["largest first", "smallest first"], key="order", bind="query-params"
    )
    order = TableOrder(SortKey(key), falling == "largest first")
    with download:
        _download(data, options, order, rows)
    pages = max(1, -(-rows // _ROWS))
    if with_panel and options.point is not None:
        sequence_panel(data, options.point)
    table = st.container()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        note(f"{count(rows, 'sequence')}, {_ROWS} a page. Pick a row to see the sequence.")
        page = st.pagination(pages, key=TABLE_PAGE, bind="query-params")
    shown = data.kept(
        "page",
        lambda: table_page(data.connection, page - 1, _ROWS, order, selected),
        page,
        order,
        options.brush,
    )
    # A key for each content: a row picked in one page is not a row of the next.
    rows_key = f"table-{page}-{order}-{options.brush}"
    _unmark_others(rows_key, shown, options.point)
    table.dataframe(
        shown.assign(influence=shown["influence"].map(significant)),
        hide_index=True,
        key=rows_key,
        on_select=_opening(rows_key, shown, in_table=True),
        selection_mode="single-row",
        column_order=("id", "label", "length", "influence", "loss", "cluster", "sequence"),
        height=36 * (max(1, len(shown)) + 1),
        row_height=36,
        column_config={
            "id": st.column_config.TextColumn("Id"),
            "label": st.column_config.TextColumn("Label"),
            "length": st.column_config.NumberColumn(f"Length ({data.alphabet.unit})", format="localized"),
            "influence": st.column_config.NumberColumn("Influence", format="localized"),
            "loss": st.column_config.NumberColumn("Loss (nats/token)", format="%.4f"),
            "cluster": st.column_config.NumberColumn("Cluster", format="%d"),
            "sequence": st.column_config.TextColumn("Sequence", width="large"),
        },
        alt=f"Sequences {(page - 1) * _ROWS + 1:,} to {min(rows, page * _ROWS):,} of {rows:,}",
    )


def _search() -> None:
    text = current_brush().search

    def changed() -> None:
        change_brush(replace(current_brush(), search=st.session_state[f"search-{text}"].strip()))

    st.text_input(
        "Id contains", value=text, key=f"search-{text}", on_change=changed, placeholder="Any part of an id"
    )


def _download(data: OpenRun, options: ViewOptions, order: TableOrder, rows: int) -> None:
    """The selected rows as CSV, where the web process can make and hold it while a person waits."""
    if rows > _MOST_EXPORTED:
        _too_many(f"{_MOST_EXPORTED:,} sequences", count(rows, "sequence"))
        return
    letters = data.kept(
        "letters in all", lambda: count_letters(data.connection, options.brush.predicate()), options.brush
    )
    if letters > _MOST_LETTERS:
        _too_many(byte_size(_MOST_LETTERS), f"{byte_size(letters)} of letters")
        return

    def table() -> bytes:
        try:
            return b"".join(export_rows(data.connection, options.brush.predicate(), order, _MOST_EXPORTED))
        except InputError as error:
            return error.message.encode()

    st.download_button(
        f"Download {count(rows, 'sequence')} (CSV)",
        table,
        file_name=f"{data.run.name} selected.csv",
        mime="text/csv",
        on_click="ignore",
        key="download-rows",
        disabled=rows == 0,
    )


def _too_many(most: str, selected: str) -> None:
    note(
        f"Up to {most} can be downloaded here as CSV, and {selected} are selected. Save as a subset and "
        "export that, or brush fewer."
    )


def _opening(key: str, rows: pd.DataFrame, *, in_table: bool) -> Callable[[], None]:
    """What to do when another row of a table is picked: look at its sequence.

    Done when the selection changes and never because a row is picked: another point, or none, may have been
    set since, and two tables with a picked row would each bring back their own for ever.

    Args:
        key: Of the table.
        rows: What it shows.
        in_table: Whether the sequence is to be shown above the table rather than below the map.
    """
    positions = [int(position) for position in rows["position"]]

    def opened() -> None:
        picked = st.session_state[key]["selection"]["rows"]
        if picked and picked[0] < len(positions):
            position = positions[picked[0]]
            st.session_state[_PICKED] = position if in_table else None
            set_point(position)

    return opened


def _unmark_others(key: str, rows: pd.DataFrame, point: int | None) -> None:
    """Take the mark from a picked row that is no longer looked at, so that it can be picked again."""
    picked = st.session_state[key]["selection"]["rows"] if key in st.session_state else []
    if picked and (picked[0] >= len(rows) or int(rows["position"].iloc[picked[0]]) != point):
        st.session_state[key] = {"selection": {"rows": [], "columns": [], "cells": []}}
