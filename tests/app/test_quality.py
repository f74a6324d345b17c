"""The numbers of the quality page agree with each other."""

from dataclasses import replace
from pathlib import Path

import pytest

from app import quality
from app.components import KeyFigure
from bioprune_core.sequences import IngestOptions, ingest


def test_read_is_kept_and_dropped_and_duplicates_and_files_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.fasta").write_text(">one\nACGUACGU\n>empty\n>two\nGGGGCCCC\n")
    (tmp_path / "b.fasta").write_text(">again\nACGUACGU\n>three\nAAAACCCC\n>short\nAC\n")
    report = ingest(
        [tmp_path / "a.fasta", tmp_path / "b.fasta"], tmp_path / "out", IngestOptions(minimum_length=4)
    )
    shown: list[KeyFigure] = []
    monkeypatch.setattr(quality, "key_figures", shown.extend)
    quality.quality_figures(report, collapsed=True)
    figures = {figure.label: figure.value for figure in shown}
    assert figures["Records read"] == "6"
    assert figures["Kept"] == "3"
    assert figures["Dropped"] == "2" == str(sum(file.dropped for file in report.files))
    assert figures["Duplicates"] == "1"


@pytest.mark.parametrize(
    ("collapsed", "pool"), [(True, ("1", "all different")), (False, ("2", "equal ones kept"))]
)
def test_the_pool_is_all_different_only_where_equal_sequences_were_made_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collapsed: bool, pool: tuple[str, str]
) -> None:
    (tmp_path / "a.fasta").write_text(">one\nACGUACGU\n>again\nACGUACGU\n")
    shown: list[KeyFigure] = []
    monkeypatch.setattr(quality, "key_figures", shown.extend)
    report = ingest([tmp_path / "a.fasta"], tmp_path / "out", IngestOptions(deduplicate=collapsed))
    quality.quality_figures(report, collapsed)
    assert [(each.value, each.comment) for each in shown if each.label == "In the pool"] == [pool]


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [("f=(.)", ("2", "1 different label")), ("^(XX)", ("0", "no label found")), (None, None)],
)
def test_labels_are_counted_where_they_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str | None, shown: tuple[str, str] | None
) -> None:
    (tmp_path / "a.fasta").write_text(">one f=1\nACGUACGU\n>two f=1\nACGUACGA\n>three\nACGUACGG\n")
    figures: list[KeyFigure] = []
    monkeypatch.setattr(quality, "key_figures", figures.extend)
    report = ingest([tmp_path / "a.fasta"], tmp_path / "out", IngestOptions(label_pattern=pattern))
    quality.quality_figures(report, collapsed=True)
    found = [(each.value, each.comment) for each in figures if each.label == "With a label"]
    assert found == ([] if shown is None else [shown])
    figures.clear()
    quality.quality_figures(replace(report, labels=None), collapsed=True)
    assert "With a label" not in [each.label for each in figures], "a report of an earlier release"
