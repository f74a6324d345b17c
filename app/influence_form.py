"""How influence is computed: loss, parameters, precision, and what happens to unusual sequences."""

from typing import Any

from streamlit.delta_generator import DeltaGenerator

from bioprune_core.influence import InfluenceConfig, Objective, ParameterSet, Precision, TooLong

__all__ = ["influence_fields"]

_POLICIES = {
    TooLong.TRUNCATE: "Score their beginning",
    TooLong.WINDOW: "Score all of them, in windows",
    TooLong.REFUSE: "Stop and name them",
}
_PRECISIONS = {
    Precision.AUTO: "By the device",
    Precision.FLOAT32: "float32",
    Precision.BF16: "bf16 backbone",
}


def influence_fields(left: DeltaGenerator, right: DeltaGenerator) -> dict[str, Any]:
    """Ask for the loss of a sequence, what it is differentiated by, in which precision, and about odd ones.

    Args:
        left: Where to put a control.
        right: Where to put another.

    Returns:
        Fields of `InfluenceConfig`; what is left at its default is left out.
    """
    objective = right.selectbox(
        "Objective",
        [str(each) for each in Objective],
        key="objective",
        help="The loss of a sequence: unmasked takes one forward pass, masked one for every mask, paper-code "
        "pads to 1,024 tokens as the authors' code does.",
    )
    parameters = left.selectbox(
        "Parameters",
        [str(each) for each in ParameterSet],
        key="parameters",
        help="What the loss is differentiated by: the weight of the model's head, at little more than a "
        "forward pass, or every linear layer, at about a training step.",
    )
    chosen: dict[str, Any] = {}
    if objective != Objective.UNMASKED:
        chosen["objective"] = objective
    if parameters != ParameterSet.HEAD:
        chosen["parameters"] = parameters
    if objective == Objective.MASKED:
        masks = right.number_input(
            "Masks a sequence",
            min_value=1,
            max_value=1_000,
            value=8,
            step=1,
            key="masks",
            help="Each costs a forward pass; below four, ranks are largely an accident of the masks.",
        )
        chosen["masks"] = int(masks)
    return chosen | _long_sequences(left) | _precision(right) | _unscored(left)


def _long_sequences(column: DeltaGenerator) -> dict[str, Any]:
    chosen = column.selectbox(
        "Sequences that are too long",
        list(_POLICIES),
        format_func=_POLICIES.__getitem__,
        key="too-long",
        help="Of a sequence with more residues than the model takes its beginning is scored, or all of it in "
        "windows whose gradients are summed (not with the objective paper-code).",
    )
    return {} if chosen is TooLong.TRUNCATE else {"too_long": chosen.value}


def _precision(column: DeltaGenerator) -> dict[str, Any]:
    chosen = column.selectbox(
        "Precision",
        list(_PRECISIONS),
        format_func=_PRECISIONS.__getitem__,
        key="precision",
        help="bf16 is chosen by itself where the device is made for it. It is for the parameters head, and "
        "not for the objective paper-code.",
    )
    return {} if chosen is Precision.AUTO else {"precision": chosen.value}


def _unscored(column: DeltaGenerator) -> dict[str, Any]:
    usual = 100 * InfluenceConfig().unscored_limit
    percent = column.number_input(
        "Without a score at most (%)",
        min_value=0.0,
        max_value=99.0,
        value=usual,
        step=0.1,
        format="%.2f",
        key="unscored-limit",
        help="Sequences whose loss or gradient is not finite get no score and are named. Where more than "
        "this share of the pool do, the run stops.",
    )
    return {} if percent == usual else {"unscored_limit": percent / 100}
