"""Commands on models: models, pretrain, export-model."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bioprune_core.cli.execution import DeviceOption, QueueOption, carry_out, opened_workspace
from bioprune_core.cli.output import JsonOption, print_result, print_table
from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.jobs import JobKind
from bioprune_core.models.architectures import Scale, from_scratch
from bioprune_core.models.catalogue import model_catalogue
from bioprune_core.storage import write_json
from bioprune_core.training import Decay, Precision
from bioprune_core.training.presets import pretraining, pretraining_rate
from bioprune_core.workspace import Dataset, Model, ModelConfig, Project, State, Workspace
from bioprune_core.workspace.configuration import CONFIG_FILE, HELD_OUT_SIZE
from bioprune_core.workspace.locks import JOB_LOCK, hold

__all__ = ["Training", "chosen", "find_or_create_model", "register"]

Training = dict[str, Any]

_PRESET = pretraining()
_BASE, _FULL = pretraining(Scale.BASE), pretraining(Scale.FULL)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(models)
    app.command()(pretrain)
    app.command(name="export-model")(export_model)


def models(as_json: JsonOption = False) -> None:
    """List the models known by name, and where their weights go on a machine without network.

    Example: bioprune models
    """
    rows = [
        {
            "name": card.name,
            "alphabet": str(card.alphabet),
            "parameters": card.parameters,
            "width": card.width,
            "layers": card.layers,
            "weights": card.weights,
        }
        for card in model_catalogue()
    ]
    print_table(rows, as_json, "No models are known.")
    if not as_json:
        # The hub's client takes a second to import, for this command alone.
        from bioprune_core.models.places import model_folders

        folders = " or ".join(str(folder.absolute()) for folder in model_folders())
        print(
            "\nOn a machine without network, put the file or folder of a model, under its name here or on "
            f"the hub, into {folders}. BIOPRUNE_MODELS names another folder."
        )


def pretrain(
    project: Annotated[str, typer.Option(help="Project of the dataset.")],
    name: Annotated[str, typer.Option(help="Name of the new model.")],
    dataset: Annotated[str | None, typer.Option(help="What to train on.")] = None,
    coreset: Annotated[str | None, typer.Option(help="What to train on, instead of a dataset.")] = None,
    architecture: Annotated[str, typer.Option(help="rna-fm, esm-2 or esm-c.")] = "rna-fm",
    scale: Annotated[str, typer.Option(help="tiny, small, base or full.")] = "tiny",
    training_size: Annotated[
        int | None, typer.Option(help="Sequences to train on, drawn by the seed; all by default.")
    ] = None,
    validation: Annotated[
        int | None,
        typer.Option(
            help="Sequences to measure the loss on, not trained on; at most a tenth of the dataset. "
            f"{HELD_OUT_SIZE} by default, 0 for none."
        ),
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the sequences, instead of steps.")] = None,
    steps: Annotated[int | None, typer.Option(help=f"Optimiser steps; {_PRESET.steps} by default.")] = None,
    tokens: Annotated[
        int | None, typer.Option(help="Tokens to train on, pads not counted, instead of steps.")
    ] = None,
    token_budget: Annotated[
        int | None,
        typer.Option(
            help=f"Tokens of one optimiser step, pads included; {_PRESET.token_budget:,} at scale tiny and "
            f"small, {_BASE.token_budget:,} at base and {_FULL.token_budget:,} at full by default."
        ),
    ] = None,
    device_tokens: Annotated[
        int | None,
        typer.Option(
            help="Tokens that fit the device, pads included; a step is done in parts of so many. By default "
            f"in one at scale tiny and small, {_BASE.device_tokens:,} at base and full."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help=f"Peak of the schedule; {pretraining_rate(Scale.TINY):g} at scale tiny and small and "
            f"{pretraining_rate(Scale.BASE):g} at base and full by default."
        ),
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(
            help="Share of steps over which the rate rises, at least 0 and below 1; "
            f"{_PRESET.warmup_fraction:g} by default."
        ),
    ] = None,
    decay: Annotated[
        Decay | None, typer.Option(help=f"How the rate goes on from its peak; {_PRESET.decay} by default.")
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(help=f"Of matrices, decoupled, at least 0; {_PRESET.weight_decay:g} by default."),
    ] = None,
    gradient_clip: Annotated[
        float | None,
        typer.Option(
            help="Largest L2 norm of the gradient, above 0: longer ones are scaled down to it; "
            f"{_PRESET.gradient_clip:g} by default."
        ),
    ] = None,
    mask_rate: Annotated[
        float | None,
        typer.Option(
            help="Share of the residues that are predicted, above 0 and at most 1; "
            f"{_PRESET.mask_rate:g} by default."
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="auto, by default, is bf16 on GPUs alone; bf16 also on processors with AMX or AVX512-BF16."
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between two checkpoints: the most that an interruption costs. The loss on the "
            f"validation sequences is measured at each. {_PRESET.checkpoint_every_steps} at scale tiny and "
            f"small and {_BASE.checkpoint_every_steps} at base and full by default."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, masks and batches.")] = 0,
    device: DeviceOption = "auto",
    queue: QueueOption = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only plan it, to be trained by torchrun.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a model from scratch, on a dataset or on a coreset.

    Examples:

        bioprune pretrain --project lab --dataset rnas --architecture rna-fm --scale tiny --name all

        bioprune pretrain --project lab --coreset cci-10 --scale small --tokens 50000000 --name on-coreset

        bioprune pretrain --project lab --dataset rnas --training-size 2000 --mask-rate 0.3 --name masked-more

        torchrun --nproc-per-node 4 -m bioprune_core.jobs.distributed $(bioprune pretrain ... --plan)
    """
    _, size = from_scratch(architecture, scale)
    training = pretraining(size, seed).to_json() | chosen(
        token_budget=token_budget,
        device_tokens=device_tokens,
        learning_rate=learning_rate,
        warmup_fraction=warmup,
        decay=decay,
        weight_decay=weight_decay,
        gradient_clip=gradient_clip,
        mask_rate=mask_rate,
        precision=precision,
        checkpoint_every_steps=checkpoint_every,
    )
    training |= _length(epochs, steps, tokens)
    settings = chosen(training_size=training_size, validation_size=validation)
    if plan and queue:
        raise InputError("Give one of --plan and --queue: what a worker trains, torchrun does not.")
    with opened_workspace() as workspace:
        owner = workspace.project(project)
        pool, coreset_id = _training_set(workspace, owner, dataset, coreset)
        config = workspace.plan_model(
            pool,
            architecture,
            scale,
            seed=seed,
            training=training,
            device=device,
            coreset_id=coreset_id,
            **settings,
        )
        model = find_or_create_model(workspace, owner, name, config)
        folder = workspace.layout.model(model.id)
        if plan:
            print_result({"model": name, "id": model.id, "folder": str(folder)}, as_json, str(folder))
            return
        outcome = carry_out(workspace, JobKind.PRETRAIN, model, queue=queue, quiet=as_json)
        if outcome is not None:
            print_result(outcome, as_json, f"Queued as job {outcome['job']}. Watch it: bioprune jobs")
            return
        manifest = workspace.manifest(model)
        result = {"project": project, "model": name, "id": model.id, "manifest": manifest}
        said = [f"{name} is trained. Score with it: bioprune score --model {name} ..."]
        print_result(result, as_json, "\n".join(said + manifest["training"].get("notes", [])))


