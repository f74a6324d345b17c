"""Planning an experiment: what is compared, on which tasks, with which networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.components import field_error, note
from app.experiment_numbers import LONGEST_LIST, understood, whole_numbers
from app.experiment_tasks import task_settings
from app.followed_default import follow_default
from app.formatting import count
from app.from_scratch import architectures
from app.gone_choice import choose_one, is_gone, tell_gone
from app.held_out_families import held_out_families
from app.job_views import start_job
from app.one_click import made_once
from app.services import workspace
from app.strata_controls import KIND_NAMES
from app.training_settings import pretraining_defaults
from app.whole import finished, manifest_of, not_whole, tell_left_out
from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import BioPruneError, InputError
from bioprune_core.evaluation import Method, Pooling
from bioprune_core.experiments import ArmKind, Budget, ExperimentConfig
from bioprune_core.jobs import JobKind
from bioprune_core.models.architectures import Scale
from bioprune_core.selection import Measure
from bioprune_core.workspace import Coreset, Dataset, Experiment, Project, free_name

__all__ = ["new_experiment"]

Settings = dict[str, Any]

_FULL, _CCI = "Full pool", "Coverage-centric (CCI)"
_ARMS: Mapping[str, Settings] = {
    _FULL: {"kind": ArmKind.FULL.value},
    "Top influence": {"kind": ArmKind.TOP_INFLUENCE.value},
    _CCI: {"kind": ArmKind.COVERAGE_CENTRIC.value},
    "Top influence, length-adjusted": {
        "kind": ArmKind.TOP_INFLUENCE.value,
        "measure": Measure.LENGTH_ADJUSTED.value,
    },
}
_SUGGESTED_ARMS = 3
_BUDGETS = {
    Budget.TOKENS: "Equal tokens",
    Budget.STEPS: "Equal steps",
    Budget.EPOCHS: "Equal epochs, as in the paper",
}
_AMOUNTS = {Budget.TOKENS: 4_000_000, Budget.STEPS: 1000, Budget.EPOCHS: 10}
_PROTOCOLS = {Method.PROBE: "Probe", Method.FINE_TUNE: "Full fine-tuning"}
_FEATURES = {
    Pooling.LAYERS: "All layers",
    Pooling.MEAN: "The last layer",
    Pooling.CLS: "Its first token (cls)",
}
_SIZE, _SEEDS = 2000, 5
_SET_BY_THE_EXPERIMENT = ("epochs", "steps", "tokens", "seed")


def new_experiment(project: Project, datasets: Sequence[Dataset]) -> Experiment | None:
    """Draw the form; the experiment that was started in this run."""
    with st.container(border=True, gap="small"):
        st.header("Plan an experiment", anchor=False)
        dataset, settings, gone = _pool(project, datasets)
        alphabet = Alphabet(workspace().manifest(dataset)["alphabet"])
        arms, arm_gone = _arms(project, settings)
        settings["arms"] = arms
        settings |= _sizes(dataset)
        if families := held_out_families(dataset):
            settings["held_out_families"] = families
        st.subheader("Tasks", anchor=False)
        tasks, wrong = task_settings(alphabet)
        st.subheader("Networks", anchor=False)
        settings |= _networks(alphabet) | tasks
        taken = (each.name for each in workspace().experiments(project))
        suggested = free_name(f"Coresets of {dataset.name}"[:100], taken)
        follow_default("experiment-name", suggested)
        name = st.text_input("Name of the experiment", max_chars=100, key="experiment-name")
        config, problem = _checked(dataset, {**settings, "name": name, "project": project.name})
        if config is not None and not wrong:
            note(_extent(config))
        clicked = st.button("Start experiment", type="primary", key="start-experiment")
        clicked = clicked and not gone and not arm_gone
        return made_once("experiment", clicked, lambda: _started(project, config, wrong or problem))


def _pool(project: Project, datasets: Sequence[Dataset]) -> tuple[Dataset, Settings, bool]:
    """The dataset, it and the run by their names, and whether one of them replaces what is gone."""
    left, right = st.columns(2)
    by_id = {each.id: each for each in datasets}
    with left:
        chosen, gone = choose_one("Pool", {each.id: each.name for each in datasets}, f"pool-{project.id}")
    dataset = by_id[chosen]
    runs = [run for run in reversed(workspace().runs(project)) if run.dataset_id == dataset.id]
    names = {**{run.id: run.name for run in finished(runs)}, "": "None: no arm looks at influence"}
    with right:
        run, run_gone = choose_one("Scores to select from", names, f"scores-{dataset.id}")
    tell_left_out(not_whole(workspace().datasets(project)) + not_whole(runs))
    settings = {"dataset": dataset.name, **({"run": names[run]} if run else {})}
    return dataset, settings, gone or run_gone


def _arms(project: Project, settings: Settings) -> tuple[list[Settings], bool]:
    """The arms asked for, and whether one of them is gone; saved coresets take part at their own size."""
    scored = "run" in settings
    offered = list(_ARMS) if scored else [_FULL]
    coresets: list[Coreset] = []
    if scored:
        run = workspace().run(settings["run"], project)
        coresets = [each for each in workspace().coresets(project) if each.run_id == run.id]
    manifests = [(each, manifest_of(each)) for each in coresets]
    saved = {f"Coreset {each.name}": (each, found) for each, found in manifests if found is not None}
    key = f"arms-{project.id}-{scored}"
    gone = is_gone(key, [*offered, *saved])
    chosen = st.multiselect(
        "Compare with random selections",
        [*offered, *saved],
        default=offered[:_SUGGESTED_ARMS],
        key=key,
    )
    if gone:
        tell_gone()
    tell_left_out([each.name for each, found in manifests if found is None])
    arms: list[Settings] = []
    for name in chosen:
        if name in saved:
            coreset, manifest = saved[name]
            size = manifest["sequences"]
            arms.append({"kind": ArmKind.SAVED.value, "coreset": coreset.name, "sizes": [size]})
        else:
            arms.append(_ARMS[name] | (_coverage() if name == _CCI else {}))
    if st.checkbox(
        "Also with one sequence of each near-duplicate cluster",
        key="one-per-cluster",
        help="Each selection once more, and random sequences, among one sequence of each cluster. The seed "
        "says which one, not its influence. Saved coresets and the full pool stay as they are.",
    ):
        drawn = [arm for arm in arms if arm["kind"] not in (ArmKind.FULL, ArmKind.SAVED)]
        arms += [arm | {"one_per": "cluster"} for arm in (*drawn, {"kind": ArmKind.RANDOM.value})]
    note(
        "Controls are always added: random of the same size and of ten times it, an untrained network"
        + (
            ", bottom influence and, for each selection, random sequences of its own mixture."
            if scored
            else "."
        )
    )
    return arms, gone


def _coverage() -> Settings:
    left, middle, right = st.columns(3)
    beta = left.number_input("Hardest cut beta (%)", 0.0, 99.0, 5.0, key="arm-beta")
    strata = middle.number_input("Strata k", 1, 1000, 50, key="arm-strata")
    kind = right.selectbox(
        "Strata", list(KIND_NAMES), format_func=lambda each: KIND_NAMES[each], key="arm-strata-kind"
    )
    return {"hardest_cut": f"{beta:g}", "strata": int(strata), "strata_kind": kind.value}


def _sizes(dataset: Dataset) -> Settings:
    left, middle, right = st.columns(3)
    sequences = workspace().manifest(dataset)["sequences"]
    # What a selection at 90 % keeps: a coreset that was saved at the suggested prune rate is of this size.
    suggested = min(_SIZE, max(1, sequences - sequences * 9 // 10))
    sizes = left.text_input(
        "Coreset sizes B",
        value=str(suggested),
        max_chars=LONGEST_LIST,
        key=f"sizes-{dataset.id}",
        help="Sequences, with blanks between sizes: 2000 20000. Two or more sizes make a size curve.",
    )
    seeds = middle.number_input(
        "Number of seeds",
        1,
        50,
        _SEEDS,
        key="seeds",
        help="Each arm is trained once with each. With fewer than five, hardly a difference can be told.",
    )
    # Of one file, its mixture of files is that of all sequences.
    files = len(workspace().manifest(dataset)["inputs"])
    mixtures = right.multiselect(
        "Mixture of the controls",
        ["source", "label", "cluster", "length"],
        default=["source" if files > 1 else "length"],
        key=f"mixtures-{dataset.id}",
        help="Random sequences in a selection's own proportions of files, labels, near-duplicate clusters or "
        "lengths (within 5 %): what is left of its advantage is not explained by these.",
    )
    _tell_numbers(dataset, sizes, range(int(seeds)))
    near = st.checkbox(
        "Keep sequences near-identical to test sequences out of every arm",
        value=True,
        key="near-identity",
        help="Identical ones are always kept out. Near: Jaccard index of k-mers from 0.5.",
    )
    value: Settings = {"sizes": sizes, "seeds": list(range(int(seeds))), "mixtures": mixtures}
    return value | ({"near_identity": 0.5} if near else {})


def _tell_numbers(dataset: Dataset, text: str, seeds: Sequence[int]) -> None:
    """Sizes and seeds as they are understood, or what is wrong with them."""
    try:
        if sizes := whole_numbers(text, "Coreset sizes B"):
            workspace().check_sizes(dataset, sizes)
            note(understood(sizes, seeds))
    except InputError as error:
        field_error(error.message)


def _networks(alphabet: Alphabet) -> Settings:
    one, two, three, four = st.columns(4)
    family = one.selectbox("Architecture", architectures(alphabet), key="architecture")
    scale = two.selectbox(
        "Size", [each.value for each in Scale], format_func=str.capitalize, key="network-scale"
    )
    budget = three.selectbox("Budget", list(_BUDGETS), format_func=lambda each: _BUDGETS[each], key="budget")
    named = budget.value.removeprefix("equal-").capitalize()
    amount = four.number_input(named, 1, None, _AMOUNTS[budget], key=f"amount-{budget}")
    defaults = pretraining_defaults(scale)
    one, two, three, four = st.columns((2, 2, 3, 2))
    rate = one.number_input(
        "Learning rate",
        1e-7,
        1.0,
        defaults["learning_rate"],
        format="%.1e",
        key=f"network-rate-{scale}",
        help="The peak of the schedule. Small networks take more, large ones less.",
    )
    tokens = two.number_input(
        "Tokens of one step", 64, None, defaults["token_budget"], key=f"network-tokens-{scale}"
    )
    protocols = three.multiselect(
        "Measured by",
        list(_PROTOCOLS),
        default=[Method.PROBE],
        format_func=lambda each: _PROTOCOLS[each],
        key="protocols",
        help="The probe trains a small head on the frozen network; full fine-tuning takes many times longer.",
    )
    pooling = four.selectbox(
        "Features of the probe",
        list(_FEATURES),
        format_func=lambda each: _FEATURES[each],
        key="pooling",
        disabled=Method.PROBE not in protocols,
        help="What stands for a whole sequence. The last layer of a trained network serves the prediction of "
        "letters: of 2,600 RNAs a tiny one told the type of 59 % by it, an untrained one of 61 %; by all "
        "layers of 66 and 64 %.",
    )
    # Warm-up, decay and checkpoints are the scale's, as of trainings from scratch elsewhere.
    fixed = {name: value for name, value in defaults.items() if name not in _SET_BY_THE_EXPERIMENT}
    training = fixed | {"learning_rate": rate, "token_budget": int(tokens)}
    pretraining = {
        "architecture": family,
        "scale": scale,
        "budget": budget.value,
        "amount": amount,
        "training": training,
    }
    probe = {Method.PROBE.value: {"pooling": pooling.value}} if Method.PROBE in protocols else {}
    return {
        "pretraining": pretraining,
        "protocols": [each.value for each in protocols],
        "protocol_settings": probe,
    }


def _checked(dataset: Dataset, settings: Mapping[str, Any]) -> tuple[ExperimentConfig | None, str]:
    """The experiment, or what is wrong with it in a sentence."""
    try:
        sizes = whole_numbers(settings["sizes"], "Coreset sizes B")
        for arm in settings["arms"]:
            sizes += [size for size in arm.get("sizes", ()) if size not in sizes]
        config = ExperimentConfig.from_json({**settings, "sizes": sorted(set(sizes))})
        workspace().check_sizes(dataset, config.sizes)
        return config, ""
    except InputError as error:
        return None, error.message


def _extent(config: ExperimentConfig) -> str:
    networks = sum(len(arm.sizes or config.sizes) if arm.sized else 1 for arm in config.all_arms)
    networks *= len(config.seeds)
    measured = networks * len(config.tasks) * len(config.protocols)
    warned = "".join(f" {sentence}" for sentence in config.warnings)
    return (
        f"At most {count(networks, 'network')} to train and {count(measured, 'measurement')}; equal draws "
        f"are trained once, and what an earlier experiment computed is taken over.{warned}"
    )


def _started(project: Project, config: ExperimentConfig | None, problem: str) -> Experiment | None:
    if config is None or problem:
        field_error(problem)
        return None
    try:
        made = workspace().create_experiment(project, config.to_json(), Path("/"))
        start_job(JobKind.EXPERIMENT, made.id)
    except BioPruneError as error:
        field_error(error.message)
        return None
    return made
