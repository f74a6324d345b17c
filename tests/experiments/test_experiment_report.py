"""The report says first what it cannot say, counts what failed, and is the same in every format."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from planned_trial import INPUTS, TASKS, configured, make_pool

from bioprune_core.experiments import (
    HELD_OUT_LOSSES,
    Arm,
    ArmKind,
    CellResult,
    CoresetColumns,
    Place,
    Plan,
    Report,
    build_report,
    describe_draw,
    draw,
    draw_seed,
    paper_numbers,
    plan_cells,
    report_csv,
    report_json,
    report_latex,
    report_markdown,
)
from bioprune_core.experiments.gates import GateState
from bioprune_core.experiments.results import PRETRAINING, State
from bioprune_core.experiments.statistics import Result
from bioprune_core.experiments.tables import control_cells, paper_cells, row_cells

SEEDS = [0, 1, 2, 3, 4, 5]
CONFIG = configured(
    seeds=SEEDS, held_out_families=["tRNA"], arms=[{"kind": "top-influence"}, {"kind": "full"}]
)
GOOD = {"untrained": 0.4, "random": 0.6, "random-10x": 0.7, "full": 0.8, "top-influence": 0.65}


@cache
def _plan() -> Plan:
    return plan_cells(CONFIG, make_pool(), INPUTS)


@cache
def _columns() -> Mapping[Place, CoresetColumns]:
    pool, arms = make_pool(), {arm.name: arm for arm in CONFIG.all_arms}
    return {
        place: describe_draw(
            draw(arms[place.arm], place.size, pool, draw_seed(0, place.seed)), pool, "source"
        )
        for place in _plan().places()
    }


def _results(
    means: Mapping[str, float], change: Callable[[Place, float], float] | None = None
) -> dict[str, CellResult]:
    """Of every cell: the mean of its arm, up and down by turns with the seed, which `change` may spoil."""
    networks = {cell.key: cell for cell in _plan().pretrainings}
    found = {cell.key: CellResult(dict.fromkeys(HELD_OUT_LOSSES, 1.3)) for cell in networks.values()}
    for cell in _plan().evaluations:
        place = networks[cell.pretraining].places[0]
        wave = 0.004 if place.arm == "random" else 0.002
        value = means.get(place.arm, 0.6) + (wave if place.seed % 2 else -wave)
        value = change(place, value) if change else value
        found[cell.key] = CellResult({"accuracy": value, "macro_f1": value / 2})
    return found


def _report(results: Mapping[str, CellResult]) -> Report:
    return build_report(CONFIG, _plan(), TASKS, results, _columns(), {"GPU": "one_card & 16 cores"}, True)


def _fail_seed_two(place: Place, value: float) -> float:
    return math.nan if place == Place("top-influence", 20, 2) else value


def test_an_experiment_that_passes_its_gates_says_so_first() -> None:
    report = _report(_results(GOOD))
    assert {gate.state for gate in report.gates} == {GateState.PASSED}
    assert report_markdown(report).splitlines()[2].startswith("**Both gates are passed")


@pytest.mark.parametrize(
    "spoilt", [{"untrained": 0.6}, {"random-10x": 0.6}, {"untrained": 0.9}, {"random-10x": 0.5}]
)
def test_an_experiment_that_fails_a_gate_says_first_that_it_cannot_rank(spoilt: dict[str, float]) -> None:
    report = _report(_results(GOOD | spoilt))
    for text in (report_markdown(report), report_latex(report), report_json(report)):
        assert "cannot rank selections" in text
    assert "This experiment cannot rank selections" in report_markdown(report).splitlines()[2]
    assert "This experiment cannot rank selections" in report_latex(report).splitlines()[0]


def test_rows_have_means_differences_and_results() -> None:
    rows = {row.arm: row for row in _report(_results(GOOD)).rows if row.metric == "accuracy"}
    assert set(rows) == {arm.name for arm in CONFIG.all_arms}
    assert next(iter(rows)) == "random" and rows["random"].against_random is None
    top = rows["top-influence"].against_random
    assert top is not None and top.mean == pytest.approx(0.05, abs=0.01)
    assert top.comparisons == len(rows) - 1
    results = {name: row.against_random.result for name, row in rows.items() if row.against_random}
    assert (results["top-influence"], results["untrained"]) == (Result.WIN, Result.LOSS)
    assert results["bottom-influence"] is Result.TIE
    (mixture,) = rows["top-influence"].against_mixture
    assert (mixture.grouping, mixture.comparison.result) == ("source", Result.WIN)
    assert rows["full"].against_mixture == ()


def test_a_collapsed_selection_is_compared_with_collapsed_random_and_is_none_of_the_papers() -> None:
    config = configured(
        seeds=SEEDS, arms=[{"kind": "top-influence", "one_per": "cluster"}, {"kind": "top-influence"}]
    )
    plan = plan_cells(config, make_pool(), INPUTS)
    networks = {cell.key: cell.places[0] for cell in plan.pretrainings}
    values = {"random one per cluster": 0.62, "top-influence one per cluster": 0.7}
    results = {
        cell.key: CellResult({"accuracy": values.get(networks[cell.pretraining].arm, 0.6), "macro_f1": 0.5})
        for cell in plan.evaluations
    }
    report = build_report(config, plan, TASKS, results, {}, {}, True)
    rows = {row.arm: row for row in report.rows if row.metric == "accuracy"}
    controls = {
        each.grouping: each.comparison.mean for each in rows["top-influence one per cluster"].against_mixture
    }
    assert controls == {"source": pytest.approx(0.1), "one per cluster": pytest.approx(0.08)}
    assert [each.grouping for each in rows["top-influence"].against_mixture] == ["source"]
    beside = [cells[5] for cells in paper_cells(report) if cells[5] != "–"]
    assert any(place.startswith("top-influence (") for place in beside)
    assert not any("one per cluster" in place for place in beside)


def test_held_out_losses_of_the_networks_are_rows_as_well() -> None:
    rows = [row for row in _report(_results(GOOD)).rows if row.task == PRETRAINING]
    assert {row.metric for row in rows} == set(HELD_OUT_LOSSES)
    assert all(row.lower_is_better and row.summary.mean == pytest.approx(1.3) for row in rows)


def test_a_tie_shows_an_interval_that_covers_zero() -> None:
    """Five differences of one sign: the bootstrap interval excludes zero, the t interval decides."""

    def spread(place: Place, value: float) -> float:
        return value + 0.01 * place.seed**2 if place.arm == "top-influence" else value

    results = _results(GOOD | {"top-influence": 0.605}, spread)
    row = next(row for row in _report(results).rows if (row.arm, row.metric) == ("top-influence", "accuracy"))
    (mixture,) = row.against_mixture
    found = mixture.comparison
    assert found.low is not None and found.low > 0 and found.result is Result.TIE
    low, high = found.outer
    assert low is not None and high is not None and low < 0 < high
    assert f"{low:+.3g} to {high:+.3g}" in row_cells(row)[-1]


def test_the_tokens_of_every_arm_are_told() -> None:
    results = {
        key: replace(result, tokens=1000 + 100 * index)
        for index, (key, result) in enumerate(_results(GOOD).items())
    }
    report = _report(results)
    networks = [cell for cell in _plan().pretrainings if cell.places[0].arm == "full"]
    mean = np.mean([results[cell.key].tokens for cell in networks])
    row = next(row for row in report.controls if row.arm == "full")
    assert row.tokens == pytest.approx(mean)
    assert f"{mean:,.0f}" in control_cells(row)
    assert next(row for row in _report({}).controls if row.arm == "full").tokens is None


def test_the_papers_figures_stand_beside_influence_that_was_fine_tuned_as_theirs_was() -> None:
    beside = {}
    for fine_tuned in (True, False):
        found = build_report(CONFIG, _plan(), TASKS, _results(GOOD), {}, {}, fine_tuned)
        beside[fine_tuned] = {cells[2]: cells[5] for cells in paper_cells(found) if cells[1] == "accuracy"}
    assert beside[True]["top influence"] == "top-influence (probe), B = 20"
    assert beside[False]["top influence"] == "–"
    assert beside[True]["random"] == beside[False]["random"] == "random (probe), B = 20"
    without = [each for each in paper_numbers() if each.method.endswith("without finetuning")]
    assert {(each.kind, each.fine_tuned) for each in without} == {
        (ArmKind.TOP_INFLUENCE, False),
        (ArmKind.COVERAGE_CENTRIC, False),
    }


@pytest.mark.parametrize("settings", [{"hardest_cut": 10}, {"strata": 40}, {"strata_kind": "quantile"}])
def test_only_coverage_as_published_stands_beside_the_paper(settings: dict[str, Any]) -> None:
    assert Arm.from_json({"kind": "coverage-centric", "hardest_cut": "5.0", "strata": 50}).is_plain
    assert not Arm.from_json({"kind": "coverage-centric", **settings}).is_plain


def test_an_arm_without_a_size_stands_once_beside_the_paper() -> None:
    config = configured(sizes=[10, 20], seeds=SEEDS, arms=[{"kind": "full"}])
    plan = plan_cells(config, make_pool(), INPUTS)
    results = {cell.key: CellResult({"accuracy": 0.6, "macro_f1": 0.5}) for cell in plan.evaluations}
    cells = paper_cells(build_report(config, plan, TASKS, results, {}, {}, True))
    assert len(set(cells)) == len(cells)
    beside = {each[5] for each in cells}
    assert {"full (probe)", "random (probe), B = 10", "random (probe), B = 20"} <= beside
    assert not any(place.startswith("full (probe), B") for place in beside)


def test_a_value_that_is_not_finite_is_counted_shown_and_in_no_mean() -> None:
    report = _report(_results(GOOD, _fail_seed_two))
    row = next(row for row in report.rows if (row.arm, row.metric) == ("top-influence", "accuracy"))
    assert (row.summary.count, row.failed, row.missing) == (5, 1, 0)
    assert row.summary.mean is not None and math.isfinite(row.summary.mean)
    assert row.against_random is not None
    assert row.against_random.missing == ("seed 2: this arm has no value",)
    assert report.count(State.FAILED) == 2
    text = report_markdown(report)
    assert "2 failed" in text and "the accuracy is nan, not a finite number" in text


def test_a_network_that_failed_fails_its_evaluations_with_its_reason() -> None:
    results = _results(GOOD)
    lost = _plan().places()[Place("random", 20, 1)].key
    results[lost] = CellResult({}, "the loss diverged at step 40")
    report = _report(results)
    failed = [each for each in report.measurements if each.state is State.FAILED]
    assert {(each.arm, each.seed, each.reason) for each in failed} == {
        ("random", 1, "the loss diverged at step 40")
    }
    assert {each.task for each in failed} == {"rna-type", PRETRAINING}
    assert "diverged at step 40" in report_markdown(report)


def test_nothing_computed_yet_is_missing_and_decides_nothing() -> None:
    report = _report({})
    assert report.count(State.MISSING) == len(report.measurements) > 0
    assert {gate.state for gate in report.gates} == {GateState.UNDECIDED}
    assert "cannot rank selections yet" in report.conclusion
    assert all(row.summary.mean is None for row in report.rows)
    assert report_markdown(report) and report_latex(report) and report_csv(report)


def test_a_cell_that_lacks_a_metric_failed() -> None:
    results = _results(GOOD)
    key = _plan().evaluations[0].key
    results[key] = replace(results[key], metrics={"accuracy": 0.5})
    failed = [each for each in _report(results).measurements if each.state is State.FAILED]
    assert {each.reason for each in failed} == {"the cell gave no macro_f1"}


def test_every_number_of_the_csv_is_in_the_json() -> None:
    report = _report(_results(GOOD, _fail_seed_two))
    lines = list(csv.DictReader(io.StringIO(report_csv(report))))
    measured = json.loads(report_json(report))["measurements"]
    assert len(lines) == len(measured) == len(report.measurements)
    for line, entry in zip(lines, measured, strict=True):
        assert {name: "" if value is None else str(value) for name, value in entry.items()} == line
    assert any(line["value"] == "" and line["reason"] for line in lines)


def test_json_has_no_number_that_json_has_not() -> None:
    text = report_json(_report(_results(GOOD, _fail_seed_two)))
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_markdown_tables_have_as_many_cells_as_their_headers() -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", report_markdown(_report(_results(GOOD))), re.MULTILINE)
    assert len(blocks) == 7
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1


def test_latex_escapes_what_latex_would_read() -> None:
    report = _report(_results(GOOD))
    named = replace(
        report, rows=tuple(replace(row, arm=r"50% of a_b & {c} #1 \x ~^ $y$") for row in report.rows)
    )
    text = report_latex(named)
    assert r"50\% of a\_b \& \{c\} \#1 \textbackslash{}x \textasciitilde{}\textasciicircum{} \$y\$" in text
    # Comments aside, no special letter is left bare, and every line of a table has the columns of its header.
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%#_~^]", body)
    for table in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL):
        assert r"\toprule" in table and r"\bottomrule" in table
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in table.splitlines() if "&" in line}) == 1


def test_markdown_shows_names_as_they_are() -> None:
    report = _report(_results(GOOD))
    named = replace(report, rows=tuple(replace(row, arm="a|b_c*") for row in report.rows))
    assert r"| a\|b\_c\* |" in report_markdown(named)


def test_the_paper_stands_apart_with_its_source_and_units() -> None:
    text = report_markdown(_report(_results(GOOD)))
    section = text[text.index("## Beside the paper") :]
    assert "not measured here" in section and "arXiv 2512.12932" in section
    line = next(line for line in section.splitlines() if "top influence" in line and "accuracy" in line)
    assert "| 82.51 % |" in line and "| 65 ± 0.22 % |" in line
    numbers = json.loads(report_json(_report({})))["paper"]
    assert {number["task"] for number in numbers} == {"rna-type"}


def test_the_papers_numbers_are_all_there_and_mapped() -> None:
    numbers = paper_numbers()
    assert len(numbers) == 65
    assert {number.task for number in numbers} >= {"rna-type", "protein-structure", "ppi-affinity"}
    found = {(each.task, each.metric, each.method, each.sequences): each for each in numbers}
    assert found["rna-type", "accuracy", "random", 2_000_000].kind is ArmKind.RANDOM_TENFOLD
    assert found["rna-type", "accuracy", "random", 200_000].kind is ArmKind.RANDOM
    affinity = found["ppi-affinity", "mae", "full", 2_780_000_000]
    assert (affinity.value, affinity.percent, affinity.kind) == (1.92, False, ArmKind.FULL)
    assert found["protein-structure", "q3", "coverage centric", 200_000].value == 71.48
    ablation = found["modification", "mean_auc", "top influence without finetuning", 200_000]
    assert (ablation.kind, ablation.fine_tuned) == (ArmKind.TOP_INFLUENCE, False)


def test_settings_seeds_hardware_and_what_was_equal_are_told() -> None:
    text = report_markdown(_report(_results(GOOD)))
    for said in (
        "100 optimiser steps of 1,024 tokens at most",
        "one\\_card & 16 cores",
        '"seeds"',
        CONFIG.digest,
    ):
        assert said in text
    assert "stand in for the split of BEACON" in text
