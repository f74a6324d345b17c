"""Adding a dataset: where the files are, how to read them, and a look at the first records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components import field_error, note, show_error
from app.file_choice import ChosenFiles, choose_files
from app.followed_default import follow_default
from app.job_views import start_job
from app.one_click import made_once
from app.previews import draw_preview, look, sample_files
from app.services import workspace
from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import BioPruneError
from bioprune_core.jobs import JobKind
from bioprune_core.sequences import AmbiguousPolicy, IngestOptions, LengthPolicy
from bioprune_core.sequences.file_names import stem
from bioprune_core.workspace import Dataset, Project, free_name

__all__ = ["new_dataset"]

_ALPHABETS = {"": "Detect", "rna": "RNA", "dna": "DNA", "protein": "Protein"}
_AMBIGUOUS = {
    AmbiguousPolicy.KEEP: "Keep them",
    AmbiguousPolicy.REPLACE: "Replace each by N (X in proteins)",
    AmbiguousPolicy.DROP: "Drop the sequence",
}
_TOO_LONG = {
    LengthPolicy.DROP: "Drop them",
    LengthPolicy.TRUNCATE: "Keep their beginning",
    LengthPolicy.WINDOW: "Cut them into windows",
}
_NO_LABEL, _LABEL_COLUMN, _LABEL_PATTERN, _LABEL_FILE = "None", "Column", "Header pattern", "File name"


def new_dataset(project: Project) -> Dataset | None:
    """Draw the form. Gives the dataset in the run in which it was made and its ingest enqueued."""
    controls, picture = st.columns((5, 7), gap="large")
    with controls:
        chosen = choose_files(project)
    if not chosen.paths:
        return None
    try:
        files = sample_files(chosen.paths, chosen.within)
    except BioPruneError as error:
        with picture:
            show_error(error)
        return None
    if not files:
        with picture:
            note("The folder holds no files that may be read.")
        return None
    with picture:
        st.header("First records", anchor=False)
        shown = files[0]
        if len(files) > 1:
            shown = st.selectbox("File", files, format_func=lambda path: _name(path, chosen), key="shown")
    with controls:
        options = _options(shown)
        made = _submit(project, chosen, options)
    with picture:
        if options is not None:
            _show(shown, options)
    return made


def _name(path: Path, chosen: ChosenFiles) -> str:
    """What a file is called among those chosen: no two the same."""
    folder = next((each for each in chosen.paths if each in path.parents), path.parent)
    return chosen.names.get(path) or str(path.relative_to(folder))


def _show(path: Path, options: IngestOptions) -> None:
    try:
        draw_preview(look(path, options))
    except BioPruneError as error:
        show_error(error)


def _options(shown: Path) -> IngestOptions | None:
    """The policies; None where they contradict each other, which is said there."""
    st.header("How to read them", anchor=False)
    columns = _columns(shown)
    left, right = st.columns(2)
    alphabet = _choice(left, "Alphabet", _ALPHABETS, "alphabet", "RNA reads T as U, DNA reads U as T.")
    ambiguous = _choice(
        right,
        "Ambiguous letters",
        _AMBIGUOUS,
        "ambiguous",
        "IUPAC codes for more than one residue, such as N, R and Y.",
    )
    minimum = left.number_input(
        "Shortest sequence (residues)", min_value=1, value=1, step=1, key="minimum", bind="query-params"
    )
    maximum = right.number_input(
        "Longest sequence (residues)",
        min_value=1,
        value=None,
        step=1,
        placeholder="No bound",
        key="maximum",
        bind="query-params",
    )
    settings: dict[str, Any] = {
        "alphabet": Alphabet(alphabet) if alphabet else None,
        "ambiguous": ambiguous,
        "minimum_length": minimum,
        "maximum_length": maximum,
        **columns,
        **_label(shown, columns),
    }
    if maximum is not None:
        settings |= _longer(left, right)
    settings["deduplicate"] = st.toggle(
        "Collapse equal sequences into one", value=True, key="unique", bind="query-params"
    )
    try:
        return IngestOptions(**settings)
    except BioPruneError as error:
        field_error(error.message)
        return None


def _longer(left: DeltaGenerator, right: DeltaGenerator) -> dict[str, Any]:
    """What happens to sequences above the maximum."""
    policy = _choice(left, "Longer sequences", _TOO_LONG, "longer")
    if policy is not LengthPolicy.WINDOW:
        return {"too_long": policy}
    overlap = right.number_input(
        "Overlap of windows (residues)", min_value=0, value=0, step=1, key="overlap", bind="query-params"
    )
    return {"too_long": policy, "window_overlap": overlap}


_Value = TypeVar("_Value", bound=str)


def _choice(
    place: DeltaGenerator, label: str, names: Mapping[_Value, str], key: str, text: str | None = None
) -> _Value:
    """One of several values, shown by their names and kept in the address."""
    chosen: _Value | None = place.selectbox(
        label, list(names), format_func=names.__getitem__, key=key, bind="query-params", help=text
    )
    return next(iter(names)) if chosen is None else chosen


def _columns(shown: Path) -> dict[str, str | None]:
    """The columns of a table: guessed, and to be chosen otherwise."""
    try:
        found = look(shown, IngestOptions())
    except BioPruneError:
        # Said beside the preview, where the file is named.
        return {}
    if not found.columns:
        return {}
    left, right = st.columns(2)
    names = list(found.columns)
    sequence = left.selectbox(
        "Column of the sequences",
        names,
        index=names.index(found.sequence_column) if found.sequence_column else None,
        placeholder="Choose a column",
        key="sequence-column",
        bind="query-params",
    )
    identifier = right.selectbox(
        "Column of the ids",
        names,
        index=names.index(found.id_column) if found.id_column else None,
        placeholder="None: records are numbered",
        key="id-column",
        bind="query-params",
    )
    return {"sequence_column": sequence, "id_column": identifier}


def _label(shown: Path, columns: dict[str, str | None]) -> dict[str, Any]:
    """Where labels such as families come from; they colour pictures and are never trained on."""
    ways = [_NO_LABEL, *([_LABEL_COLUMN] if columns else []), _LABEL_PATTERN, _LABEL_FILE]
    left, right = st.columns(2)
    way = left.selectbox(
        "Labels",
        ways,
        key="labels",
        bind="query-params",
        help="Families or classes, for colours and coverage. They are never used to score.",
    )
    if way == _LABEL_FILE:
        return {"label_from_file_name": True}
    if way == _LABEL_COLUMN:
        column = right.selectbox(
            "Column of the labels",
            list(look(shown, IngestOptions()).columns),
            index=None,
            placeholder="Choose a column",
            key="label-column",
            bind="query-params",
        )
        return {"label_column": column}
    if way == _LABEL_PATTERN:
        pattern = right.text_input(
            "Pattern over the header",
            value=r"^(\w+);",
            key="label-pattern",
            bind="query-params",
            help="A regular expression with one pair of parentheses around the label.",
        )
        return {"label_pattern": pattern or None}
    return {}


def _submit(project: Project, chosen: ChosenFiles, options: IngestOptions | None) -> Dataset | None:
    st.header("Name", anchor=False)
    follow_default("dataset-name", _free_name(project, chosen.paths[0]))
    name = st.text_input(
        "Name of the dataset", max_chars=100, label_visibility="collapsed", key="dataset-name"
    )
    clicked = st.button("Read the files", type="primary", key="ingest", disabled=options is None)

    def make() -> Dataset | None:
        assert options is not None
        if chosen.changed:
            field_error("The files chosen are others than the page showed. Check them, and click again.")
            return None
        try:
            dataset = workspace().create_dataset(
                project, name, chosen.paths, options.to_json(), within=chosen.within
            )
            start_job(JobKind.INGEST, dataset.id)
        except BioPruneError as error:
            field_error(error.message)
            return None
        return dataset

    return made_once("dataset", clicked, make)


def _free_name(project: Project, path: Path) -> str:
    """A file's name without its endings, numbered when a dataset has it already."""
    name = path.name if path.is_dir() else stem(path.name)
    return free_name(name[:90] or "dataset", (dataset.name for dataset in workspace().datasets(project)))
