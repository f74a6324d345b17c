import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets, beside the checkout unless BIOPRUNE_SHARED_DATA says otherwise."""
    folder = Path(os.environ.get("BIOPRUNE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not at {folder}; set BIOPRUNE_SHARED_DATA to their folder")
    return folder
