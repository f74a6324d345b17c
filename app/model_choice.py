"""Choosing the model of a run: one of the project, a published one, a path or hub id, or a new one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import streamlit as st

from app.components import field_error, note
from app.context import importable
from app.followed_default import follow_default
from app.formatting import alphabet_name
from app.from_scratch import choose_architecture, start_training
from app.gone_choice import is_gone, tell_gone
from app.job_views import follow
from app.one_click import made_once
from app.services import workspace
from app.training_settings import pretraining_defaults
from app.whole import Known, known_of, not_whole, tell_left_out
from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.models.architectures import Scale
from bioprune_core.models.catalogue import ModelCard, find_card, is_hub_id, model_catalogue
from bioprune_core.workspace import Dataset, Model, Project, State, free_name

__all__ = ["ModelChoice", "choose_model"]

_RNA_CODE = frozenset({Alphabet.RNA, Alphabet.DNA})


class Source(StrEnum):
    """Where a model comes from."""

    HERE = "In this project"
    PUBLISHED = "Published"
    REFERENCE = "Path or hub id"
    SCRATCH = "New, from scratch"


_SCALES: Mapping[Scale, str] = {
    Scale.TINY: "Under a million parameters: minutes on a CPU.",
    Scale.SMALL: "A few million parameters: hours on a CPU.",
    Scale.BASE: "Tens of millions of parameters: needs a GPU.",
    Scale.FULL: "The published size: needs a GPU.",
}


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that a run can use.

    Args:
        name: What it is called.
        model: Its entry in the catalogue; None where starting the run makes one.
        reference: Name, hub id or path; None for a model trained here.
        replaces: Whether it is shown in place of one that was chosen and is gone.
    """

    name: str
    model: Model | None
    reference: str | None
    replaces: bool = False

    def entry(self, project: Project) -> Model:
        """The catalogue's entry, made where there is none yet."""
        if self.model is not None:
            return self.model
        # Two folders may have one name, and a model trained here that of a published one.
        name = free_name(self.name[:100], (each.name for each in workspace().models(project)))
        return workspace().add_model(project, name, self.reference or "")


def choose_model(project: Project, dataset: Dataset) -> ModelChoice | None:
    """Draw the choice; None while nothing that can be used is chosen."""
    alphabet = Alphabet(workspace().manifest(dataset)["alphabet"])
    models = workspace().models(project)
    sources = [each.value for each in Source]
    source = st.segmented_control(
        "Model",
        sources,
        default=sources[0] if models else Source.PUBLISHED.value,
        required=True,
        key="from",
        bind="query-params",
    )
    match Source(source):
        case Source.HERE:
            return _of_project(project, models, alphabet)
        case Source.PUBLISHED:
            return _published(models, alphabet)
        case Source.REFERENCE:
            return _reference(models)
        case Source.SCRATCH:
            _from_scratch(project, dataset, alphabet)
            return None


def _of_project(project: Project, models: list[Model], alphabet: Alphabet) -> ModelChoice | None:
    whole = [(model, known) for model in models if (known := known_of(model)) is not None]
    waiting = [model for model, known in whole if known.state is not State.DONE]
    usable = [model for model, known in whole if model not in waiting and _reads(model, known, alphabet)]
    if not usable:
        note(
            f"This project has no finished model that reads {alphabet_name(alphabet)}. Take a published one, "
            "or train a small one from scratch."
        )
    options = [model.id for model in reversed(usable)]
    key = _key_of(project, alphabet)
    gone = is_gone(key, options)
    chosen = st.selectbox(
        "Which model",
        options,
        format_func={model.id: model.name for model in models}.__getitem__,
        placeholder="No model is ready",
        key=key,
        label_visibility="collapsed",
        disabled=not usable,
    )
    if gone:
        tell_gone()
    tell_left_out(not_whole(models))
    for model in waiting:
        note(f"{model.name} is not trained yet.")
        follow(model.id)
    found = next((each for each in usable if each.id == chosen), None)
    return None if found is None else ModelChoice(found.name, found, found.reference, gone)


def _key_of(project: Project, alphabet: Alphabet) -> str:
    return f"model-{project.id}-{alphabet}"


def _reads(model: Model, known: Known, alphabet: Alphabet) -> bool:
    """Whether a model may read an alphabet, as far as the catalogue knows."""
    if model.reference is not None:
        card = next((card for card in model_catalogue() if card.name == model.reference.lower()), None)
        return card is None or _matches(card, alphabet)
    return bool(known.manifest["alphabet"] == alphabet.value)


def _matches(card: ModelCard, alphabet: Alphabet) -> bool:
    return card.alphabet is alphabet


