"""Curves over sizes and the advice they give, read from a report."""

from dataclasses import replace

import pytest
from planned_trial import INPUTS, TASKS, configured, make_pool

from bioprune_core.experiments import (
    AdviceOutcome,
    CellResult,
    Report,
    advise_sizes,
    build_report,
    plan_cells,
    report_json,
    report_markdown,
    size_curves,
)
from bioprune_core.experiments.results import PRETRAINING


def report(**changes: object) -> Report:
    """Accuracy of a network is its number of sequences over 400, its loss 2 less that; seeds are alike."""
    config = configured(**{"sizes": [5, 10, 20], "arms": [{"kind": "full"}], **changes})
    plan = plan_cells(config, make_pool(), INPUTS)
    drawn = {cell.key: cell.drawn.sequences for cell in plan.pretrainings}
    results = {key: CellResult({"held_out_loss": 2 - count / 400}) for key, count in drawn.items()}
    results |= {
        each.key: CellResult({"accuracy": drawn[each.pretraining] / 400, "macro_f1": 0.5})
        for each in plan.evaluations
    }
    return build_report(config, plan, TASKS, results, {}, {})


def test_every_sized_arm_has_a_curve_over_all_sizes() -> None:
    curves = {arm.arm: arm.curve for arm in size_curves(report(), "rna-type", "probe", "accuracy")}
    assert set(curves) == {"random", "random-10x", "bottom-influence"}
    assert curves["random"].values == {size: dict.fromkeys((0, 1, 2), size / 400) for size in (5, 10, 20)}
    assert not curves["random"].lower_is_better
    losses = size_curves(report(), "pretraining", "", "held_out_loss")
    assert losses
    assert all(arm.curve.lower_is_better for arm in losses)


def test_the_tolerance_is_a_share_of_the_full_pool() -> None:
    """The full pool has 350 of 400 = 0.875; 20 sequences have 0.05, a loss of 94.3 %."""
    strict, _ = advise_sizes(report(), 0.01)
    assert strict.advice.outcome is AdviceOutcome.NOT_REACHED
    loose, _ = advise_sizes(report(), 0.975)
    assert loose.advice.outcome is AdviceOutcome.FOUND
    assert loose.advice.size is not None
    assert 5 < loose.advice.size <= 10
    assert loose.advice.tolerance == pytest.approx(0.975 * 0.875)


def test_the_networks_own_loss_gives_advice_where_lower_is_better() -> None:
    """The full pool has a loss of 1.125; 10 sequences have 1.975, 75.6 % more, and 5 have 76.7 %."""
    _, by_loss = advise_sizes(report(), 0.76)
    assert (by_loss.task, by_loss.protocol, by_loss.metric) == (PRETRAINING, "", "held_out_loss")
    assert by_loss.advice.outcome is AdviceOutcome.FOUND
    assert by_loss.advice.size is not None and 5 < by_loss.advice.size <= 10
    assert "| masked-LM loss | held\\_out\\_loss | random |" in report_markdown(report())


def test_reports_carry_the_advice_only_where_there_is_any() -> None:
    assert "How small can the coreset be?" in report_markdown(report())
    assert '"outcome": "not-reached"' in report_json(report())
    assert advise_sizes(report(sizes=[20])) == ()
    without = replace(report(), rows=())
    assert advise_sizes(without) == ()
    assert "How small" not in report_markdown(report(sizes=[20]))
