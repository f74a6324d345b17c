import os
from pathlib import Path
from typing import Any

import pytest

from app.previews import look, sample_files
from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions


def test_a_file_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.fasta"
    path.write_text(">a\nACGU\n")
    before = look(path, IngestOptions())
    path.write_text(">a\nACGUACGU\n")
    after = look(path, IngestOptions())
    assert [each.records[0].length for each in (before, after)] == [4, 8]


def test_a_file_whose_name_no_page_can_carry_is_not_offered(tmp_path: Path) -> None:
    for name in (b"caf\xe9.fa", "café.fa".encode()):
        Path(tmp_path, os.fsdecode(name)).write_text(">a\nACGU\n")
    assert [file.name for file in sample_files([tmp_path])] == ["café.fa"]


def test_a_folder_that_cannot_be_entered_is_said_by_its_files_and_one_that_cannot_be_listed_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    for file in (tmp_path / "open.fa", closed / "inside.fa"):
        file.write_text(">a\nACGU\n")
    stat, scandir = Path.stat, os.scandir

    def refused(path: Any) -> PermissionError:
        return PermissionError(13, "Permission denied", str(path))

    # The tests may run as root, whom no permission stops.
    def enter(path: Path, **how: bool) -> os.stat_result:
        if closed in path.parents:
            raise refused(path)
        return stat(path, **how)

    def listed(path: Any) -> Any:
        if Path(path) == closed:
            raise refused(path)
        return scandir(path)

    monkeypatch.setattr(Path, "stat", enter)
    assert sample_files([tmp_path]) == [closed / "inside.fa", tmp_path / "open.fa"]
    with pytest.raises(InputError, match=r"inside\.fa cannot be read"):
        look(closed / "inside.fa", IngestOptions())
    monkeypatch.setattr(os, "scandir", listed)
    with pytest.raises(InputError, match="closed cannot be read: Permission denied"):
        sample_files([tmp_path])
