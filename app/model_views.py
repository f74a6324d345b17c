"""One model trained here, as it goes and once it is done."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.charts.training import loss_chart
from app.components import Html, KeyFigure, chart, key_figures, note, pairs
from app.formatting import amount, count, duration, time_html
from app.services import workspace
from app.theme import current_palette
from app.training_curves import TrainingCurve, live_curve, pretraining_curve
from bioprune_core.workspace import Model, ModelConfig

__all__ = ["trained_on", "training_progress", "training_results"]

_STAGE = "train"
_TITLE = "Pretraining"


def training_progress(model: Model) -> None:
    """The rates of the last steps and the loss so far, while the model is not trained."""
    curve = live_curve(workspace().directory(model), _STAGE).read()
    if len(curve.steps):
        key_figures(_rates(curve.metrics))
        _loss_chart(model, curve)


def _loss_chart(model: Model, curve: TrainingCurve) -> None:
    chart(
        loss_chart(
            curve.steps,
            curve.losses,
            current_palette(),
            total=curve.total,
            held_out=(curve.held_steps, curve.held_losses),
            title=_TITLE,
        ),
        f"{model.name} loss",
        data=curve.csv,
        alt=f"Loss of the pretraining over {count(len(curve.steps), 'measured step')}",
    )


def training_results(model: Model) -> None:
    """Key figures, the loss of every step, how it was made, how to take it out."""
    manifest = workspace().manifest(model)
    key_figures(_figures(manifest, manifest["training"]))
    for sentence in manifest["training"].get("notes", []):  # models of older versions have none
        note(sentence)
    curve = pretraining_curve(workspace().directory(model), manifest["content_hash"])
    if curve is not None:
        _loss_chart(model, curve)
    st.header("How it was made", anchor=False)
    pairs(_provenance(model, manifest))
    st.header("Take it out", anchor=False)
    note("A folder that AutoModelForMaskedLM.from_pretrained of the transformers library loads:")
    st.code(f"bioprune export-model {model.id} --output {model.id}", language=None)


def trained_on(model: Model, found: Mapping[str, Any]) -> str:
    """The name of the dataset or coreset that a model of this configuration is trained on."""
    config = ModelConfig.from_json(found)
    names = {each.id: each.name for each in workspace().coresets(model.project_id)}
    if config.coreset_id is not None:
        return f"coreset {names.get(config.coreset_id, config.coreset_id)}"
    datasets = {each.id: each.name for each in workspace().datasets(model.project_id)}
    return datasets.get(config.dataset_id, config.dataset_id)


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
        if last.get("perplexity") is not None:
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
        "Trained on": trained_on(model, config),
        "Schedule": f"peak {training['learning_rate']:g}, warm-up {100 * training['warmup_fraction']:g} %, "
        f"{training['decay']} decay, {training['token_budget']:,} tokens a step",
        "Seed": str(config["seed"]),
        "Processes": str(manifest["training"].get("processes", 1)),
        "Made": Html(time_html(manifest["created"])),
    }
