"""Starting the training of a model from scratch, on a coreset or a dataset."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import streamlit as st

from app.components import note
from app.followed_default import follow_default
from app.formatting import count
from app.from_scratch import choose_architecture, start_training
from app.gone_choice import choose_one
from app.one_click import made_once
from app.services import workspace
from app.training_settings import (
    advanced_settings,
    learning_rate_field,
    pretraining_defaults,
)
from app.whole import manifest_of, not_whole, tell_left_out
from bioprune_core.alphabet import Alphabet
from bioprune_core.workspace import Coreset, Dataset, Model, Project, free_name

__all__ = ["new_training"]


class _Source(StrEnum):
    CORESET = "A coreset"
    DATASET = "A dataset"


class _Length(StrEnum):
    STEPS = "Steps"
    TOKENS = "Tokens"
    EPOCHS = "Epochs"


_DEFAULTS = {_Length.STEPS: 500, _Length.TOKENS: 1_000_000, _Length.EPOCHS: 10}


def new_training(project: Project, datasets: list[Dataset]) -> Model | None:
    """Draw the form; the model whose training was started in this run."""
    with st.container(border=True, gap="small"):
        st.header("Train a model from scratch", anchor=False)
        chosen = _training_set(project, datasets)
        if chosen is None:
            return None
        dataset, coreset, gone = chosen
        alphabet = Alphabet(workspace().manifest(dataset)["alphabet"])
        left, middle, right = st.columns(3)
        family, scale = choose_architecture(left, middle, alphabet)
        seed = right.number_input("Seed", min_value=0, value=0, step=1, key="model-seed")
        defaults = pretraining_defaults(scale, int(seed))
        given = _length(defaults)
        settings = advanced_settings(defaults)
        of = coreset.name if coreset is not None else dataset.name
        taken = (each.name for each in workspace().models(project))
        suggested = free_name(f"{family} {scale} on {of}, seed {seed}"[:100], taken)
        follow_default("model-name", suggested)
        name = st.text_input("Name of the model", max_chars=100, key="model-name")
        clicked = st.button("Start training", type="primary", key="train") and not gone

        def start() -> Model | None:
            return start_training(
                project,
                name,
                dataset,
                family,
                scale,
                seed=int(seed),
                training=defaults | settings["training"] | given,
                validation_size=settings["validation_size"],
                device=settings["device"],
                coreset_id=None if coreset is None else coreset.id,
            )

        return made_once("pretrain", clicked, start)


def _training_set(project: Project, datasets: list[Dataset]) -> tuple[Dataset, Coreset | None, bool] | None:
    """The dataset, the coreset of it where one was chosen, and whether these replace what is gone."""
    by_id = {each.id: each for each in datasets}
    coresets = workspace().coresets(project)
    sources = [each.value for each in _Source]
    source = st.segmented_control(
        "Train on",
        sources,
        default=sources[0] if coresets else sources[1],
        required=True,
        key="on",
        bind="query-params",
    )
    if source == _Source.DATASET.value:
        one = _one_of(project, "Dataset", datasets)
        return None if one is None else (by_id[one[0]], None, one[1])
    if not coresets:
        note("This project has no coreset yet. Select one from a run's scores, or train on a dataset.")
        return None
    pools = {run.id: by_id[run.dataset_id] for run in workspace().runs(project) if run.dataset_id in by_id}
    offered = {each.id: each for each in reversed(coresets) if each.run_id in pools}
    one = _one_of(project, "Coreset", list(offered.values()))
    if one is None:
        return None
    chosen, gone = one
    note("The loss is measured on sequences of the dataset outside of the coreset, where there are any.")
    return pools[offered[chosen].run_id], offered[chosen], gone


def _one_of(project: Project, label: str, records: Sequence[Dataset | Coreset]) -> tuple[str, bool] | None:
    """The id of one of some records, and whether it replaces one that is gone; None where none is whole."""
    manifests = [(each, manifest_of(each)) for each in records]
    names = {each.id: _sized(each, manifest) for each, manifest in manifests if manifest is not None}
    key = f"of-{label.lower()}-{project.id}"
    chosen = choose_one(label, names, key, titled=False) if names else None
    # A dataset that is not whole is among no records; neither are the coresets of its runs.
    lost = not_whole(workspace().datasets(project))
    tell_left_out([*(each.name for each in records if each.id not in names), *lost])
    return chosen


def _sized(record: Dataset | Coreset, manifest: Mapping[str, Any]) -> str:
    return f"{record.name}, {count(manifest['sequences'], 'sequence')}"


def _length(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """How long to train and with which peak rate, as fields of `TrainingConfig`."""
    left, middle, right = st.columns(3)
    unit = left.selectbox("Length in", [each.value for each in _Length], key="length-in", bind="query-params")
    length = _Length(unit)
    number = middle.number_input(
        length.value,
        min_value=1,
        max_value=10**12,
        value=_DEFAULTS[length],
        step=1,
        key=f"length-{length.name.lower()}",
    )
    rate = learning_rate_field(
        right,
        defaults["learning_rate"],
        "learning-rate",
        "The peak of the schedule. Small models take more, large ones less.",
    )
    return {"steps": None, length.name.lower(): number, "learning_rate": rate}
