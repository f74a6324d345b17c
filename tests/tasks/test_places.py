"""Where a task's files lie: all parts in one folder, the given one or one below."""

import re
from pathlib import Path

import pytest
from task_files import RNAS, write_table

from bioprune_core.errors import InputError, MissingFileError
from bioprune_core.tasks import Part, read_task

ROWS = [f"{rna},{number % 2}" for number, rna in enumerate(RNAS * 4)]


def write_parts(folder: Path, *parts: str) -> None:
    for part in parts:
        write_table(folder / f"{part}.csv", "sequence,label", *ROWS)


def write_bpseq(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "rna.bpseq").write_text("1 G 3\n2 A 0\n3 C 1\n")


def test_parts_are_read_from_the_folder_of_the_training_part(tmp_path: Path) -> None:
    write_parts(tmp_path / "set", "train", "valid", "test")
    source = "Tables of train, validation, test."
    assert read_task("rna-type", tmp_path).source == read_task("rna-type", tmp_path / "set").source == source
    # Where files lie in the folder itself, those below with the same parts are other data.
    write_parts(tmp_path, "train", "valid", "test")
    write_table(tmp_path / "test.csv", "sequence,label", *ROWS[:4])
    assert len(read_task("rna-type", tmp_path).parts[Part.TEST]) == 4


@pytest.mark.parametrize(("trained", "tested"), [(".", "old"), ("new", "old"), ("new", ".")])
def test_parts_of_different_folders_are_not_put_together(tmp_path: Path, trained: str, tested: str) -> None:
    write_parts(tmp_path / trained, "train")
    write_parts(tmp_path / tested, "test")
    places = (re.escape(str(tmp_path / place)) for place in (trained, tested))
    with pytest.raises(InputError, match="train on in {} and the test part in {}. Put".format(*places)):
        read_task("rna-type", tmp_path)


def test_several_folders_to_train_on_are_refused(tmp_path: Path) -> None:
    for place in ("a/train", "b/train", "b/test"):
        write_bpseq(tmp_path / place)
    with pytest.raises(InputError, match=r"data to train on in several folders: a, b\. Give the folder"):
        read_task("rna-structure", tmp_path)
    for place in ("a", "b"):
        write_parts(tmp_path / place, "train", "valid", "test")
        (tmp_path / place / "contact_map").mkdir()
    with pytest.raises(InputError, match=r"several folders contact_map: a/contact_map, b/contact_map"):
        read_task("contact-map", tmp_path)


def test_a_part_that_is_there_packed_and_not_is_refused(tmp_path: Path) -> None:
    write_parts(tmp_path, "train", "valid", "test")
    (tmp_path / "test.csv.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"several files test\.csv: test\.csv, test\.csv\.gz"):
        read_task("rna-type", tmp_path)


def test_the_sites_of_a_protein_may_lie_one_folder_deeper(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    text = "".join(f">s{number} class:{number % 2}\n{rna}\n" for number, rna in enumerate(RNAS))
    (tmp_path / "deep" / "FUS.train.fa").write_text(text * 3)
    (tmp_path / "deep" / "FUS.test.fa").write_text(">t class:0\nACGUACGU\n>u class:1\nACGGACGG\n")
    assert len(read_task("rbp", tmp_path).parts[Part.TEST]) == 2


def write_spot(folder: Path) -> Path:
    """SPOT-RNA-2D's layout, unpacked; returns the folder of the sequences."""
    sequences, maps = folder / "all_sequences", folder / "distance_contact_labels"
    sequences.mkdir()
    maps.mkdir()
    for number, name in enumerate(("TR", "VL", "TS1", "TS2", "TS3")):
        (folder / f"{name}_ids").write_text(f"{name}x\n")
        (sequences / f"{name}x").write_text(f">{name}x\n{RNAS[number]}\n")
        row = "\t".join("0" * len(RNAS[number]))
        (maps / f"{name}x.true").write_text("\n".join([row] * len(RNAS[number])))
    return sequences


def test_what_a_system_leaves_among_the_files_is_passed_over(tmp_path: Path) -> None:
    sequences = write_spot(tmp_path)
    (sequences / "more").mkdir()
    (sequences / ".DS_Store").write_bytes(b"\x00\x01Bud1\xff\xfe")
    assert [len(read_task("contact-map", tmp_path).parts[part]) for part in Part] == [1, 1, 3]


@pytest.mark.parametrize(
    ("place", "content", "sentence"),
    [
        ("all_sequences/TRx", b"\xff\xfe", r"TRx is no text in UTF-8"),
        ("all_sequences/TRx", b"", r"TRx of all_sequences is no FASTA"),
        ("distance_contact_labels/TRx.true", b"none", r"TRx.true is no matrix of numbers"),
    ],
)
def test_faulty_files_among_many_are_named(tmp_path: Path, place: str, content: bytes, sentence: str) -> None:
    write_spot(tmp_path)
    (tmp_path / place).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_task("contact-map", tmp_path)


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"There is no folder .*absent"):
        read_task("rna-type", tmp_path / "absent")
