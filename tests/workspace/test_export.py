import gzip
import io
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from workspace_samples import SEQUENCES, random_sequences, sample_project

from bioprune_core.errors import ConflictError, InputError, StorageError
from bioprune_core.selection import SelectionConfig
from bioprune_core.workspace import (
    Coreset,
    ExportFormat,
    Run,
    Workspace,
    export_coreset,
    export_scores,
    stream_coreset,
    stream_scores,
)


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path) -> Run:
    return sample_project(workspace, tmp_path / "sample.fa")[3]


@pytest.fixture
def coreset(workspace: Workspace, run: Run) -> Coreset:
    return workspace.create_coreset(run, "small", SelectionConfig(prune_rate=Decimal(70), seed=1))


def exported(workspace: Workspace, coreset: Coreset, file_format: str) -> bytes:
    stream = io.BytesIO()
    export_coreset(workspace, coreset, file_format, stream)
    return stream.getvalue()


def positions(workspace: Workspace, coreset: Coreset) -> list[int]:
    members = pq.read_table(workspace.directory(coreset) / "members.parquet")
    found: list[int] = members["position"].to_pylist()
    return found


def test_fasta_has_id_description_and_sequence_in_the_order_of_the_pool(
    workspace: Workspace, coreset: Coreset
) -> None:
    sequences = random_sequences()
    expected = "".join(
        f">seq{row}{'' if row % 3 else f' sample, number {row}'}\n{sequences[row]}\n"
        for row in positions(workspace, coreset)
    )
    assert exported(workspace, coreset, "fasta").decode() == expected
    packed = exported(workspace, coreset, "fasta.gz")
    assert gzip.decompress(packed).decode() == expected
    assert packed[4:8] == b"\0\0\0\0"  # No time: equal content, equal bytes.


def test_ids_are_one_a_line(workspace: Workspace, coreset: Coreset) -> None:
    lines = exported(workspace, coreset, "ids").decode().splitlines()
    assert lines == [f"seq{row}" for row in positions(workspace, coreset)]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_tables_have_the_columns_of_pool_and_scores(
    workspace: Workspace, coreset: Coreset, run: Run, file_format: str
) -> None:
    data = exported(workspace, coreset, file_format)
    reader = pq.read_table if file_format == "parquet" else pyarrow.csv.read_csv
    table = reader(io.BytesIO(data))
    assert set(table.column_names) == {
        *("position", "id", "description", "label", "source", "length", "duplicates", "hash", "sequence"),
        *("influence", "loss", "tokens", "gradient_norm"),
    }
    rows = positions(workspace, coreset)
    assert table["position"].to_pylist() == rows
    assert table["sequence"].to_pylist() == [random_sequences()[row] for row in rows]
    scores = pq.read_table(workspace.directory(run) / "scores")
    assert table["influence"].to_pylist() == [scores["influence"][row].as_py() for row in rows]


@pytest.mark.parametrize("file_format", list(ExportFormat))
def test_stream_file_and_repetition_are_the_same_bytes(
    workspace: Workspace, coreset: Coreset, tmp_path: Path, file_format: ExportFormat
) -> None:
    output = tmp_path / f"out{file_format.suffix}"
    export_coreset(workspace, coreset, file_format, output)
    data = output.read_bytes()
    assert data
    assert data == exported(workspace, coreset, file_format)
    assert data == b"".join(stream_coreset(workspace, coreset, file_format))
    assert list(tmp_path.glob(".*")) == []


def test_scores_are_exported_with_id_label_and_length(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    export_scores(workspace, run, tmp_path / "scores.parquet")
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names == [
        *("id", "position", "hash", "influence", "loss", "tokens", "gradient_norm", "length", "label")
    ]
    assert table["id"].to_pylist() == [f"seq{row}" for row in range(SEQUENCES)]
    assert b"".join(stream_scores(workspace, run)) == (tmp_path / "scores.parquet").read_bytes()
    export_scores(workspace, run, tmp_path / "scores.csv", "csv")
    assert (tmp_path / "scores.csv").read_text().count("\n") == SEQUENCES + 1
    with pytest.raises(InputError, match="Choose parquet or csv"):
        export_scores(workspace, run, tmp_path / "scores.fa", "fasta")


def test_an_unknown_format_is_refused_with_the_known_ones(workspace: Workspace, coreset: Coreset) -> None:
    with pytest.raises(InputError, match=r"fasta, fasta\.gz, csv, parquet, ids"):
        exported(workspace, coreset, "docx")


def test_a_pool_that_was_exchanged_is_noticed(workspace: Workspace, coreset: Coreset, run: Run) -> None:
    parts = sorted((workspace.layout.dataset(run.dataset_id) / "sequences").glob("*.parquet"))
    table = pq.read_table(parts[0])
    hashes = pa.array(table["hash"].to_pylist()[::-1], pa.uint64())
    swapped = table.set_column(table.schema.get_field_index("hash"), "hash", hashes)
    pq.write_table(swapped, parts[0], row_group_size=64)
    with pytest.raises(StorageError, match="not the one it was selected from"):
        exported(workspace, coreset, "fasta")


def test_a_missing_part_is_noticed(workspace: Workspace, coreset: Coreset, run: Run) -> None:
    parts = sorted((workspace.layout.dataset(run.dataset_id) / "sequences").glob("*.parquet"))
    parts[1].unlink()
    with pytest.raises(StorageError, match=r"was expected|do not belong together"):
        exported(workspace, coreset, "fasta")


def test_a_failed_export_leaves_no_file(
    workspace: Workspace, coreset: Coreset, run: Run, tmp_path: Path
) -> None:
    part = sorted((workspace.layout.dataset(run.dataset_id) / "sequences").glob("*.parquet"))[-1]
    data = part.read_bytes()
    part.write_bytes(data[:100] + b"\0" * 400 + data[500:])
    output = tmp_path / "out.fasta"
    with pytest.raises(StorageError):
        export_coreset(workspace, coreset, "fasta", output)
    assert not output.exists()


def test_unfinished_scores_are_not_exported(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    (workspace.directory(run) / "manifest.json").unlink()
    with pytest.raises(ConflictError, match="not finished"):
        export_scores(workspace, run, tmp_path / "scores.parquet")