def _published(models: list[Model], alphabet: Alphabet) -> ModelChoice | None:
    cards = {card.name: card for card in model_catalogue() if _matches(card, alphabet)}
    if not cards:
        other = "RNA" if alphabet in _RNA_CODE else alphabet_name(alphabet)
        field_error(
            f"No published model that is known here reads {alphabet_name(alphabet)}. Ingest the files as "
            f"{other}, give a path or hub id, or train one from scratch."
        )
        return None
    name = st.selectbox(
        "Published model",
        list(cards),
        format_func=lambda each: f"{each}, {cards[each].parameters / 1e6:,.1f} million parameters",
        key="published",
        bind="query-params",
        label_visibility="collapsed",
    )
    _weights_note(cards[name])
    known = next((model for model in models if model.reference == name), None)
    return ModelChoice(name if known is None else known.name, known, name)


def _weights_note(card: ModelCard) -> None:
    """Where the weights are, or where to put them."""
    # Imported late: the client of the model hub takes a third of a second to load.
    from bioprune_core.models.places import model_folders, placed

    found = placed(card)
    if found is not None:
        note(f"Weights found: {found}")
        return
    folder = model_folders()[-1].expanduser().absolute()
    note(
        f"The worker looks for the weights in {folder} and in its cache of the model hub, then fetches them "
        f"from {card.weights}. Without a network, put them into {folder / card.name}."
    )


def _reference(models: list[Model]) -> ModelChoice | None:
    text = st.text_input(
        "Path or hub id",
        placeholder="/models/my-model or owner/name",
        key="reference",
        bind="query-params",
        label_visibility="collapsed",
        help="A folder or file of this server that the worker sees too, or a hub id. Only weights are read; "
        "no code is run.",
    ).strip()
    note("Any masked language model that the transformers library can open, one letter a token.")
    if not text:
        return None
    try:
        reference = _checked(text)
    except InputError as error:
        field_error(error.message)
        return None
    known = next((model for model in models if model.reference == reference), None)
    return ModelChoice(Path(reference).name if known is None else known.name, known, reference)


def _checked(text: str) -> str:
    """A catalogue's name or a hub id as it is; anything else must be a path that may be imported from.

    Raises:
        InputError: It is none of these; says why.
    """
    named = find_card(text) is not None or is_hub_id(text)
    # A path goes first where a model is loaded.
    if named and not Path(text).exists():
        return text
    if not text.startswith(("/", "~")):
        raise InputError(
            f"{text} is no model that is known here, no hub id (owner/name) and no path, which starts with a "
            "slash. Check the spelling."
        )
    return str(importable().path(text))


def _from_scratch(project: Project, dataset: Dataset, alphabet: Alphabet) -> None:
    note(
        "A model without pretraining learns from this dataset alone. It is a stand-in to try the method "
        "with, or for sequences that no published model reads; its scores are as good as what it learned."
    )
    left, right = st.columns(2)
    family, scale = choose_architecture(left, right, alphabet)
    # Not in the options: half a column is too narrow for a sentence.
    right.html(f'<p class="bp-note bp-below">{_SCALES[Scale(scale)]}</p>')
    left, right = st.columns(2)
    steps = left.number_input(
        "Training steps",
        min_value=10,
        max_value=1_000_000,
        value=pretraining_defaults(scale, 0)["steps"],
        step=100,
        key="steps",
        bind="query-params",
    )
    seed = right.number_input("Seed of the model", min_value=0, value=0, step=1, key="model-seed")
    taken = (each.name for each in workspace().models(project))
    follow_default("scratch-name", free_name(f"{family} {scale}, {steps:,} steps, seed {seed}", taken))
    name = st.text_input("Name of the model", max_chars=100, key="scratch-name")

    def start() -> Model | None:
        training = {**pretraining_defaults(scale, int(seed)), "steps": int(steps)}
        return start_training(project, name, dataset, family, scale, seed=int(seed), training=training)

    # Without a run of its own: the next click would train another. The model is among the waiting ones below.
    clicked = st.button("Train this model", key="train-model")
    made_once("train-model", clicked, start, (dataset.id, family, scale, steps, seed))
    _trained_here(project, alphabet)


def _trained_here(project: Project, alphabet: Alphabet) -> None:
    """Follow the models in training, and say of each whose end was awaited here that it can be chosen."""
    # Not chosen unasked: the form may be in use for the next model.
    awaited: set[str] = st.session_state.setdefault("awaited-models", set())
    for model in workspace().models(project):
        known = known_of(model)
        if known is None:
            continue
        if known.state is not State.DONE:
            awaited.add(model.id)
            note(f'{model.name}: once it is trained, choose it under "{Source.HERE.value}".')
            follow(model.id)
        elif model.id in awaited and _reads(model, known, alphabet):
            with st.container(border=True, horizontal=True, vertical_alignment="center"):
                note(f'{model.name} is trained. It is now under "{Source.HERE.value}".')
                st.button(
                    "Choose this model",
                    key=f"choose-{model.id}",
                    on_click=_choose,
                    args=(project, alphabet, model),
                )


def _choose(project: Project, alphabet: Alphabet, model: Model) -> None:
    st.session_state["awaited-models"].discard(model.id)
    st.session_state["from"] = Source.HERE.value
    st.session_state[_key_of(project, alphabet)] = model.id
