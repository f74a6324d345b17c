"""One run as it goes and once it is done: loss, verdict, where its time went, what can be taken out."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.charts.training import loss_chart
from app.components import (
    LINKS_DRAWN_ANEW_S,
    Html,
    KeyFigure,
    chart,
    download_links,
    key_figures,
    note,
    pairs,
    plain,
    table,
)
from app.downloads import DownloadKind, download_url
from app.formatting import amount, byte_size, count, duration, percent, time_html
from app.services import jobs, workspace
from app.theme import current_palette
from app.training_curves import TrainingCurve, fine_tuning_curve, live_curve
from app.trust_view import trust_view
from bioprune_core.workspace import Project, Run, notes_of_run

__all__ = ["progress_view", "results_view"]

_FINE_TUNING = "fine-tune"
_LOG_LINES = 200
_STAGES = {
    "subset": "Subset",
    "fine-tune": "Fine-tuning",
    "fisher": "Fisher information",
    "score": "Scores",
    "map": "Map",
    "diagnostics": "Checks",
}


def progress_view(run: Run) -> None:
    """The loss of the fine-tuning so far and, while a job works on the run, its log."""
    curve = live_curve(workspace().directory(run), _FINE_TUNING).read()
    if len(curve.steps):
        _loss_chart(run, curve)
    job = jobs().find(run.id)
    if job is not None and not job.state.is_final:
        with st.expander("Log"):
            lines = jobs().log(job.id).splitlines()[-_LOG_LINES:]
            st.code("\n".join(lines) or "Nothing was printed yet.", language=None, height=280)


def _loss_chart(run: Run, curve: TrainingCurve) -> None:
    chart(
        loss_chart(curve.steps, curve.losses, current_palette(), total=curve.total),
        f"{run.name} loss",
        data=curve.csv,
        alt=f"Loss of the fine-tuning over {count(len(curve.steps), 'measured step')}",
    )


def results_view(project: Project, run: Run) -> None:
    """Key figures, the verdict with its evidence, the time of each stage, downloads."""
    manifest = workspace().manifest(run)
    _figures(manifest)
    left, right = st.columns((1, 1), gap="large")
    with left:
        st.header("Did the fine-tuning converge", anchor=False)
        _verdict(manifest["convergence"])
    with right:
        curve = fine_tuning_curve(workspace().directory(run))
        if len(curve.steps):
            _loss_chart(run, curve)
    trust_view(manifest)
    left, right = st.columns((1, 1), gap="large")
    with left:
        st.header("Where the time went", anchor=False)
        _times(manifest)
    with right:
        st.header("How it was made", anchor=False)
        pairs(_provenance(run, manifest))
    _downloads(project, run)


def _figures(manifest: Mapping[str, Any]) -> None:
    counts = manifest["counts"]
    seconds = next(stage["seconds"] for stage in manifest["stages"] if stage["stage"] == "score")
    correlations = manifest["rank_correlations"]
    figures = [
        KeyFigure("Sequences scored", f"{counts['sequences']:,}"),
        KeyFigure("Subset", f"{manifest['subset']['sequences']:,}"),
        KeyFigure("Took", duration(manifest["seconds"])),
    ]
    if not counts["reused"] and seconds > 0:
        figures.append(KeyFigure("Scoring rate", amount(counts["sequences"] / seconds), "sequences/s"))
    if (busy := counts.get("device_busy")) is not None:
        figures.append(
            KeyFigure(
                "Device busy",
                percent(busy),
                help="Share of the time of the scoring, since it was last started, in which the device "
                "computed and did not wait for files.",
            )
        )
    for label, column in (("Correlation, length", "tokens"), ("Correlation, loss", "loss")):
        value = correlations[column]
        text = "none" if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
        figures.append(KeyFigure(label, text, help="Rank correlation (Spearman) of influence with it"))
    if (agreement := correlations.get("mask_halves")) is not None:
        figures.append(
            KeyFigure(
                "Agreement of masks",
                f"{agreement:.2f}",
                help="Rank correlation (Spearman) of the influences by either half of the masks; "
                "more masks raise it.",
            )
        )
    key_figures(figures)
    if counts["truncated"]:
        note(
            f"{count(counts['truncated'], 'sequence')} longer than the model's "
            f"{manifest['model']['maximum_residues']:,} residues: their first residues were scored."
        )
    if windowed := counts.get("windowed", 0):
        note(
            f"{count(windowed, 'sequence')} longer than the model's "
            f"{manifest['model']['maximum_residues']:,} residues: they were scored in windows, as a whole."
        )
    for sentence in notes_of_run(manifest):
        st.warning(plain(sentence), icon=":material/warning:")


def _verdict(convergence: Mapping[str, Any]) -> None:
    if convergence["verdict"] == "not-tuned":
        st.info(plain(convergence["sentence"]), icon=":material/info:")
        return
    tell = st.success if convergence["verdict"] == "adapted" else st.warning
    icon = ":material/check_circle:" if convergence["verdict"] == "adapted" else ":material/warning:"
    tell(plain(convergence["sentence"]), icon=icon)
    rows = [_change("Loss on the subset (nats)", convergence["subset"])]
    if convergence["held_out"]:
        rows.append(_change("Loss on held-out sequences (nats)", convergence["held_out"]))
    for label, name in (
        ("Mean gradient norm on the subset", "gradient_norm"),
        ("Norm of the mean gradient", "mean_gradient"),
    ):
        before, after = convergence[f"{name}_before"], convergence[f"{name}_after"]
        rows.append((label, amount(before, 4), amount(after, 4), _signed(after - before)))
    table(["", "Before", "After", "Change"], rows, numbers=(1, 2, 3))


def _change(label: str, change: Mapping[str, Any]) -> tuple[str, str, str, str]:
    difference = f"{_signed(change['change'])} ± {amount(change['standard_error'], 2)}"
    return label, f"{change['before']:.4f}", f"{change['after']:.4f}", difference


def _signed(value: float) -> str:
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return f"{sign}{amount(abs(value), 3)}"


def _times(manifest: Mapping[str, Any]) -> None:
    table(
        ["Stage", "Time", "Peak memory", "Attempts"],
        [
            (
                _STAGES.get(stage["stage"], stage["stage"]),
                duration(stage["seconds"]),
                byte_size(stage["peak_memory_bytes"]) if "peak_memory_bytes" in stage else "",
                f"{stage['attempts']:,}",
            )
            for stage in manifest["stages"]
        ],
        numbers=(1, 2, 3),
    )


def _provenance(run: Run, manifest: Mapping[str, Any]) -> dict[str, str]:
    model, training = manifest["model"], manifest["training"]
    hardware, influence = manifest["hardware"], manifest["influence"]
    epochs = "1 epoch" if training["epochs"] == 1 else f"{training['epochs']:g} epochs"
    # Runs of earlier versions do not say it.
    precision = manifest.get("fisher", {}).get("plan", {}).get("precision")
    tuning = f"{epochs}, learning rate {training['learning_rate']:g}" if training["epochs"] else "None"
    return {
        "Dataset": workspace().dataset(run.dataset_id).name,
        "Model": f"{model['name']}, {model['parameters'] / 1e6:,.1f} million parameters",
        "Objective": _objective(influence),
        "Fine-tuning": tuning,
        **({"Precision": precision} if precision else {}),
        "Seed": str(manifest["subset"]["seed"]),
        "Device": str(hardware.get("gpu", f"{hardware['device']}, {hardware['processor']}")),
        "Made": Html(time_html(manifest["created"])),
        "Id": run.id,
    }


def _objective(influence: Mapping[str, Any]) -> str:
    masks = f" with {influence['masks']:,} masks" if "masks" in influence else ""
    parameters = influence["parameters"]
    named = parameters if isinstance(parameters, str) else ", ".join(parameters)
    return f"{influence['objective']}{masks}, parameters {named}"


@st.fragment(run_every=LINKS_DRAWN_ANEW_S)
def _downloads(project: Project, run: Run) -> None:
    st.header("Take it out", anchor=False)
    links = (
        ("Scores", DownloadKind.SCORES, "parquet", "Parquet"),
        ("Scores", DownloadKind.SCORES, "csv", "CSV"),
    )
    download_links(
        [
            (label, download_url(project.id, kind, run.id, file_format, run.name), comment)
            for label, kind, file_format, comment in (*links, ("Manifest", DownloadKind.RUN, "json", "JSON"))
        ]
    )
