"""The experiment: one base model, one reference, and models on random parts of the pool."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.errors import ConflictError, InputError, StorageError
from bioprune_core.hashing import mix_words
from bioprune_core.influence import InfluenceConfig, accumulate_fisher, fisher_diagonal, score_block
from bioprune_core.models import MaskedLanguageModel, create_model, load_model
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.ranks import rank_correlation
from bioprune_core.selection import fit_length_adjustment
from bioprune_core.sequences import IngestOptions, Pool, ingest
from bioprune_core.sequences.block import SequenceBlock
from bioprune_core.storage import atomic_path, read_json, write_json
from bioprune_core.training import TrainingConfig, train
from bioprune_core.training.batches import Corpus
from bioprune_core.training.measure import measure
from bioprune_core.validation.configuration import ValidationConfig
from bioprune_core.validation.report import ADJUSTED, INFLUENCE, Outcomes, markdown, summarise

__all__ = ["run_validation"]

_CONFIG, _REPORT, _TEXT = "config.json", "report.json", "report.md"
_DIGEST = b"bioprune.validation"
_MOST_BASE = 4_000
_EVALUATION_BUDGET = 8_192


def run_validation(
    source: Path,
    output: Path,
    config: ValidationConfig,
    options: IngestOptions = IngestOptions(),  # noqa: B008 - frozen
    report: Reporter = discard,
) -> dict[str, Any]:
    """Train the models, compare the scores, write report.json and report.md; goes on where it broke off.

    Args:
        source: A sequence file.
        output: Folder of this validation alone. The losses of each model are a file of their own.
        config: What to train and compare. With more models the ones that are there are used.
        options: How to read the file.
        report: Told of the training of each model, and of the models done.

    Returns:
        The summary, as in report.json.

    Raises:
        InputError: The file has too few sequences for the pool and the base model.
        ConflictError: The folder holds another validation.
        StorageError: The disk is full or a file damaged.
    """
    ingest([source], output / "pool", options, report)
    everything = Pool.open(output / "pool")
    digest = config.digest(everything.content_hash)
    _claim(output, config, digest)
    experiment = _Experiment.of(everything, output, config, digest)
    outcomes = experiment.outcomes(report)
    summary = summarise(outcomes, config) | {
        "content_hash": everything.content_hash,
        "digest": digest,
        "score_correlations": {
            name: rank_correlation(outcomes.scores[INFLUENCE], values)
            for name, values in outcomes.scores.items()
            if name != INFLUENCE
        },
    }
    write_json(output / _REPORT, summary)
    with atomic_path(output / _TEXT) as part:
        part.write_text(markdown(summary), encoding="utf-8")
    return summary


def _claim(output: Path, config: ValidationConfig, digest: str) -> None:
    path = output / _CONFIG
    if path.is_file() and read_json(path)["digest"] != digest:
        raise ConflictError(
            f"{output} holds a validation with other settings or sequences. Choose another folder, or the "
            f"settings in {path}; only the number of models, the size of the groups and the resamples may "
            "differ."
        )
    write_json(path, {"config": config.to_json(), "digest": digest})


@dataclass(frozen=True, slots=True, eq=False)
class _Experiment:
    """The sequences and the folder of a validation.

    Args:
        pool: The n sequences.
        others: Sequences for the base model.
        alphabet: Of them.
        output: The folder.
        config: What is trained.
        digest: What the files are known by.
    """

    pool: SequenceBlock
    others: SequenceBlock
    alphabet: str
    output: Path
    config: ValidationConfig
    digest: str

    @classmethod
    def of(cls, everything: Pool, output: Path, config: ValidationConfig, digest: str) -> "_Experiment":
        wanted = config.sequences + max(config.sequences, _MOST_BASE)
        order = _first_usable(everything, wanted, config.seed)
        if len(order) < 2 * config.sequences:
            raise InputError(
                f"The file has {len(order):,} usable sequences; {config.sequences:,} are needed for the "
                "pool and as many for the base model. Give a larger file, or choose at most "
                f"{len(order) // 2:,} sequences."
            )
        chosen, rest = order[: config.sequences], order[config.sequences :][:_MOST_BASE]
        return cls(
            everything.take(np.sort(chosen)),
            everything.take(np.sort(rest)),
            everything.alphabet.value,
            output,
            config,
            digest,
        )

    def outcomes(self, report: Reporter) -> Outcomes:
        """Everything that the models say, those computed before included."""
        self._base(report)
        scores = self._scores(report)
        total = self.config.models
        included, losses = [], []
        for index in range(total):
            report(Progress("validate", index, total, "models"))
            columns = self._model(index, report)
            included.append(columns["included"].astype(bool))
            losses.append(columns)
        report(Progress("validate", total, total, "models"))
        kinds = {kind: np.stack([columns[kind] for columns in losses]) for kind in ("masked", "unmasked")}
        return Outcomes(scores, np.stack(included), kinds)

    def _base(self, report: Reporter) -> None:
        """The model that all others start from, trained on other sequences; finished or gone on with."""
        config = self.config
        model = create_model(config.architecture, config.scale, self.alphabet, config.seed)
        training = replace(self._training(0), steps=config.base_steps)
        train(model, self.others, training, self.output / "base", report, stage="base")

    def _scores(self, report: Reporter) -> dict[str, NDArray[np.float64]]:
        """Influence and the trivial scores by the model trained on the whole pool."""
        columns = self._kept("reference", lambda: self._reference(report))
        adjusted = fit_length_adjustment(columns[INFLUENCE], columns["length"])
        # Not its logarithm, which the selection goes by: sums over groups need scores above 0.
        columns[ADJUSTED] = np.exp(adjusted.apply(columns[INFLUENCE], columns["length"]))
        return columns

    def _reference(self, report: Reporter) -> dict[str, NDArray[np.float64]]:
        model = self._trained("reference", self.pool, 1, report)
        influence = InfluenceConfig(damping=self.config.damping)
        fisher = fisher_diagonal([accumulate_fisher(model, self.pool, influence)])
        found = score_block(model, self.pool, fisher, influence, embeddings=False)
        return {
            INFLUENCE: found.influence,
            "unmasked loss": found.loss.astype(np.float64),
            "masked loss": self._masked(model),
            "gradient norm": found.gradient_norm,
            "length": found.tokens.astype(np.float64),
        }

    def _model(self, index: int, report: Reporter) -> dict[str, NDArray[np.float64]]:
        """Losses of all sequences under the model without a random part of them."""
        name = f"model-{index:04d}"

        def compute() -> dict[str, NDArray[np.float64]]:
            rows = np.sort(_part(self.config, index))
            model = self._trained(name, self.pool.take(rows), index + 2, report)
            included = np.zeros(len(self.pool))
            included[rows] = 1
            return {"included": included, "masked": self._masked(model), "unmasked": self._unmasked(model)}

        return self._kept(f"models/{name}", compute)

    def _trained(self, name: str, block: SequenceBlock, number: int, report: Reporter) -> MaskedLanguageModel:
        model = load_model(self.output / "base" / "network")
        train(model, block, self._training(number), self.output / "training" / name, report, stage=name)
        return model

    def _training(self, number: int) -> TrainingConfig:
        """Model `number` has masks and batches of its own, as independent trainings have."""
        config = self.config
        return TrainingConfig(
            steps=config.steps,
            learning_rate=config.learning_rate,
            token_budget=config.token_budget,
            seed=config.seed * 100_003 + number,
        )

    def _masked(self, model: MaskedLanguageModel) -> NDArray[np.float64]:
        # One mask for all models: its seed is the configuration's, not the model's.
        fixed = TrainingConfig(seed=self.config.seed, token_budget=_EVALUATION_BUDGET)
        return measure(model, Corpus.of(self.pool, model, "pool"), fixed).losses

    def _unmasked(self, model: MaskedLanguageModel) -> NDArray[np.float64]:
        fisher = np.ones(tuple(model.head.dense.weight.shape))
        found = score_block(model, self.pool, fisher, InfluenceConfig(), embeddings=False)
        return found.loss.astype(np.float64)

    def _kept(self, name: str, compute: Any) -> dict[str, NDArray[np.float64]]:
        """Columns from their file, or computed and written to it; the training folder then goes."""
        path = self.output / f"{name}.parquet"
        if path.is_file():
            return _read(path, self.digest)
        columns: dict[str, NDArray[np.float64]] = compute()
        table = pa.table({"hash": self.pool.hashes, **columns})
        with atomic_path(path) as part:
            pq.write_table(table.replace_schema_metadata({_DIGEST: self.digest.encode()}), part)
        shutil.rmtree(self.output / "training" / Path(name).name, ignore_errors=True)
        return columns


def _first_usable(pool: Pool, wanted: int, seed: int) -> NDArray[np.int64]:
    """Positions of the first sequences with an unambiguous residue in a random order; all, where fewer."""
    # By hash, so that the draw does not depend on the order of the file.
    hashes = np.concatenate([np.empty(0, dtype=np.uint64), *pool.hashes()])
    order = np.argsort(mix_words(hashes ^ np.uint64(seed)), kind="stable")
    residues = np.frombuffer(pool.alphabet.residues.encode(), dtype=np.uint8)
    found = np.empty(0, dtype=np.int64)
    # Nearly every sequence is usable, so that the first look is mostly the only one.
    for start in range(0, len(order), wanted):
        drawn = order[start : start + wanted]
        block = pool.take(np.sort(drawn))
        known = np.concatenate([[0], np.cumsum(np.isin(block.blob, residues))])
        usable = block.positions[known[block.offsets[1:]] > known[block.offsets[:-1]]]
        found = np.concatenate([found, drawn[np.isin(drawn, usable)]])
        if len(found) >= wanted:
            break
    return found[:wanted]


def _part(config: ValidationConfig, index: int) -> NDArray[np.int64]:
    """The sequences that model `index` is trained on; models come in pairs only by chance."""
    return np.random.default_rng((config.seed, index)).permutation(config.sequences)[: config.kept]


def _read(path: Path, digest: str) -> dict[str, NDArray[np.float64]]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(
            f"{path} is damaged. Remove it and start again; it is computed anew.", str(error)
        ) from error
    if (table.schema.metadata or {}).get(_DIGEST) != digest.encode():
        raise ConflictError(f"{path} is of another validation. Remove it, or choose another folder.")
    return {name: table[name].to_numpy() for name in table.column_names if name != "hash"}
