"""The pieces pages are made of: header, key figures, empty states, tables, errors, charts, downloads."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from app.theme import Mode, Palette, current_palette, plot_config
from bioprune_core.errors import BioPruneError

__all__ = [
    "LINKS_DRAWN_ANEW_S",
    "Html",
    "KeyFigure",
    "chart",
    "data_button",
    "download_links",
    "empty_state",
    "field_error",
    "install_style",
    "key_figures",
    "list_figure",
    "list_head",
    "note",
    "page_header",
    "pairs",
    "plain",
    "show_error",
    "state_html",
    "table",
]

LINKS_DRAWN_ANEW_S = 300.0
"""How often fragments with download links are drawn, as an address is good for 15 minutes."""

_LONG_VALUE = 12
"""Letters above which a key figure is words rather than a number, and set smaller."""

_STYLE = Path(__file__).with_name("style.css")

_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")

_FOUND_IN_TEXT = re.compile(
    r"(?<=:)(?=//|material/|streamlit:)|(?<=www)(?=\.)|(?<=@)(?=\w)|(?<=(?<!\S)[<>~-])(?=(?:->|[->=])(?!\S))",
    re.IGNORECASE,
)
"""Inside addresses, icons and arrows, which Streamlit looks for once the backslashes are gone."""

_WORD_JOINER = "\N{WORD JOINER}"


class Html(str):
    """Text that is already HTML; everything else is escaped."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One figure of the row on top of a page.

    Args:
        label: What is counted or measured, in sentence case.
        value: The figure as shown, with thousands separators.
        unit: Its unit, set small behind it; empty for counts whose label names what is counted.
        comment: One short line below, such as a share or a bound.
        help: Explanation shown on hover.
    """

    label: str
    value: str
    unit: str = ""
    comment: str = ""
    help: str = ""


def install_style() -> None:
    """Put the style sheet and the palette's variables into the page; the shell calls it once a run."""
    palette = current_palette()
    st.html(f"<style>{_variables(palette)}\n{_STYLE.read_text(encoding='utf-8')}</style>")


def _variables(palette: Palette) -> str:
    strong = "#bfc1bd" if palette.mode is Mode.LIGHT else "#4d545b"
    accent_text = palette.accent if palette.mode is Mode.LIGHT else "#e99bc6"
    return (
        f":root {{ --bp-line: {palette.line}; --bp-line-strong: {strong}; --bp-accent: {palette.accent};"
        f" --bp-accent-text: {accent_text}; --bp-on-accent: {palette.background};"
        f" --bp-accent-hover: {palette.accent_hover};"
        f" --bp-negative: {palette.negative};"
        f" --bp-positive: {palette.positive}; --bp-warning: {palette.warning}; --bp-grey: {palette.muted}; }}"
    )


def page_header(title: str, lead: str = "", trail: Sequence[str] = ()) -> None:
    """The title of a page, above it where the person is (project, run), below it one sentence."""
    if trail:
        spans = "".join(f"<span>{escape(part)}</span>" for part in trail)
        st.html(f'<div class="bp-trail">{spans}</div>')
    st.title(plain(title), anchor=False)
    if lead:
        st.html(f'<p class="bp-lead">{escape(lead)}</p>')


def key_figures(figures: Iterable[KeyFigure]) -> None:
    """The row of key figures on top of a page."""
    st.html(f'<dl class="bp-figures">{"".join(map(_key_figure, figures))}</dl>')


def _key_figure(figure: KeyFigure) -> str:
    unit = f"<small>{escape(figure.unit)}</small>" if figure.unit else ""
    comment = f"<p>{_text(figure.comment)}</p>" if figure.comment else ""
    title = f' title="{escape(figure.help)}"' if figure.help else ""
    size = ' class="bp-words"' if len(figure.value) + len(figure.unit) > _LONG_VALUE else ""
    value = f"<dd{size}>{_text(figure.value)}{unit}</dd>"
    return f"<div{title}><dt>{escape(figure.label)}</dt>{value}{comment}</div>"


def empty_state(
    title: str, text: str, button: str | None = None, on_click: Callable[[], None] | None = None
) -> bool:
    """What an empty page says: what is missing, what to do next, and the button that does it.

    Returns:
        Whether the button was pressed in this run.
    """
    with st.container(border=True, gap="small"):
        st.html(f'<div class="bp-empty"><h2>{escape(title)}</h2><p>{escape(text)}</p></div>')
        if button is None:
            return False
        return st.button(button, type="primary", on_click=on_click, key=f"empty-{title}")


def note(text: str) -> None:
    """A limit or an explanation, written where it applies."""
    st.html(f'<p class="bp-note">{_text(text)}</p>')


def field_error(message: str) -> None:
    """What is wrong with the field just above, with the bound and the reason."""
    st.html(f'<p class="bp-field-error" role="alert">{escape(message)}</p>')


def show_error(error: BioPruneError) -> None:
    """The user's sentence of an error; its detail is for the log only."""
    st.error(plain(error.message))


