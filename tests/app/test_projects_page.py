"""The front page: what was done last leads to where it is."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from workspace_samples import sample_project

from bioprune_core.workspace import Workspace

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"


def test_recent_work_leads_to_its_own_page_and_a_model_from_elsewhere_to_scoring(
    served: Workspace, tmp_path: Path
) -> None:
    project, dataset, _, run = sample_project(served, tmp_path / "pool.fasta")
    trained = served.create_model(project, "trained", served.plan_model(dataset, "rna-fm", "tiny"))
    page = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert not page.exception
    links = {each.proto.label: (each.proto.page, each.proto.query_string) for each in page.get("page_link")}
    here = f"project={project.id}"
    assert links[trained.name] == ("pretrain", f"{here}&model={trained.id}")
    assert links["tiny"] == ("score", here)
    assert links[run.name] == ("explore", f"{here}&run={run.id}")
    assert links["pool"] == ("data", f"{here}&dataset={dataset.id}")
