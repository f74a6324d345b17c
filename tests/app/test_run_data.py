"""An open run answers for itself: not for another with the same scores, and without waiting for another."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from synthetic_workspace import add_synthetic_run

from app import run_preparation
from app.queries.brush import Brush, CategoryColumn
from app.queries.composition import largest_categories
from app.queries.run_table import write_run_table
from app.run_data import MOST_CATEGORIES, open_run
from bioprune_core.progress import Progress, Reporter, discard
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
        assert labels == largest_categories(opened.connection, CategoryColumn.LABEL, MOST_CATEGORIES)
        assert repr(opened.profile(config)) == repr(profile_scores(opened.connection, config))


class Left(BaseException):
    """What ends a page run whose reader has gone."""


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, runs: tuple[Run, Run]) -> Iterator[threading.Event]:
    """The first table that is made is not done before this is set; then its reader has left."""
    go_on, first = threading.Event(), [runs[0].id]

    def write(views: Callable[[], duckdb.DuckDBPyConnection], table: Path, report: Reporter) -> None:
        if first and first[0] in table.name:
            first.clear()

            def leave(progress: Progress) -> None:
                report(progress)
                assert go_on.wait(60)
                raise Left

            write_run_table(views, table, leave)
        write_run_table(views, table, report)

    monkeypatch.setattr(run_preparation, "write_run_table", write)
    monkeypatch.setattr(run_preparation, "_LOOK_S", 0.01)
    yield go_on
    go_on.set()


def test_a_run_is_opened_while_the_table_of_another_is_made(
    served: Workspace, runs: tuple[Run, Run], held: threading.Event
) -> None:
    begun, waiting, told = threading.Event(), threading.Event(), list[Progress]()

    def wait(progress: Progress) -> None:
        told.append(progress)
        waiting.set()

    def begin(progress: Progress) -> None:
        if progress.done:
            begun.set()

    with ThreadPoolExecutor(2) as people:
        leaves = people.submit(open_run, runs[0], begin)
        assert begun.wait(60)
        assert open_run(runs[1], discard).count(Brush()) == 90
        stays = people.submit(open_run, runs[0], wait)
        assert waiting.wait(60)
        assert told[0] == Progress("explore", 60, 60, "sequences"), "those who wait see how far it is"
        held.set()
        with pytest.raises(Left):
            leaves.result(60)
        assert len(stays.result(60).points(Brush(), 1_000)) == 60
    # The table of the one who left is not there, not even in part.
    assert len(list((served.root / "cache").iterdir())) == 2


def test_what_a_killed_server_left_of_a_table_is_removed_after_a_day(
    served: Workspace, runs: tuple[Run, Run]
) -> None:
    cache = served.root / "cache"
    cache.mkdir(exist_ok=True)
    name = f".explore-1-{runs[0].id}-0123456789abcdef.duckdb"
    left = [cache / f"{name}.{ending}" for ending in ("1a2b3c4d.part", "1a2b3c4d.part.wal")]
    made_now = [cache / f"{name}.{ending}" for ending in ("5e6f7a8b.part", "5e6f7a8b.part.wal")]
    for path in (*left, *made_now):
        path.write_bytes(b"half")
    for path in left:
        os.utime(path, (time.time() - 90_000,) * 2)
    open_run(runs[0], discard)
    assert [path.exists() for path in (*left, *made_now)] == [False, False, True, True]
