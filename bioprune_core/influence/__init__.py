"""Self-influence: per-sequence gradients of the head, the Fisher diagonal of the subset, scores of the pool.

Names are resolved on first use, so that the configuration can be read without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.influence.backoff import read_backoffs
    from bioprune_core.influence.configuration import (
        InfluenceConfig,
        Objective,
        ParameterSet,
        Precision,
        TooLong,
    )
    from bioprune_core.influence.damping import FisherScale, fisher_scale
    from bioprune_core.influence.fisher import accumulate_fisher, fisher_diagonal
    from bioprune_core.influence.fisher_file import read_fisher, read_fisher_tensors
    from bioprune_core.influence.fisher_shards import help_fisher, run_fisher
    from bioprune_core.influence.gradient_pass import refuse_unsupported
    from bioprune_core.influence.head_inputs import HeadInputs, read_head_inputs
    from bioprune_core.influence.in_memory import Scores, score_sequences
    from bioprune_core.influence.plan import PassPlan, read_plan, settled
    from bioprune_core.influence.pool import SequencePool
    from bioprune_core.influence.score import ScoreBlock, score_block
    from bioprune_core.influence.score_shards import ScoreSummary, help_scores, run_scores
    from bioprune_core.influence.unscored import Unscored, read_unscored
    from bioprune_core.influence.windows import refuse_long

__all__ = [
    "FisherScale",
    "HeadInputs",
    "InfluenceConfig",
    "Objective",
    "ParameterSet",
    "PassPlan",
    "Precision",
    "ScoreBlock",
    "ScoreSummary",
    "Scores",
    "SequencePool",
    "TooLong",
    "Unscored",
    "accumulate_fisher",
    "fisher_diagonal",
    "fisher_scale",
    "help_fisher",
    "help_scores",
    "read_backoffs",
    "read_fisher",
    "read_fisher_tensors",
    "read_head_inputs",
    "read_plan",
    "read_unscored",
    "refuse_long",
    "refuse_unsupported",
    "run_fisher",
    "run_scores",
    "score_block",
    "score_sequences",
    "settled",
]

_HOMES = {
    "FisherScale": "damping",
    "HeadInputs": "head_inputs",
    "PassPlan": "plan",
    "read_head_inputs": "head_inputs",
    "read_plan": "plan",
    "settled": "plan",
    "InfluenceConfig": "configuration",
    "Objective": "configuration",
    "ParameterSet": "configuration",
    "Precision": "configuration",
    "ScoreBlock": "score",
    "ScoreSummary": "score_shards",
    "Scores": "in_memory",
    "SequencePool": "pool",
    "TooLong": "configuration",
    "Unscored": "unscored",
    "accumulate_fisher": "fisher",
    "fisher_diagonal": "fisher",
    "fisher_scale": "damping",
    "help_fisher": "fisher_shards",
    "help_scores": "score_shards",
    "read_backoffs": "backoff",
    "read_fisher": "fisher_file",
    "read_fisher_tensors": "fisher_file",
    "read_unscored": "unscored",
    "refuse_long": "windows",
    "refuse_unsupported": "gradient_pass",
    "run_fisher": "fisher_shards",
    "run_scores": "score_shards",
    "score_block": "score",
    "score_sequences": "in_memory",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
