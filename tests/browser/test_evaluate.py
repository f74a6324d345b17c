"""The Evaluate page: planning an experiment, reading its results, taking them out."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect
from web_server import Server
from workspace_samples import finish_dataset, random_sequences
from written_experiment import planned_trial, write_experiment, write_results

from bioprune_core.workspace import ExperimentPlan, Project, Workspace

pytestmark = pytest.mark.browser


@pytest.fixture
def pool(workspace: Workspace, project: Project, tmp_path: Path) -> None:
    source = tmp_path / "pool.fasta"
    source.write_text(">a\nACGU\n")
    finish_dataset(workspace, workspace.create_dataset(project, "pool", [source]), random_sequences())


def _choose(page: Page, field: str, name: str) -> None:
    """Choose from a list as a person does: a click that a redraw of the page swallowed is done again."""
    chosen = page.get_by_test_id("stMultiSelect").filter(has_text=field).get_by_text(name, exact=True)
    for _ in range(6):
        page.get_by_label(field).click()
        with suppress(TimeoutError):
            page.get_by_role("option", name=name).click(timeout=5_000)
        page.keyboard.press("Tab")  # leaving the field closes its list
        with suppress(AssertionError):
            expect(chosen).to_be_visible(timeout=5_000)
            return
    raise AssertionError(f"{name} cannot be chosen at {field}")


def _selected(page: Page, field: str) -> Locator:
    return page.get_by_role("combobox", name=field)


def _select(page: Page, field: str, name: str) -> None:
    """As `_choose`, of a list with one choice."""
    for _ in range(6):
        _selected(page, field).click()
        with suppress(TimeoutError):
            page.get_by_role("option", name=name).click(timeout=5_000)
        with suppress(AssertionError):
            expect(_selected(page, field)).to_have_value(name, timeout=5_000)
            return
    raise AssertionError(f"{name} cannot be chosen at {field}")


@pytest.mark.usefixtures("pool")
def test_an_experiment_is_planned_in_the_form(
    page: Page, server: Server, workspace: Workspace, project: Project, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("sequence,label\nACGU,1\nGGCC,0\n")
    page.goto(f"{server.url}/evaluate?project={project.id}")
    page.get_by_role("button", name="Start experiment").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose at least one task")
    _choose(page, "Measure on", "My own table")
    path = page.get_by_role("textbox", name="My own table: a file")
    path.fill(str(tmp_path / "other.csv"))
    path.press("Enter")
    # The complaint of before may still stand beside it for a moment.
    expect(page.get_by_role("alert").filter(has_text="other.csv does not exist")).to_be_visible()
    path.fill(str(table))
    path.press("Enter")
    sizes = page.get_by_role("textbox", name="Coreset sizes B")
    sizes.fill("20,400")
    sizes.press("Enter")
    expect(page.get_by_text("'20,400' can be read as 20400 or as 20 and 400")).to_be_visible()
    sizes.fill("20, 40")
    sizes.press("Enter")
    expect(page.get_by_text(re.compile("At most 30 networks to train and 30 measurements"))).to_be_visible()
    page.get_by_text("Also with one sequence of each near-duplicate cluster").click()
    expect(page.get_by_text(re.compile("At most 40 networks to train and 40 measurements"))).to_be_visible()
    expect(page.get_by_text("B = 20 and 40; 5 seeds: 0 to 4.")).to_be_visible()
    page.get_by_role("button", name="Start experiment").dblclick()
    expect(page.get_by_text("No worker is running")).to_be_visible()
    expect(page).to_have_url(re.compile("experiment=experiment-"))
    (made,) = workspace.experiments(project)
    settings = ExperimentPlan.from_json(workspace.config(made)).settings
    assert settings["tasks"] == [{"name": "mine", "folder": str(table)}]
    assert (settings["sizes"], settings["near_identity"]) == ([20, 40], 0.5)
    assert [(arm["kind"], arm.get("one_per")) for arm in settings["arms"]] == [
        ("full", None),
        ("random", "cluster"),
    ]


@pytest.mark.usefixtures("pool")
def test_what_is_guessed_of_an_own_table_is_shown_and_can_be_chosen_otherwise(
    page: Page, server: Server, workspace: Workspace, project: Project, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    rows = [f"ACGU{'GC' * number},{number % 3},{number / 7:.3f}" for number in range(60)]
    table.write_text("\n".join(["seq,family,energy", *rows]) + "\n")
    page.goto(f"{server.url}/evaluate?project={project.id}")
    _choose(page, "Measure on", "My own table")
    path = page.get_by_role("textbox", name="My own table: a file")
    path.fill(str(tmp_path))
    path.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="is a folder")).to_be_visible()
    path.fill(str(table))
    path.press("Enter")
    expect(_selected(page, "Column of the sequences")).to_have_value("seq")
    page.get_by_role("button", name="Start experiment").click()
    expect(page.get_by_text("choose the column of the labels")).to_be_visible()
    _select(page, "Column of the labels", "energy")
    expect(page.get_by_text("Guessed: regression, as the labels are 60 different numbers")).to_be_visible()
    _select(page, "Column of the labels", "family")
    expect(page.get_by_text("Guessed: classification, as the labels are 3 different")).to_be_visible()
    _select(page, "Kind of task", "Regression")
    expect(page.get_by_text("Guessed:")).to_have_count(0)
    page.get_by_text("Leave out training examples near-identical").click()
    expect(page.get_by_role("checkbox", name="Leave out training examples")).to_be_checked()
    page.get_by_role("button", name="Start experiment").click()
    expect(page.get_by_text("No worker is running")).to_be_visible()
    (made,) = workspace.experiments(project)
    settings = ExperimentPlan.from_json(workspace.config(made)).settings
    columns = {"label": "family"}
    assert settings["tasks"] == [
        {"name": "mine", "folder": str(table), "kind": "regression", "columns": columns}
    ]
    assert settings["leave_out_leaks"] is True


@pytest.mark.usefixtures("pool")
def test_results_are_shown_with_their_gates_and_taken_out(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    write_experiment(workspace, project)
    page.goto(f"{server.url}/evaluate?project={project.id}")
    # Without a job, as a command leaves it.
    expect(page.locator("[class*=st-key-row-] .bp-state").get_by_text("failed")).to_be_visible()
    page.get_by_role("link", name="trial").click()
    expect(page.get_by_role("heading", name="RNA type, B = 10")).to_be_visible()
    expect(page.get_by_text("Nobody works on this experiment")).to_have_count(0)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    # The reason of the failed cell, as text and not as markup.
    expect(page.get_by_text("diverged at step 7 <of 10>")).to_be_visible()
    expect(page.locator(".bp-table").get_by_text("better").first).to_be_visible()
    expect(page.get_by_role("heading", name="How small can the coreset be?")).to_be_visible()
    expect(page.get_by_role("heading", name="Beside the paper")).to_be_visible()
    expect(page.get_by_text("were not measured here")).to_be_visible()
    page.get_by_label("May lose against the full pool").fill("90")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The smallest size measured, 10").first).to_be_visible()
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"scrolls sideways by {wide} px"
    with page.expect_download() as download:
        page.get_by_role("link", name="Measurements (CSV)").click()
    assert download.value.suggested_filename == "trial-measurements.csv"
    assert "length_stratified" in Path(download.value.path()).read_text()


@pytest.mark.usefixtures("pool")
def test_the_open_page_of_a_new_experiment_gets_its_results_and_keeps_them_when_it_is_changed(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    found = planned_trial(project=project.name)
    experiment = workspace.create_experiment(project, found.config.to_json(), Path("/"))
    page.goto(f"{server.url}/evaluate?project={project.id}&experiment={experiment.id}")
    expect(page.get_by_text("The results appear here cell by cell")).to_be_visible()
    found.write(workspace.directory(experiment))
    expect(page.get_by_text("Networks trained")).to_be_visible()
    write_results(workspace, found, failed=False)
    expect(page.get_by_role("heading", name="RNA type, B = 10")).to_be_visible()

    page.get_by_role("button", name="Sizes and seeds").click()
    seeds = page.get_by_role("textbox", name="Every seed, by its number")
    seeds.fill("10")
    seeds.press("Enter")
    expect(page.get_by_text("B = 10 and 20; 1 seed: 10.")).to_be_visible()
    sizes = page.get_by_role("textbox", name="Coreset sizes B")
    sizes.fill("10 5000")
    sizes.press("Enter")
    page.get_by_role("button", name="Compute what is new").click()
    expect(page.get_by_text("The coreset size is 5,000, but the dataset")).to_be_visible()
    sizes.fill("10 30")
    sizes.press("Enter")
    expect(page.get_by_text("B = 10 and 30; 1 seed: 10.")).to_be_visible()
    page.get_by_role("button", name="Compute what is new").click()
    expect(page.get_by_text("of the settings before they were changed")).to_be_visible()
    expect(page.get_by_role("heading", name="RNA type, B = 10")).to_be_visible()
    expect(page.get_by_role("link", name="Report (Markdown)")).to_be_visible()


@pytest.mark.usefixtures("pool")
def test_the_address_tells_which_results_are_looked_at(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    experiment = write_experiment(workspace, project, failed=False)
    page.goto(f"{server.url}/evaluate?project={project.id}&experiment={experiment.id}")
    _select(page, "Coreset size B", "20")
    _select(page, "Metric", "Macro F1")
    expect(page).to_have_url(re.compile("result-size=20"))
    page.goto(page.url)
    expect(page.get_by_role("heading", name="RNA type, B = 20")).to_be_visible()
    expect(_selected(page, "Metric")).to_have_value("Macro F1")


@pytest.mark.usefixtures("pool")
def test_an_experiment_that_a_command_finished_is_done_and_offers_no_start(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    write_experiment(workspace, project, failed=False)
    page.goto(f"{server.url}/evaluate?project={project.id}")
    expect(page.locator("[class*=st-key-row-] .bp-state").get_by_text("done")).to_be_visible()
    page.get_by_role("link", name="trial").click()
    expect(page.get_by_role("heading", name="RNA type, B = 10")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Start|Try again"))).to_have_count(0)
