from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from query_rows import SIZE
from synthetic_run import open_synthetic_table, write_synthetic_run

from app import services
from bioprune_core.workspace import Workspace


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    # Parts of 4,096 rows: three of them, so that nothing depends on a single file.
    return open_synthetic_table(
        write_synthetic_run(tmp_path_factory.mktemp("run"), SIZE, part=4_096), threads=1
    )


@pytest.fixture(scope="session")
def rows(run: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    frame: pd.DataFrame = run.sql("SELECT * FROM scored JOIN pool USING (position) ORDER BY position").df()
    return frame


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """An empty workspace that the pages work on."""
    monkeypatch.setenv("BIOPRUNE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.delenv("BIOPRUNE_DATABASE_URL", raising=False)
    opened = (services.settings, services.workspace, services.jobs, services.uploads)
    for each in opened:
        each.cache_clear()
    yield services.workspace()
    if services.jobs.cache_info().currsize:
        services.jobs().close()
    services.workspace().close()
    for each in opened:
        each.cache_clear()
