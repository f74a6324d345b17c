from pathlib import Path

from app.previews import look
from bioprune_core.sequences import IngestOptions


def test_a_file_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.fasta"
    path.write_text(">a\nACGU\n")
    before = look(path, IngestOptions())
    path.write_text(">a\nACGUACGU\n")
    after = look(path, IngestOptions())
    assert [each.records[0].length for each in (before, after)] == [4, 8]
