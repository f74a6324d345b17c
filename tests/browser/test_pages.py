"""Each page, empty and filled, light and dark: it draws, says what to do next, and asks nobody else."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Browser, Page, expect
from web_server import Server
from workspace_samples import finish_run, random_sequences

from bioprune_core.selection import SelectionConfig
from bioprune_core.sequences import IngestOptions, ingest
from bioprune_core.workspace import Project, Workspace, export_manifest

pytestmark = pytest.mark.browser


@pytest.fixture
def sample(workspace: Workspace, project: Project, tmp_path: Path) -> SimpleNamespace:
    """A project with a dataset, a run and a coreset."""
    sequences = random_sequences()
    source = tmp_path / "pool.fasta"
    source.write_text(
        "".join(f">seq{row}\n{letters}\n" for row, letters in enumerate(sequences)) + ">empty\n"
    )
    dataset = workspace.create_dataset(project, "pool", [source])
    ingest([source], workspace.directory(dataset), IngestOptions())
    model = workspace.add_model(project, "tiny", "tiny-model")
    run = workspace.create_run(workspace.plan_run(dataset, model, 50))
    finish_run(workspace, run, sequences)
    coreset = workspace.create_coreset(run, "a fifth", SelectionConfig(prune_rate=80, strata=8))
    return SimpleNamespace(dataset=dataset, run=run, coreset=coreset)


def test_an_empty_project_says_on_every_page_what_to_do_next(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    for path, title, button in (
        ("data", "Add the first dataset", "Add a dataset"),
        ("coresets", "No coreset has been saved yet", "Go to the data"),
    ):
        page.goto(f"{server.url}/{path}?project={project.id}")
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        expect(page.get_by_role("button", name=button)).to_be_visible()
    page.goto(f"{server.url}/jobs?project={project.id}")
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    expect(page.get_by_text(f"bioprune --workspace {workspace.root} worker")).to_be_visible()


def test_without_a_project_the_pages_lead_to_the_projects(
    page: Page, server: Server, workspace: Workspace, project: Project
) -> None:
    workspace.create_project(f"{project.name}, another")
    page.goto(f"{server.url}/data")
    expect(page.get_by_role("heading", name="No project is open")).to_be_visible()
    page.get_by_role("link", name="Open the projects page").click()
    expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()


def test_a_wrong_link_gets_a_sentence(page: Page, server: Server, project: Project) -> None:
    page.goto(f"{server.url}/data?project=project-19990101-000000-abcdef")
    expect(page.get_by_role("alert")).to_contain_text("project-19990101-000000-abcdef")
    page.goto(f"{server.url}/coresets?project={project.id}&coreset=coreset-19990101-000000-abcdef")
    expect(page.get_by_role("alert")).to_contain_text("coreset-19990101-000000-abcdef")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_filled_pages_draw_in_both_schemes_and_ask_nobody_else(
    chromium: Browser,
    server: Server,
    project: Project,
    sample: SimpleNamespace,
    scheme: str,
) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url.split("/")[2]) if "//" in request.url else None)
    for address, text in (
        ("", project.name),
        (f"data?project={project.id}", "pool"),
        (f"data?project={project.id}&dataset={sample.dataset.id}", "What became of the records"),
        (f"coresets?project={project.id}", "a fifth"),
        (f"coresets?project={project.id}&coreset={sample.coreset.id}", "Methods paragraph"),
        (f"pretrain?project={project.id}", "Train a model from scratch"),
        (f"jobs?project={project.id}", "Workers alive"),
    ):
        page.goto(f"{server.url}/{address}")
        expect(page.locator("section.stMain, .stMain").get_by_text(text).first).to_be_visible()
        page.wait_for_timeout(400)
        assert page.get_by_role("alert").count() == 0, address
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{address} scrolls sideways by {wide} px"
    context.close()
    assert asked <= {server.url.removeprefix("http://")}


def test_a_reload_and_a_shared_link_show_the_same_form(page: Page, server: Server, project: Project) -> None:
    page.goto(f"{server.url}/data?project={project.id}")
    page.get_by_role("button", name="Add a dataset").click()
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()
    page.get_by_text("Folder of the server").click()
    path = page.get_by_role("textbox", name="Path of a file or folder")
    path.fill("/no/such/folder")
    path.press("Enter")
    expect(page.get_by_text("/no/such/folder does not exist on the server")).to_be_visible()
    page.reload()
    expect(page.get_by_text("/no/such/folder does not exist on the server")).to_be_visible()


def test_switching_the_page_keeps_the_project_and_back_works(
    page: Page, server: Server, project: Project, sample: SimpleNamespace
) -> None:
    page.goto(f"{server.url}/data?project={project.id}&dataset={sample.dataset.id}")
    expect(page.get_by_role("heading", name="pool")).to_be_visible()
    page.get_by_role("link", name="Coresets", exact=True).click()
    expect(page.get_by_role("link", name="a fifth")).to_be_visible()
    assert f"project={project.id}" in page.url
    page.get_by_role("link", name="a fifth").click()
    expect(page.get_by_role("heading", name="Where it comes from")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="a fifth")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="pool")).to_be_visible()


def test_a_taken_name_is_said_at_the_field(page: Page, server: Server, project: Project) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="New project", exact=True).click()
    page.get_by_role("textbox", name="Name", exact=True).fill(project.name)
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("already a project")


def test_a_download_link_gives_the_coreset(
    page: Page, server: Server, project: Project, sample: SimpleNamespace
) -> None:
    page.goto(f"{server.url}/coresets?project={project.id}&coreset={sample.coreset.id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Ids").click()
    assert download.value.suggested_filename == "a-fifth-ids.txt"
    assert len(Path(download.value.path()).read_text().split()) == 100


def test_a_coreset_is_made_again_from_its_manifest(
    page: Page,
    server: Server,
    project: Project,
    workspace: Workspace,
    sample: SimpleNamespace,
    tmp_path: Path,
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(export_manifest(workspace, sample.coreset))
    members = (workspace.directory(sample.coreset) / "members.parquet").read_bytes()
    page.goto(f"{server.url}/coresets?project={project.id}")
    page.get_by_role("button", name="Re-create from a manifest").click()
    (tmp_path / "no.json").write_text("{}")
    chooser = page.locator('[data-testid="stFileUploaderDropzoneInput"]')
    chooser.set_input_files(tmp_path / "no.json")
    expect(page.get_by_role("alert")).to_contain_text("manifest of no coreset")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=120_000)
    chooser.set_input_files(manifest)
    expect(page.get_by_role("textbox", name="Name")).to_have_value("a fifth 2", timeout=120_000)
    page.get_by_role("button", name="Re-create the coreset").click()
    expect(page.get_by_role("heading", name="a fifth 2")).to_be_visible()
    again = workspace.coreset("a fifth 2", project)
    assert (workspace.directory(again) / "members.parquet").read_bytes() == members
