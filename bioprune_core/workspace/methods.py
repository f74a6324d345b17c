"""A paragraph for the methods section of a paper, from the manifests."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bioprune_core.selection import PICKED, Brush
from bioprune_core.sequences import AmbiguousPolicy, IngestOptions, LengthPolicy
from bioprune_core.training import Precision, TrainingConfig
from bioprune_core.workspace.records import Coreset, Dataset, Run

if TYPE_CHECKING:
    from bioprune_core.workspace.workspace import Workspace

__all__ = ["methods_paragraph"]


def methods_paragraph(workspace: "Workspace", coreset: Coreset) -> str:
    """How a coreset was made, in words: its pool, the settings and seeds of the run and of the selection.

    What else there is to know, such as the files of the pool by their SHA-256, the number of threads, or how
    a model was trained that was trained here, stands in the manifests.

    Args:
        workspace: The workspace.
        coreset: The coreset.

    Returns:
        One paragraph of plain English.
    """
    run_record = workspace.catalogue.get(Run, coreset.run_id)
    dataset = workspace.catalogue.get(Dataset, run_record.dataset_id)
    run, selection = workspace.manifest(run_record), workspace.manifest(coreset)
    return " ".join(
        [
            _pool(dataset.name, run, IngestOptions.from_json(workspace.manifest(dataset)["options"])),
            _scores(run),
            _selection(selection),
            f"Software: BioPrune {run['versions']['bioprune']}, PyTorch {run['versions']['torch']}, "
            f"transformers {run['versions']['transformers']}; run {run_record.id}, coreset {coreset.id}.",
        ]
    )


def _pool(name: str, run: Mapping[str, Any], options: IngestOptions) -> str:
    dataset = run["dataset"]
    kind = f"{'distinct ' if options.deduplicate else ''}{_letters(dataset['alphabet'])}"
    filters = "".join(f"; {each}" for each in _filters(options))
    return (
        f'The pool "{name}" held {dataset["sequences"]:,} {kind} sequences '
        f"(SHA-256 of content {dataset['content_hash'][:16]}{filters})."
    )


def _filters(options: IngestOptions) -> list[str]:
    """What the ingest dropped or changed by choice, each in a few words."""
    filters = []
    if options.minimum_length > 1:
        filters.append(f"sequences of fewer than {options.minimum_length:,} residues were dropped")
    if options.maximum_length is not None:
        done = {
            LengthPolicy.DROP: "dropped",
            LengthPolicy.TRUNCATE: "truncated to that length",
            LengthPolicy.WINDOW: f"cut into windows of that length that share {options.window_overlap:,}",
        }[options.too_long]
        filters.append(f"those of more than {options.maximum_length:,} residues were {done}")
    if options.ambiguous is AmbiguousPolicy.REPLACE:
        filters.append("ambiguous letters were replaced by the wildcard")
    elif options.ambiguous is AmbiguousPolicy.DROP:
        filters.append("sequences with ambiguous letters were dropped")
    return filters


def _scores(run: Mapping[str, Any]) -> str:
    config, model, influence = run["config"], run["model"], run["influence"]
    convergence, plan = run["convergence"], run["fisher"]["plan"]
    held_out = f" and {run['subset']['held_out']:,} held-out sequences" if run["subset"]["held_out"] else ""
    masks = f" ({influence['masks']} masks, seed {influence['mask_seed']})" if "masks" in influence else ""
    names = influence["parameters"]
    parameters = names if isinstance(names, str) else ", ".join(names)
    subset = f"{run['subset']['sequences']:,} sequences drawn uniformly (seed {config['subset_seed']})"
    tuning = (
        f"fine-tuned by masked language modelling on {subset}, {_training(run)}; loss on the "
        f"subset{held_out} before and after stands in the manifest ({convergence['verdict']})"
        if convergence["verdict"] != "not-tuned"
        else f"used as it was, without fine-tuning; the subset of the Fisher information is {subset}"
    )
    text = (
        f"{model['name']} ({model['parameters'] / 1e6:.1f} million parameters, SHA-256 of weights "
        f"{model['content_hash'][:16]}) was {tuning}. "
        "Self-influence of every sequence was computed as the sum over parameters of its squared "
        "loss gradient divided by the diagonal empirical Fisher information of the subset plus a damping of "
        f"{influence['damping']:g} (arXiv 2512.12932; arXiv 1703.04730), with the {influence['objective']} "
        f"objective{masks} and the parameters {parameters}, in {plan['precision']} in batches of "
        f"{plan['token_budget']:,} tokens."
    )
    truncated = run["counts"]["truncated"]
    if truncated:
        text += (
            f" {truncated:,} sequences longer than the model's {model['maximum_residues']:,} residues were "
            "scored by their beginning."
        )
    if windowed := run["counts"].get("windowed", 0):
        text += (
            f" {windowed:,} sequences longer than the model's {model['maximum_residues']:,} residues were "
            "cut into windows of near-equal length, whose token losses were averaged and gradients summed."
        )
    if unscored := run["counts"].get("unscored", 0):
        text += (
            f" {unscored:,} sequences were left out: their loss, gradient, influence or embedding "
            "was not finite."
        )
    return text


def _training(run: Mapping[str, Any]) -> str:
    """Length, schedule, masks and numerics of the fine-tuning."""
    config = TrainingConfig.from_json(run["training"])
    if config.tokens is not None:
        length = f"for {config.tokens:,} tokens"
    elif config.steps is not None:
        length = f"for {config.steps:,} steps"
    else:
        length = f"for {config.epochs:g} epoch{'' if config.epochs == 1 else 's'}"
    precision: str = config.precision
    if config.precision is Precision.AUTO:
        gpu = run["hardware"].get("gpu")
        precision = Precision.FLOAT32 if gpu is None else f"the precision auto on {gpu}"
    return (
        f"{length} with {config.token_budget:,} tokens a step and {100 * config.mask_rate:.4g} % of the "
        f"residues masked, a learning rate of at most {config.learning_rate:g} (a warm-up over "
        f"{100 * config.warmup_fraction:.4g} % of the steps, then {config.decay}), a weight decay of "
        f"{config.weight_decay:g} and gradients clipped at {config.gradient_clip:g}, in {precision} "
        f"(seed {config.seed})"
    )


def _selection(coreset: Mapping[str, Any]) -> str:
    settings = coreset["selection"]
    if settings["strategy"] == PICKED:
        return _picked(coreset)
    strategy = settings["strategy"].replace("_", "-")
    text = (
        f"From the scores, {coreset['sequences']:,} of {coreset['pool_sequences']:,} sequences were selected "
        f"with the {strategy} strategy at a prune rate of {settings['prune_rate']} %"
    )
    if settings["strategy"] == "coverage_centric":
        text += (
            f", after removing the {settings['hardest_cut']} % of largest influence, {_strata(coreset)} "
            "(arXiv 2210.15809)"
        )
    elif settings["strategy"] == "length_stratified":
        text += f", {_strata(coreset)}"
    adjustment = coreset.get("length_adjustment")
    if adjustment is not None:
        text += (
            "; scores were adjusted for length: the residual of the logarithm of influence on the logarithm "
            f"of the number of tokens, slope {adjustment['slope']:g}, intercept {adjustment['intercept']:g}"
        )
    return f"{text} (seed {settings['seed']})."


def _strata(coreset: Mapping[str, Any]) -> str:
    """The strata that there are; how many were asked for where scores that are equal made them fewer."""
    settings, made = coreset["selection"], len(coreset["summary"]["strata"])
    asked = "" if made == settings["strata"] else f", {settings['strata']:,} asked for"
    of_length = " of length" if settings["strategy"] == "length_stratified" else ""
    plural = "stratum" if made == 1 else "strata"
    return (
        f"over {made:,} {plural}{of_length} ({settings['strata_kind']}{asked}) with budgets as equal as the "
        "strata allow"
    )


def _picked(coreset: Mapping[str, Any]) -> str:
    """That a person picked, and what: no strategy is claimed where there was none."""
    parts = _brushed(Brush.from_json(coreset["selection"]["brush"]))
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return (
        f"From this pool, {coreset['sequences']:,} of {coreset['pool_sequences']:,} sequences were picked by "
        f"hand on views of the scores, and not by a sampling strategy: all sequences {listed}. "
        "The subset is therefore not a representative sample of the pool."
    )


def _brushed(brush: Brush) -> list[str]:
    """Each part of a brush as words that follow "all sequences"."""
    parts = []
    if brush.influence:
        low, high = brush.influence
        parts.append(f"with a self-influence from {low:,.10g} to {high:,.10g}")
    if brush.region:
        parts.append(
            f"inside an outline of {len(brush.region)} corners drawn on the two-dimensional map of "
            "embeddings (its coordinates stand in the manifest)"
        )
    if brush.category:
        column, value = brush.category
        parts.append(f"without a {column.value}" if value is None else f'of the {column.value} "{value}"')
    if brush.search:
        parts.append(f'with "{brush.search}" in their id')
    return parts


def _letters(alphabet: str) -> str:
    return {"rna": "RNA", "dna": "DNA"}.get(alphabet, alphabet)
