"""Curves over sizes and the advice they give, read from a report."""

from dataclasses import replace

import pytest
from planned_trial import INPUTS, TASKS, configured, make_pool

from bioprune_core.experiments import (
    AdviceOutcome,
    CellResult,
    CoresetColumns,
    Report,
    advise_sizes,
    build_report,
    plan_cells,
    report_json,
    report_markdown,
    size_caveat,
    size_curves,
)
from bioprune_core.experiments.gates import Gate, GateState


def report(**changes: object) -> Report:
    """Accuracy of a network is its number of sequences over 400: larger is better, seeds are alike."""
    config = configured(**{"sizes": [5, 10, 20], "arms": [{"kind": "full"}], **changes})
    plan = plan_cells(config, make_pool(), INPUTS)
    drawn = {cell.key: cell.drawn.sequences for cell in plan.pretrainings}
    results = {key: CellResult({"held_out_loss": 1.0}) for key in drawn}
    results |= {
        each.key: CellResult({"accuracy": drawn[each.pretraining] / 400, "macro_f1": 0.5})
        for each in plan.evaluations
    }
    places = {place: cell.drawn.sequences for place, cell in plan.places().items()}
    columns = {place: CoresetColumns(count, 100.0, None, None, None) for place, count in places.items()}
    return build_report(config, plan, TASKS, results, columns, {}, True)


def test_every_sized_arm_has_a_curve_over_all_sizes() -> None:
    curves = {arm.arm: arm.curve for arm in size_curves(report(), "rna-type", "probe", "accuracy")}
    assert set(curves) == {"random", "random-10x", "bottom-influence"}
    assert set(curves["random-10x"].values) == {50, 100, 200}  # where its sequences are, not at B
    assert curves["random"].values == {size: dict.fromkeys((0, 1, 2), size / 400) for size in (5, 10, 20)}
    assert not curves["random"].lower_is_better
    losses = size_curves(report(), "pretraining", "", "held_out_loss")
    assert losses
    assert all(arm.curve.lower_is_better for arm in losses)


def test_the_tolerance_is_a_share_of_the_full_pool() -> None:
    """The full pool has 350 of 400 = 0.875; 20 sequences have 0.05, a loss of 94.3 %."""
    (strict,) = advise_sizes(report(), 0.01)
    assert strict.advice.outcome is AdviceOutcome.NOT_REACHED
    (loose,) = advise_sizes(report(), 0.975)
    assert loose.advice.outcome is AdviceOutcome.FOUND
    assert loose.advice.size is not None
    assert 5 < loose.advice.size <= 10
    assert loose.advice.tolerance == pytest.approx(0.975 * 0.875)


def test_advice_says_that_it_says_nothing_where_no_size_passes_a_gate() -> None:
    """Five seeds alike pass every gate; an experiment in which ten times as many add nothing does not."""
    passed = report(seeds=[0, 1, 2, 3, 4])
    assert {gate.state for gate in passed.gates} == {GateState.PASSED}
    assert size_caveat(passed, "rna-type", "probe") == ""
    assert size_caveat(passed, "pretraining", "") == ""
    flat = replace(
        passed,
        gates=tuple(
            replace(gate, state=GateState.FAILED) if gate.gate is Gate.LARGER else gate
            for gate in passed.gates
        ),
    )
    said = size_caveat(flat, "rna-type", "probe")
    assert said.startswith("At no size is it shown that random 10 B beats random B:")
    assert said in report_markdown(flat)
    # At one size is enough: that more sequences add nothing from there on is what advice is about.
    mixed = replace(flat, gates=(*flat.gates, *(gate for gate in passed.gates if gate.size == 5)))
    assert size_caveat(mixed, "rna-type", "probe") == ""


def test_reports_carry_the_advice_only_where_there_is_any() -> None:
    assert "How small can the coreset be?" in report_markdown(report())
    assert '"outcome": "not-reached"' in report_json(report())
    assert advise_sizes(report(sizes=[20])) == ()
    without = replace(report(), rows=())
    assert advise_sizes(without) == ()
    assert "How small" not in report_markdown(report(sizes=[20]))
