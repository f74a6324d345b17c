"""What a training did, step by step; readable without torch."""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import StorageError
from bioprune_core.storage import atomic_path, read_json, write_json

__all__ = ["CHECKPOINT", "Curve", "TrainingHistory", "last_progress", "perplexity"]

CHECKPOINT = "checkpoint.safetensors"
"""In a training's directory: all that it needs to go on; gone when it is done."""
_TABLE, _SUMMARY = "history.parquet", "history.json"


def last_progress(directory: Path) -> int:
    """When a training last got further: at its latest checkpoint, or at its end.

    Args:
        directory: The training's own directory.

    Returns:
        Nanoseconds; 0 before the first checkpoint.
    """
    kept = [path for path in (directory / CHECKPOINT, directory / _SUMMARY) if path.is_file()]
    return max((path.stat().st_mtime_ns for path in kept), default=0)


@dataclass(slots=True)
class Curve:
    """Figures of the steps done so far; all lists have one entry a step.

    Args:
        loss: Mean negative log likelihood of the masked residues of the step, nats.
        learning_rate: As applied.
        gradient_norm: L2 norm over all parameters, before clipping.
        tokens: Tokens of the step without pads.
        sequences: Sequences of the step.
    """

    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    def add(
        self, loss: float, learning_rate: float, gradient_norm: float, tokens: int, sequences: int
    ) -> None:
        """Append the figures of a step."""
        self.loss.append(loss)
        self.learning_rate.append(learning_rate)
        self.gradient_norm.append(gradient_norm)
        self.tokens.append(tokens)
        self.sequences.append(sequences)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The figures as arrays by name, float64 or int64."""
        return {
            "loss": np.array(self.loss, dtype=np.float64),
            "learning_rate": np.array(self.learning_rate, dtype=np.float64),
            "gradient_norm": np.array(self.gradient_norm, dtype=np.float64),
            "tokens": np.array(self.tokens, dtype=np.int64),
            "sequences": np.array(self.sequences, dtype=np.int64),
        }

    @classmethod
    def from_columns(cls, columns: dict[str, NDArray[Any]]) -> "Curve":
        """The curve that `columns` described."""
        return cls(**{figure.name: columns[figure.name].tolist() for figure in fields(cls)})


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """A finished training.

    Args:
        curve: Figures of every step.
        validation: Steps done and loss on the validation sequences, in order; empty without any.
        validation_entropy: Entropy of the letters that are predicted there, nats: the loss of a model that
            knows their frequencies and nothing else. None without a validation, and in older histories.
        seconds: That it took, over all interruptions, without the steps that had to be done again; 0 in older
            histories.
        unusable: Sequences left out because all their letters are ambiguous.
        truncated: Sequences longer than the model takes, which lost their end.
        content_hash: Content hash of the trained model.
    """

    curve: Curve
    validation: list[tuple[int, float]]
    unusable: int
    truncated: int
    content_hash: str
    validation_entropy: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def steps(self) -> int:
        """Optimiser steps done."""
        return len(self.curve)

    @property
    def knows_only_letters(self) -> bool:
        """Whether the validation loss ended no lower than the entropy of the letters."""
        if self.validation_entropy is None or not self.validation:
            return False
        return self.validation[-1][1] >= self.validation_entropy

    def validation_curve(self) -> list[dict[str, float | None]]:
        """Steps done, loss and perplexity on the validation sequences, as JSON values.

        A perplexity beyond float64, of a loss above 709, is None.
        """
        return [
            {"step": step, "loss": loss, "perplexity": value if math.isfinite(value) else None}
            for step, loss in self.validation
            for value in [perplexity(loss)]
        ]

    def write(self, directory: Path) -> None:
        """Write `history.parquet` and, last, `history.json`: its presence says that the training is done."""
        columns = self.curve.columns()
        table = pa.table({"step": np.arange(1, self.steps + 1), **columns})
        with atomic_path(directory / _TABLE) as part:
            pq.write_table(table, part, compression="zstd")
        write_json(
            directory / _SUMMARY,
            {
                "steps": self.steps,
                "loss": self.curve.loss[-1] if self.steps else None,
                "tokens": int(columns["tokens"].sum()),
                "sequences": int(columns["sequences"].sum()),
                "validation": self.validation_curve(),
                "validation_entropy": self.validation_entropy,
                "seconds": round(self.seconds, 3),
                "unusable": self.unusable,
                "truncated": self.truncated,
                "content_hash": self.content_hash,
            },
        )

    @classmethod
    def read(cls, directory: Path) -> "TrainingHistory | None":
        """The history of a finished training, or None where it is not finished.

        Raises:
            StorageError: A file is damaged.
        """
        if not (directory / _SUMMARY).is_file():
            return None
        summary = read_json(directory / _SUMMARY)
        try:
            table = pq.read_table(directory / _TABLE)
        except (OSError, pa.ArrowInvalid) as error:
            raise StorageError(
                f"Could not read {directory / _TABLE}: it is missing or damaged. "
                f"Remove {directory} and train again.",
                detail=str(error),
            ) from error
        columns = {name: table[name].to_numpy() for name in table.column_names}
        validation = [(point["step"], point["loss"]) for point in summary["validation"]]
        return cls(
            Curve.from_columns(columns),
            validation,
            summary["unusable"],
            summary["truncated"],
            summary["content_hash"],
            summary.get("validation_entropy"),
            summary.get("seconds", 0.0),
        )


def perplexity(loss: float) -> float:
    """The exponential of a mean negative log likelihood in nats; infinite where that is beyond float64."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
