"""A coreset made again from its manifest."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from workspace_samples import sample_project

from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import Workspace
from bioprune_core.workspace.state import MANIFEST_FILE


def _page() -> None:
    from app.recreate_form import recreate_form
    from app.services import workspace

    (project,) = workspace().projects()
    recreate_form(project)


def test_two_clicks_make_one_coreset(
    served: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, run = sample_project(served, tmp_path / "pool.fasta")
    coreset = served.create_coreset(run, "small", SelectionConfig())
    manifest = (served.directory(coreset) / MANIFEST_FILE).read_bytes()
    chosen = SimpleNamespace(file_id="file", getvalue=lambda: manifest)
    monkeypatch.setattr(st, "file_uploader", lambda *_, **__: chosen)
    page = AppTest.from_function(_page).run(timeout=60)
    for _ in range(2):
        page.button(key="recreate-go").click().run(timeout=60)
        assert not page.exception
        assert not any("already" in element.proto.body for element in page.get("html"))
    assert [each.name for each in served.coresets()] == ["small", "Re-created"]
