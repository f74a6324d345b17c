"""What was out of the ordinary in a run is said, and nothing else."""

from typing import Any

from bioprune_core.workspace import notes_of_run

ORDINARY: dict[str, Any] = {"counts": {"sequences": 9}}


def test_an_ordinary_run_has_none_also_one_of_an_earlier_version() -> None:
    assert notes_of_run(ORDINARY) == []
    nothing = {"sequences": 0, "first": []}
    run = {
        "counts": {"sequences": 9, "unscored": 0, "backoffs": 0},
        "fisher": {"backoffs": 0},
        "unscored": {"scores": nothing, "fisher": nothing},
    }
    assert notes_of_run(run) == []


def test_sequences_without_a_score_are_counted_and_three_named() -> None:
    first = [{"position": place, "id": f"seq{place}", "reason": "loss"} for place in range(5)]
    found = {"scores": {"sequences": 1_200, "first": first}, "fisher": {"sequences": 1, "first": first[:1]}}
    scores, fisher = notes_of_run(ORDINARY | {"unscored": found})
    assert scores.startswith("1,200 sequences have no score")
    assert "seq0 (loss), seq1 (loss), seq2 (loss) and 1,197 more" in scores
    assert fisher.startswith("1 sequence was left out of the Fisher information")
    assert "more" not in fisher


def test_want_of_memory_is_counted_over_both_passes() -> None:
    run = {"counts": {"sequences": 9, "backoffs": 2}, "fisher": {"backoffs": 1}}
    assert "too small for a batch 3 times" in notes_of_run(run)[0]
