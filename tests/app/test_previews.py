import os
from pathlib import Path

from app.previews import look, sample_files
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
