"""The whole path as a person walks it: a file in, a scored pool, a tuned coreset out."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from web_server import Server, running_worker

from bioprune_core.workspace import Workspace, export_coreset

pytestmark = pytest.mark.browser

MINUTES = 60_000
SEQUENCES = 300


def write_fasta(path: Path) -> None:
    random = np.random.default_rng(7)
    records = []
    for number in range(SEQUENCES):
        family = ("riboswitch", "tRNA", "sRNA")[number % 3]
        letters = "".join(random.choice(list("ACGU"), size=random.integers(30, 60)))
        records.append(f">{family}|seq{number} sample {number}\n{letters}\n")
    path.write_text("".join(records))


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_from_a_file_to_an_exported_coreset(
    page: Page, server: Server, workspace: Workspace, tmp_path: Path
) -> None:
    source = tmp_path / "families.fasta"
    write_fasta(source)
    with running_worker(server.workspace, tmp_path / "worker.log"):
        make_project(page, server)
        add_dataset(page, source)
        train_model(page)
        score(page)
        select(page)
        exported = export(page)
    (coreset,) = workspace.coresets("Whole path")
    export_coreset(workspace, coreset, "fasta", tmp_path / "expected.fasta")
    assert exported == (tmp_path / "expected.fasta").read_bytes()
    assert exported.count(b">") == SEQUENCES // 4
    assert workspace.manifest(coreset)["selection"]["prune_rate"] == "75"


def make_project(page: Page, server: Server) -> None:
    page.goto(server.url)
    press(page, "New project")
    page.get_by_label("Name", exact=True).fill("Whole path")
    press(page, "Create project")
    expect(page.get_by_role("heading", name="Add the first dataset")).to_be_visible()


def add_dataset(page: Page, source: Path) -> None:
    press(page, "Add a dataset")
    page.set_input_files("input[type=file]", source)
    expect(page.get_by_text("families.fasta (")).to_be_visible()
    press(page, "Read the files")
    expect(page.get_by_text("Records read")).to_be_visible(timeout=2 * MINUTES)
    expect(page.locator(".bp-figures")).to_contain_text("300")


def train_model(page: Page) -> None:
    press(page, "Score this dataset")
    page.get_by_role("radio", name="New, from scratch").or_(
        page.get_by_role("button", name="New, from scratch")
    ).first.click()
    steps = page.get_by_role("spinbutton", name="Training steps")
    steps.fill("10")
    steps.press("Enter")
    # The suggested name follows the steps: the form has been drawn with them.
    expect(page.locator('input[value="rna-fm tiny, 10 steps, seed 0"]')).to_be_visible()
    press(page, "Train this model")
    expect(page.get_by_role("progressbar").first).to_be_visible(timeout=6 * MINUTES)
    # The page runs again by itself once the model is trained.
    expect(page.get_by_role("progressbar")).to_have_count(0, timeout=6 * MINUTES)
    page.get_by_role("radio", name="In this project").or_(
        page.get_by_role("button", name="In this project")
    ).first.click()


def score(page: Page) -> None:
    subset = page.get_by_role("spinbutton", name="Subset (sequences)")
    subset.fill("50")
    subset.press("Enter")
    press(page, "Start scoring")
    expect(page.get_by_role("button", name="Explore the scores")).to_be_visible(timeout=8 * MINUTES)
    press(page, "Explore the scores")
    expect(page.get_by_role("heading", name="Explore", exact=True)).to_be_visible()


def select(page: Page) -> None:
    page.get_by_role("link", name="Select", exact=True).click()
    expect(page.get_by_role("button", name="Save 30 sequences")).to_be_visible()
    rate = page.get_by_role("spinbutton", name="Prune rate").first
    rate.fill("75")
    rate.press("Enter")
    press(page, "Save 75 sequences")
    expect(page.get_by_role("heading", name="Where it comes from")).to_be_visible()


def export(page: Page) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("link", name="FASTA with descriptions").click()
    path = download.value.path()
    assert download.value.suggested_filename.endswith(".fasta")
    return Path(path).read_bytes()
