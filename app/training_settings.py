"""The settings of a training from scratch beside its length: a few shown, the rest under "Advanced"."""

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.followed_default import follow_default
from bioprune_core.workspace.configuration import HELD_OUT_SIZE

__all__ = ["advanced_settings", "learning_rate_field", "pretraining_defaults", "typed_device"]

_DECAYS = {
    "cosine": "Cosine, to zero",
    "linear": "Linear, to zero",
    "inverse-square-root": "Inverse square root",
    "constant": "Constant",
}
_PRECISIONS = {"auto": "bf16 on a GPU, else float32", "float32": "float32", "bf16": "bf16"}


def pretraining_defaults(scale: str, seed: int = 0) -> dict[str, Any]:
    """The recommended settings of a scale, as JSON."""
    # Imported late: the presets stand beside the training loop, and few visits to the page need them.
    from bioprune_core.training.presets import pretraining

    return pretraining(scale, seed).to_json()


def learning_rate_field(column: DeltaGenerator, default: float, key: str, help: str = "") -> float:
    """A learning rate; + and - change it by about a tenth of its default."""
    follow_default(key, default)
    return float(
        column.number_input(
            "Learning rate",
            min_value=1e-8,
            max_value=1.0,
            step=10.0 ** (math.floor(math.log10(default)) - 1),
            format="%.4g",
            key=key,
            help=help or None,
        )
    )


def advanced_settings(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the settings that most trainings leave as they are.

    Args:
        defaults: As `pretraining_defaults` gives them.

    Returns:
        Fields of `ModelConfig`, those of `TrainingConfig` under "training".
    """
    with st.expander("Advanced"):
        left, middle, right = st.columns(3)
        training = {
            "warmup_fraction": _percent(
                left,
                "warmup_fraction",
                "Warm-up (% of the steps)",
                defaults["warmup_fraction"],
                99.0,
                "The learning rate rises from zero to its peak over this part of the training.",
            ),
            "decay": _choice(
                middle,
                "decay",
                "Decay",
                defaults["decay"],
                _DECAYS,
                "How the learning rate falls after the warm-up.",
            ),
            "weight_decay": _number(
                right,
                "weight_decay",
                "Weight decay",
                defaults["weight_decay"],
                (0.0, 10.0, 0.01),
                "Of matrices, decoupled as in AdamW; norms and biases have none.",
            ),
            "token_budget": _number(
                left,
                "token_budget",
                "Tokens a step",
                defaults["token_budget"],
                (16, 1 << 24, 1024),
                "Of one optimiser step, padding included; a longer sequence is a step of its own.",
            ),
            "device_tokens": _device_tokens(middle, defaults.get("device_tokens")),
            "gradient_clip": _number(
                right,
                "gradient_clip",
                "Gradient clip (L2 norm)",
                defaults["gradient_clip"],
                (0.01, 1_000.0, 0.1),
                "Longer gradients are scaled down to this length.",
            ),
            "mask_rate": _percent(
                left,
                "mask_rate",
                "Masked residues (%)",
                defaults["mask_rate"],
                100.0,
                "Share of the residues that the network has to predict.",
                least=1.0,
            ),
            "precision": _choice(
                middle,
                "precision",
                "Precision",
                defaults["precision"],
                _PRECISIONS,
                "Of forward and backward; weights are float32. bf16 is refused where the device has none.",
            ),
            "checkpoint_every_steps": _number(
                right,
                "checkpoint_every_steps",
                "Steps between checkpoints",
                defaults["checkpoint_every_steps"],
                (1, 1_000_000, 25),
                "An interruption costs this many at most. The held-out loss is measured at each.",
            ),
        }
        size = _number(
            left,
            "validation_size",
            "Held-out sequences",
            HELD_OUT_SIZE,
            (0, 1_000_000, 64),
            "The loss on them is shown beside that of the training; at most a tenth of the dataset.",
        )
        device = middle.text_input(
            "Device",
            value="auto",
            key="training-device",
            help="auto, cpu, cuda, cuda:1: what the worker computes on.",
        )
    return {"training": training, "validation_size": int(size), "device": typed_device(device)}


def typed_device(text: str) -> str:
    """The name of a device as a person typed it, for a plan to check; "auto" where the field is empty."""
    return text.strip().lower() or "auto"


def _number(
    column: DeltaGenerator,
    name: str,
    label: str,
    default: float,
    bounds: tuple[float, float, float],
    help: str,
) -> float:
    """A field with its least value, its largest and its step; of the type of the default."""
    key = f"training-{name}"
    follow_default(key, default)
    least, most, step = bounds
    return column.number_input(
        label,
        min_value=least,
        max_value=most,
        step=step,
        format=None if isinstance(default, int) else "%.4g",
        key=key,
        help=help,
    )


def _percent(
    column: DeltaGenerator,
    name: str,
    label: str,
    default: float,
    most: float,
    help: str,
    least: float = 0.0,
) -> float:
    """A share of one, shown in percent."""
    return round(_number(column, name, label, round(100 * default, 4), (least, most, 1.0), help) / 100, 6)


def _device_tokens(column: DeltaGenerator, default: int | None) -> int | None:
    """Tokens of a pass; None for those of a whole step."""
    tokens = column.number_input(
        "Tokens a pass",
        min_value=16,
        max_value=1 << 24,
        value=None,
        step=1024,
        placeholder="The whole step" if default is None else f"{default:,}",
        key="training-device_tokens",
        help="Of one forward and backward pass on one device, padding included. Fewer need less memory; the "
        "result changes by rounding only.",
    )
    return default if tokens is None else int(tokens)


def _choice(
    column: DeltaGenerator, name: str, label: str, default: str, options: Mapping[str, str], help: str
) -> str:
    key = f"training-{name}"
    # As plain text: a field of texts takes no member of an enumeration.
    follow_default(key, str(default))
    chosen: str = column.selectbox(label, list(options), format_func=options.__getitem__, key=key, help=help)
    return chosen
