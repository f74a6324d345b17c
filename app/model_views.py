"""One model trained here, as it goes and once it is done."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.charts.training import loss_chart
from app.components import Html, KeyFigure, chart, key_figures, note, pairs
from app.formatting import amount, count, duration, time_html
from app.services import workspace
from app.theme import current_palette
from bioprune_core.workspace import Model, ModelConfig, State, read_events

__all__ = ["live_training", "trained_on", "training_results"]

_STAGE = "train"
_TITLE = "Pretraining"


@st.fragment(run_every=2.0)
def live_training(model: Model) -> None:
    """The loss, and the rates of the last steps, while the model is not trained."""
    if workspace().state(model) is State.DONE:
        return
    steps, losses, metrics, total = _events(model)
    if not steps:
        return
    key_figures(_rates(metrics))
    held_out = _held_out(model)
    chart(
        loss_chart(steps, losses, current_palette(), total=total, held_out=held_out, title=_TITLE),
        f"{model.name} loss",
        data=lambda: _csv(steps, losses),
        alt=f"Loss of the pretraining over {len(steps)} measured steps",
    )


def training_results(model: Model) -> None:
    """Key figures, the loss of every step, how it was made, how to take it out."""
    # Imported late: the history stands beside the training loop, and few visits need it.
    from bioprune_core.training import TrainingHistory

    manifest = workspace().manifest(model)
    history = TrainingHistory.read(workspace().directory(model))
    training = manifest["training"]
    key_figures(_figures(manifest, training))
    if history is not None:
        steps = list(range(1, history.steps + 1))
        measured = ([step for step, _ in history.validation], [loss for _, loss in history.validation])
        chart(
            loss_chart(
                steps,
                history.curve.loss,
                current_palette(),
                total=history.steps,
                held_out=measured,
                title=_TITLE,
            ),
            f"{model.name} loss",
            data=lambda: _csv(steps, history.curve.loss),
            alt=f"Loss of the pretraining over {history.steps} steps",
        )
    st.header("How it was made", anchor=False)
    pairs(_provenance(model, manifest))
    st.header("Take it out", anchor=False)
    note("A folder that AutoModelForMaskedLM.from_pretrained of the transformers library loads:")
    st.code(f"bioprune export-model {model.id} --output {model.id}", language=None)


def trained_on(model: Model) -> str:
    """The name of the dataset or coreset that a model is trained on."""
    config = ModelConfig.from_json(workspace().config(model))
    names = {each.id: each.name for each in workspace().coresets(model.project_id)}
    if config.coreset_id is not None:
        return f"coreset {names.get(config.coreset_id, config.coreset_id)}"
    datasets = {each.id: each.name for each in workspace().datasets(model.project_id)}
    return datasets.get(config.dataset_id, config.dataset_id)


def _events(model: Model) -> tuple[list[int], list[float], Mapping[str, float], int | None]:
    """Steps, losses, the latest metrics and the steps in all, as the events have them: a few a second."""
    found = [
        event
        for event in read_events(workspace().directory(model))
        if event.stage == _STAGE and event.unit == "steps" and "loss" in event.metrics
    ]
    if not found:
        return [], [], {}, None
    # A resumed training reports the steps since its last checkpoint again; the later report counts.
    curve = {event.done: float(event.metrics["loss"]) for event in found}
    steps = sorted(curve)
    return steps, [curve[step] for step in steps], found[-1].metrics, found[-1].total


def _held_out(model: Model) -> tuple[list[int], list[float]]:
    """Where the loss on held-out sequences changed, by step."""
    steps: list[int] = []
    losses: list[float] = []
    for event in read_events(workspace().directory(model)):
        loss = event.metrics.get("validation_loss") if event.stage == _STAGE else None
        if loss is not None and (not losses or losses[-1] != loss):
            steps.append(event.done)
            losses.append(float(loss))
    return steps, losses


def _rates(metrics: Mapping[str, float]) -> list[KeyFigure]:
    figures = [
        KeyFigure("Tokens a second", f"{metrics.get('tokens_per_s', 0):,.0f}", comment="without padding"),
        KeyFigure("Loss now", f"{metrics['loss']:.3f}", "nats", "of this step, per masked token"),
    ]
    if "validation_perplexity" in metrics:
        figures.append(
            KeyFigure(
                "Perplexity", amount(metrics["validation_perplexity"], 3), comment="on held-out sequences"
            )
        )
    if "model_flops_utilisation" in metrics:
        share = f"{100 * metrics['model_flops_utilisation']:.0f} %"
        figures.append(KeyFigure("Of the GPU's arithmetic", share, comment="model-flops utilisation"))
    return figures


def _figures(manifest: Mapping[str, Any], training: Mapping[str, Any]) -> list[KeyFigure]:
    figures = [
        KeyFigure("Parameters", f"{manifest['parameters'] / 1e6:,.1f} M"),
        KeyFigure("Trained on", f"{training['sequences']:,}", comment="sequences"),
        KeyFigure("Steps", f"{training['steps']:,}", comment=_tokens(training)),
    ]
    if training["validation"]:
        last = training["validation"][-1]
        before = training["validation"][0]
        held_out = count(training["validation_sequences"], "held-out sequence")
        figures.append(
            KeyFigure(
                "Held-out loss", f"{last['loss']:.3f}", "nats", f"{before['loss']:.3f} before, {held_out}"
            )
        )
        if "perplexity" in last:
            figures.append(
                KeyFigure("Perplexity", amount(last["perplexity"], 3), comment="of held-out residues")
            )
    figures.append(KeyFigure("Took", duration(manifest["seconds"])))
    return figures


def _tokens(training: Mapping[str, Any]) -> str:
    return f"{training['tokens']:,} tokens" if "tokens" in training else ""


def _provenance(model: Model, manifest: Mapping[str, Any]) -> dict[str, str]:
    config = manifest["config"]
    training = config["training"]
    return {
        "Architecture": f"{manifest['architecture']}, {config['scale']}, {manifest['alphabet']}",
        "Trained on": trained_on(model),
        "Schedule": f"peak {training['learning_rate']:g}, warm-up {100 * training['warmup_fraction']:g} %, "
        f"{training['decay']} decay, {training['token_budget']:,} tokens a step",
        "Seed": str(config["seed"]),
        "Processes": str(manifest["training"].get("processes", 1)),
        "Made": Html(time_html(manifest["created"])),
    }


def _csv(steps: Sequence[int], losses: Sequence[float]) -> bytes:
    rows = (f"{step},{loss!r}" for step, loss in zip(steps, losses, strict=True))
    return ("step,loss\n" + "\n".join(rows) + "\n").encode()