def export_model(
    model: Annotated[str, typer.Argument(help="Name or id of a model trained here.")],
    output: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    project: Annotated[str | None, typer.Option(help="Where the name is taken twice.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trained model as a folder that AutoModelForMaskedLM.from_pretrained loads.

    Example: bioprune export-model on-coreset --output on-coreset-hf
    """
    # Torch, for this command alone.
    from bioprune_core.models.export import export_transformers
    from bioprune_core.models.loading import load_model

    with opened_workspace(make=False) as workspace:
        record = workspace.model(model, project)
        if record.reference is not None:
            raise InputError(
                f'The model "{model}" was not trained here: it is {record.reference}. Only models trained '
                "here are exported; take that one from where it is."
            )
        if workspace.state(record) is not State.DONE:
            raise ConflictError(f'The model "{model}" is not trained yet. Train it first: bioprune pretrain.')
        folder = workspace.layout.model(record.id) / "network"
        export_transformers(load_model(folder), output)
        print_result({"model": record.id, "output": str(output)}, as_json, f"{model} is in {output}")


def find_or_create_model(workspace: Workspace, project: Project, name: str, config: ModelConfig) -> Model:
    """The model of this name when it has this configuration; a new one when there is none.

    A training that is not finished goes on with other `device_tokens`, which change no result.

    Raises:
        ConflictError: The name stands for another model, or other `device_tokens` are asked for while it is
            being trained.
    """
    try:
        existing = workspace.model(name, project)
    except NotFoundError:
        return workspace.create_model(project, name, config)
    stored = None if existing.reference is not None else ModelConfig.from_json(workspace.config(existing))
    if stored == config:
        return existing
    same = stored is not None and _of_any_device(stored) == _of_any_device(config)
    if not same or workspace.state(existing) is State.DONE:
        raise ConflictError(
            f'The model "{name}" in "{project.name}" was made otherwise. Choose another name.'
        )
    directory = workspace.directory(existing)
    with hold(directory / JOB_LOCK, f"model {name}"):
        write_json(directory / CONFIG_FILE, config.to_json())
    return existing


def _of_any_device(config: ModelConfig) -> ModelConfig:
    training = {name: value for name, value in config.training.items() if name != "device_tokens"}
    return replace(config, training=training)


def _length(epochs: float | None, steps: int | None, tokens: int | None) -> Training:
    """The length of a training, by whichever of the three is given."""
    given = chosen(epochs=epochs, steps=steps, tokens=tokens)
    if len(given) > 1:
        raise InputError(f"Give one of --epochs, --steps and --tokens, not {' and '.join(given)}.")
    return {"steps": None, **given} if given else {}


def _training_set(
    workspace: Workspace, owner: Project, dataset: str | None, coreset: str | None
) -> tuple[Dataset, str | None]:
    if (dataset is None) == (coreset is None):
        raise InputError("Give what to train on: either --dataset or --coreset.")
    if dataset is not None:
        return workspace.dataset(dataset, owner), None
    assert coreset is not None
    record = workspace.coreset(coreset, owner)
    run = workspace.run(record.run_id)
    return workspace.dataset(run.dataset_id), record.id


def chosen(**settings: Any) -> Training:
    """The settings that were given."""
    return {name: value for name, value in settings.items() if value is not None}
