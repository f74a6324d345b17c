"""An open run answers for itself, also where another has the same scores."""

import pytest
from synthetic_workspace import add_synthetic_run

from app.queries.brush import Brush, CategoryColumn
from app.queries.composition import category_counts
from app.run_data import open_run
from bioprune_core.progress import discard
from bioprune_core.selection import SelectionConfig, profile_scores
from bioprune_core.storage import read_json, write_json
from bioprune_core.workspace import Run, Workspace
from bioprune_core.workspace.state import MANIFEST_FILE


@pytest.fixture
def runs(served: Workspace) -> tuple[Run, Run]:
    """Of 60 and of 90 sequences, in two projects."""
    first, second = (
        add_synthetic_run(served, served.create_project(f"{size} sequences"), size) for size in (60, 90)
    )
    return first, second


def test_runs_of_equal_scores_have_answers_of_their_own(served: Workspace, runs: tuple[Run, Run]) -> None:
    first, second = (served.directory(run) / MANIFEST_FILE for run in runs)
    # As of one file that was ingested twice, with and without labels, and scored by one model.
    scores = read_json(second)["scores"] | {"sha256": read_json(first)["scores"]["sha256"]}
    write_json(second, read_json(second) | {"scores": scores})
    config = SelectionConfig()
    for run, size in zip(runs, (60, 90), strict=True):
        opened = open_run(run, discard)
        assert len(opened.points(Brush(), 1_000)) == size
        labels = opened.categories(CategoryColumn.LABEL)
        assert labels.equals(category_counts(opened.connection, CategoryColumn.LABEL))
        assert repr(opened.profile(config)) == repr(profile_scores(opened.connection, config))