def plain(text: str) -> str:
    """Text as it is, for what Streamlit reads as Markdown: titles, links, buttons, messages.

    Names and contents of files are not Markdown: `_x_.txt` keeps its underscores, `root:x:0` is no emoji, and
    an address is no link.
    """
    # Where a backslash does not help, a character that takes no room parts what would be replaced.
    parted = _FOUND_IN_TEXT.sub(_WORD_JOINER, " ".join(text.split()))
    return _PUNCTUATION.sub(r"\\\g<0>", parted)


_STATE_WORDS: Mapping[str, tuple[str, str]] = {
    "new": ("not started", "grey"),
    "queued": ("waiting", "grey"),
    "running": ("running", "accent"),
    "done": ("done", "positive"),
    "failed": ("failed", "negative"),
    "cancelled": ("cancelled", "grey"),
    "interrupted": ("interrupted", "warning"),
}


def state_html(state: str, word: str | None = None) -> Html:
    """A state as a shape and a word (its own unless given): colour is never the only sign."""
    own_word, colour = _STATE_WORDS.get(str(state), (str(state), "grey"))
    word = word or own_word
    shape = "new" if state == "queued" else escape(str(state))
    return Html(
        f'<span class="bp-state bp-state-{shape}" style="--bp-state: var(--bp-{colour})">'
        f"<i></i>{escape(word)}</span>"
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> None:
    """A table of few rows.

    Args:
        columns: Titles.
        rows: Cells; `Html` is put in as it is, other text is escaped.
        numbers: Indices of columns that hold numbers: right-aligned, tabular figures.
    """
    right = set(numbers)

    def cell(tag: str, index: int, value: str) -> str:
        kind = ' class="bp-number"' if index in right else ""
        return f"<{tag}{kind}>{_text(value)}</{tag}>"

    head = "".join(cell("th", index, title) for index, title in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(cell('td', index, value) for index, value in enumerate(row))}</tr>" for row in rows
    )
    st.html(f'<table class="bp-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def list_head(titles: Mapping[str, float], numbers: Iterable[str] = ()) -> None:
    """The titles above rows that hold links and buttons.

    Args:
        titles: Column titles with relative widths; pass the widths to `st.columns` for each row as well.
        numbers: Titles of columns that hold numbers.
    """
    right = set(numbers)
    cells = st.columns(list(titles.values()), vertical_alignment="center")
    for cell, title in zip(cells, titles, strict=True):
        kind = " bp-right" if title in right else ""
        cell.html(f'<div class="bp-head{kind}">{escape(title)}</div>')


def list_figure(text: str) -> Html:
    """A number in a row: right-aligned, tabular figures."""
    return Html(f'<div class="bp-figure bp-right">{escape(text)}</div>')


def pairs(items: Mapping[str, str]) -> None:
    """Names and values, one a line: provenance, parameters, limits."""
    body = "".join(f"<dt>{escape(name)}</dt><dd>{_text(value)}</dd>" for name, value in items.items())
    st.html(f'<dl class="bp-pairs">{body}</dl>')


def download_links(links: Iterable[tuple[str, str, str]]) -> None:
    """Links to streamed downloads, drawn as buttons.

    Args:
        links: Label, address (from `app.downloads`), small print such as a size; the last may be empty.
    """
    st.html(f'<div class="bp-links">{"".join(_download_link(*link) for link in links)}</div>')


def _download_link(label: str, address: str, comment: str) -> str:
    small = f"<small>{escape(comment)}</small>" if comment else ""
    return f'<a class="bp-button" href="{escape(address)}" download>{escape(label)}{small}</a>'


def chart(
    figure: Any,
    name: str,
    *,
    data: Callable[[], bytes] | None = None,
    alt: str | None = None,
    picture: str = "svg",
    **options: Any,
) -> Any:
    """Draw a figure made with `theme.figure_layout`, with its picture and its data (CSV) to download.

    Args:
        figure: A Plotly figure.
        name: Key of the chart and file name of what is downloaded.
        data: Makes the data behind the picture as CSV; called only when the button is pressed.
        alt: What the picture shows, for those who cannot see it.
        picture: Format of the picture, "svg" or "png".
        options: Passed on to `st.plotly_chart`, such as `on_select` and `selection_mode`.

    Returns:
        What `st.plotly_chart` returns.
    """
    with st.container(gap=None):
        drawn = st.plotly_chart(
            figure, theme=None, key=f"chart-{name}", config=plot_config(name, picture), alt=alt, **options
        )
        if data is not None:
            data_button(name, data)
    return drawn


def data_button(name: str, data: Callable[[], bytes]) -> None:
    """The data behind a picture as `name`.csv; made only when the button is pressed."""
    st.download_button(
        "Data (CSV)",
        data,
        file_name=f"{name}.csv",
        mime="text/csv",
        type="tertiary",
        on_click="ignore",
        key=f"data-{name}",
    )


def _text(value: str) -> str:
    return value if isinstance(value, Html) else escape(value)
