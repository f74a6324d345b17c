"""The tasks of a new experiment: known ones in folders, the sample, one's own table with how it is read."""

from pathlib import Path
from typing import Any

import streamlit as st

from app.components import field_error, note
from app.context import importable
from bioprune_core.alphabet import Alphabet
from bioprune_core.demo.sample import SAMPLE_TASK
from bioprune_core.errors import InputError
from bioprune_core.tasks import (
    Columns,
    OwnKind,
    guess_kind,
    read_header,
    read_table,
    shipped_tasks,
    usual_columns,
)

__all__ = ["task_settings"]

Settings = dict[str, Any]

_OWN = "My own table"
_SAMPLE = "Sample: families of invented RNAs"
_KINDS = {OwnKind.CLASSIFICATION: "Classification", OwnKind.REGRESSION: "Regression"}
_COLUMNS = {
    "sequence": ("Column of the sequences", "Choose a column"),
    "label": ("Column of the labels", "Choose a column"),
}
_NO_SPLIT = "None: drawn at random"
# Kind and split are guessed from all rows, of larger tables by the job: 60 MB took 11 s and 400 MB here.
_MOST_BYTES = 8 << 20
_MOST_PACKED_BYTES = 1 << 20


def task_settings(alphabet: Alphabet) -> tuple[Settings, str]:
    """Draw the fields of the tasks; the experiment's settings of them, and what is wrong.

    Args:
        alphabet: Of the pool; tasks of others are not offered.
    """
    known = {task.title: name for name, task in shipped_tasks().items() if task.alphabet is alphabet}
    sample = [_SAMPLE] if alphabet is Alphabet.RNA and SAMPLE_TASK.is_file() else []
    offered = [*known, *sample, _OWN]
    chosen = st.multiselect("Measure on", offered, key="tasks", placeholder="Choose tasks")
    if not chosen:
        return {"tasks": []}, "Choose at least one task."
    if not importable() and chosen != sample:
        note("This server reads no folders of its own. Its operator can name some, or use the command line.")
    found, wrong = [], ""
    for title in chosen:
        settings, complaint = _sample() if title == _SAMPLE else _task(title, known.get(title))
        found.append(settings)
        wrong = wrong or complaint
    clean = st.checkbox(
        "Leave out training examples near-identical to test examples",
        key="leave-out-leaks",
        help="Of each task's training and validation examples. How many there are stands with the results in "
        "either case.",
    )
    return {"tasks": found, **({"leave_out_leaks": True} if clean else {})}, wrong


def _sample() -> tuple[Settings, str]:
    note(
        "The sample comes with BioPrune: invented RNAs, to be told by family. It shows what an experiment "
        "does, and says nothing of real sequences."
    )
    return {"name": "sample-families", "folder": str(SAMPLE_TASK)}, ""


def _task(title: str, name: str | None) -> tuple[Settings, str]:
    """One task; `name` is None for one's own table."""
    left, right = st.columns((4, 1))
    text = left.text_input(
        f"{title}: folder" if name else "My own table: a file with a column of sequences and one of labels",
        key=f"task-{title}",
        placeholder="/data/tasks/..." if name else "/data/my-task.csv",
    )
    limit = right.number_input(
        "Training examples at most", 1, None, None, key=f"limit-{title}", placeholder="all"
    )
    if not text.strip():
        return {}, f"{title}: say where its data are, a path on the server."
    try:
        path = importable().path(text)
        if path.is_dir() is (name is None):
            raise InputError(
                f"{path} is no folder. Name the folder of its files."
                if name
                else f"{path} is a folder. Name the file of the table."
            )
        read, missing = ({}, "") if name else _own_table(path)
    except InputError as error:
        with left:
            field_error(error.message)
        return {}, error.message
    settings: Settings = {"name": name or path.stem, "folder": str(path), **read}
    return settings | ({"limit": int(limit)} if limit else {}), missing


def _own_table(path: Path) -> tuple[Settings, str]:
    """How a table is read, with nothing of what would be guessed anyway; and what is still to be chosen.

    A split that can be chosen is always named: in a large table it is guessed here by its name alone.

    Raises:
        InputError: It is no table.
    """
    stat = path.stat()
    plain = path.suffix.lower() in (".csv", ".tsv", ".txt")
    whole = stat.st_size <= (_MOST_BYTES if plain else _MOST_PACKED_BYTES)
    names, usual = _columns(str(path), stat.st_mtime_ns, whole)
    *places, divided, last = st.columns(4)
    columns: dict[str, str] = {}
    missing = ""
    for place, (what, (title, without)) in zip(places, _COLUMNS.items(), strict=True):
        guess: str | None = getattr(usual, what)
        index = None if guess is None else names.index(guess)
        name = place.selectbox(title, names, index, placeholder=without, key=f"own-{what}-{path}")
        if name is None:
            missing = missing or f"{path.name}: choose the {title[:1].lower()}{title[1:]}."
        elif name != guess:
            columns[what] = name
    splits = ["", *filter(None, names)]
    split = divided.selectbox(
        "Column of the split",
        splits,
        splits.index(usual.split or ""),
        format_func=lambda each: each or _NO_SPLIT,
        key=f"own-split-{path}",
    )
    if split or usual.split:
        columns["split"] = split
    guessed, why = None, ""
    if not missing and whole:
        guessed, why = _guess(str(path), stat.st_mtime_ns, Columns(**columns))
    kind = last.selectbox(
        "Kind of task",
        list(_KINDS),
        None if guessed is None else list(_KINDS).index(guessed),
        format_func=lambda each: _KINDS[each],
        placeholder="Guessed from the labels",
        # Another guess is another default.
        key=f"own-kind-{path}-{columns.get('label')}-{guessed}",
    )
    if why and kind is guessed:
        note(f"Guessed: {why}.")
    chosen = {} if kind is None or kind is guessed else {"kind": kind.value}
    return chosen | ({"columns": columns} if columns else {}), missing


@st.cache_data(max_entries=16, show_spinner=False)
def _columns(path: str, modified: int, whole: bool) -> tuple[list[str], Columns]:  # noqa: ARG001 - see below
    # The cache goes by `modified` too.
    table = read_table(Path(path)) if whole else read_header(Path(path))
    return list(dict.fromkeys(table.columns)), usual_columns(table)


@st.cache_data(max_entries=16, show_spinner="Reading the labels")
def _guess(path: str, modified: int, columns: Columns) -> tuple[OwnKind, str]:  # noqa: ARG001
    return guess_kind(Path(path), columns)
