"""What the form of a dataset suggests before anything is written."""

from pathlib import Path

import pytest

from app.data_form import _free_name, _name
from app.file_choice import ChosenFiles
from bioprune_core.workspace import Workspace


@pytest.mark.parametrize(
    ("file", "name"),
    [("RF.tRNA.fa.gz", "RF.tRNA"), ("mine.fasta", "mine"), ("GCF_5.2_ASM.fna", "GCF_5.2_ASM")],
)
def test_a_dataset_is_suggested_the_name_of_its_file_without_packing_and_format(
    served: Workspace, tmp_path: Path, file: str, name: str
) -> None:
    (tmp_path / file).write_text(">a\nACGU\n")
    project = served.create_project("p")
    assert _free_name(project, tmp_path / file) == name
    served.create_dataset(project, name, [tmp_path / file])
    assert _free_name(project, tmp_path / file) == f"{name} 2"


def test_a_folder_keeps_its_whole_name(served: Workspace, tmp_path: Path) -> None:
    (tmp_path / "set.fa").mkdir()
    assert _free_name(served.create_project("p"), tmp_path / "set.fa") == "set.fa"


def test_files_of_one_name_are_told_apart_by_their_folders_and_uploads_by_their_names(tmp_path: Path) -> None:
    files = [tmp_path / folder / "pool.fa" for folder in ("old", "new")]
    assert [_name(file, ChosenFiles((tmp_path,))) for file in files] == ["old/pool.fa", "new/pool.fa"]
    names = dict(zip(files, ("pool.fa (842 B)", "pool.fa (1.2 kB)"), strict=True))
    assert [_name(file, ChosenFiles(tuple(files), names=names)) for file in files] == list(names.values())
    assert _name(files[0], ChosenFiles((files[0],))) == "pool.fa"
