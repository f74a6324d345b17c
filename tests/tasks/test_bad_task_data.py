"""Faulty task data are refused with file, record, value and remedy."""

from pathlib import Path

import numpy as np
import pytest
from task_files import RNAS, write_table

from bioprune_core.errors import InputError
from bioprune_core.tasks import read_task

GOOD = [f"{rna},{number % 2}" for number, rna in enumerate(RNAS)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["ACGU,", "ACGG,1"], r"train.csv, record 1: the label is missing"),
        (
            ["ACGU,none", "ACGG,1"],
            r"record 1: .* missing \('none'\).*, or, where a class is called so, write",
        ),
        (["ACGU,NaN", "ACGG,1"], r"record 1: the label is missing \('NaN'\)"),
        (["ACGU,1", "ACGG,1"], r"all \d+ training examples have one class, '1'"),
        ([",1", "ACGG,0"], r"record 1: the sequence is empty"),
        (["MKVLQ,1", "ACGG,0"], r"record 1: 2 of 5 letters are not of the alphabet rna \(the first is 'L'\)"),
        (["ACGU,1,2", "ACGG,0"], r"record 1: 3 cells where the header has 2"),
        ([], r"has no rows"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path: Path, rows: list[str], sentence: str) -> None:
    write_table(tmp_path / "train.csv", "sequence,label", *rows)
    for part in ("valid", "test"):
        write_table(tmp_path / f"{part}.csv", "sequence,label", *GOOD)
    with pytest.raises(InputError, match=sentence):
        read_task("rna-type", tmp_path)


GOOD_LABELS = {"crispr-on-target": "0.5", "rna-structure": "(((...)))", "rbp": "bound"}


@pytest.mark.parametrize(
    ("task", "label", "sentence"),
    [
        ("crispr-on-target", "high", r"record 1: the label 'high' is no number"),
        ("crispr-on-target", "inf", r"record 1: the label is inf, not a finite number"),
        ("rna-structure", "((.))", r"the structure has 5 characters, the sequence 9 letters"),
        ("rna-structure", "(((...))(", r"place \d+ (is never closed|closes nothing)"),
        ("rna-structure", "(((..!)))", r"'!' at place 6 is no sign"),
        ("rbp", "maybe", r"'maybe' is none of its classes: unbound, bound"),
    ],
)
def test_a_label_that_does_not_fit_is_refused(tmp_path: Path, task: str, label: str, sentence: str) -> None:
    for part in ("train", "valid", "test"):
        rows = (f"GGGAAACCC,{label}", f"GGGAAACCC,{GOOD_LABELS[task]}")
        write_table(tmp_path / f"{part}.csv", "sequence,label", *rows)
    with pytest.raises(InputError, match=sentence):
        read_task(task, tmp_path)


def test_labels_of_another_length_than_the_sequence_are_refused(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        write_table(tmp_path / f"{part}.csv", "sequence,label", "MKVL,HEC")
    with pytest.raises(
        InputError, match=r"train.csv, record 1: the label has 3 signs, the sequence 4 letters"
    ):
        read_task("protein-structure", tmp_path)


def test_an_empty_part_is_named(tmp_path: Path) -> None:
    rows = [f"{row},train" for row in GOOD] + ["ACGU,1,later"]
    write_table(tmp_path / "data.csv", "sequence,label,split", *rows)
    with pytest.raises(InputError, match=r"record 7: the column split is 'later', which is no part"):
        read_task("rna-type", tmp_path)
    (tmp_path / "data.csv").unlink()
    write_table(tmp_path / "train.csv", "sequence,label", GOOD[0])
    with pytest.raises(InputError, match="the validation part has no example"):
        read_task("rna-type", tmp_path)


def test_a_column_that_is_missing_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", "rna,kind", "ACGU,1")
    with pytest.raises(InputError, match=r"no column with the sequence; looked for .*found rna, kind"):
        read_task("rna-type", tmp_path)


def test_strange_letters_are_replaced_one_for_one_and_counted(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        write_table(tmp_path / f"{part}.csv", "sequence,label", "ACGUACGUIA,(........)")
    data = read_task("rna-structure", tmp_path)
    assert all(examples.sequences == ("ACGUACGUNA",) for examples in data.parts.values())
    assert "In 3 sequences letters that are not rna became N" in data.source


@pytest.mark.parametrize("sequence", ["GGGAAA-CC", "GGGAAA CC", "GGGAAACC*"])
def test_letters_that_have_a_target_but_are_no_residues_are_refused(tmp_path: Path, sequence: str) -> None:
    for part in ("train", "valid", "test"):
        write_table(tmp_path / f"{part}.csv", "sequence,label", f"{sequence},(((...)))")
    with pytest.raises(InputError, match=r"train.csv, record 1: letter [79] of .* no residue.*Remove both"):
        read_task("rna-structure", tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00v\x00", b"no matrix"])
def test_a_matrix_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "contact_map").mkdir()
    write_table(tmp_path / "train.csv", "id,sequence", "a,GGGAAACCC")
    (tmp_path / "contact_map" / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"contact_map/a\.npy cannot be read"):
        read_task("contact-map", tmp_path)


def test_distance_maps_without_a_value_are_refused(tmp_path: Path) -> None:
    (tmp_path / "distance_map").mkdir()
    for number, part in enumerate(("train", "valid", "test")):
        write_table(tmp_path / f"{part}.csv", "id,sequence", f"{part},GGGAAACC{'ACG'[number]}")
        values = np.full((9, 9), np.nan if part == "valid" else 5.0, dtype=np.float32)
        np.save(tmp_path / "distance_map" / f"{part}.npy", values)
    with pytest.raises(InputError, match="none of the 1 maps of the validation part has a value"):
        read_task("distance-map", tmp_path)


TRAINED = ("ACGU,0.5", "ACGG,0.25", "ACGC,0.75")


@pytest.mark.parametrize(
    ("task", "part", "rows", "sentence"),
    [
        (
            "rna-type",
            "test",
            ("ACGU,0", "ACGG,0"),
            r"all 2 test examples have one class, '0', which tells no",
        ),
        ("rna-type", "valid", ("ACGU,1",), r"all 1 validation examples have one class, '1'"),
        (
            "rna-type",
            "test",
            ("ACGU,c", "ACGG,d"),
            r"no class of the test part .*: c, d, but 0, 1. Give both",
        ),
        ("crispr-on-target", "test", ("ACGU,0.5", "ACGG,0.5"), r"all 2 test examples have one value, '0.5'"),
        ("crispr-on-target", "valid", ("ACGU,2", "ACGG,2.0"), r"all 2 validation examples have one value"),
    ],
)
def test_parts_in_which_all_networks_score_alike_are_refused(
    tmp_path: Path, task: str, part: str, rows: tuple[str, ...], sentence: str
) -> None:
    for name in ("train", "valid", "test"):
        good = GOOD if task == "rna-type" else TRAINED
        write_table(tmp_path / f"{name}.csv", "sequence,label", *(rows if name == part else good))
    with pytest.raises(InputError, match=sentence):
        read_task(task, tmp_path)


def test_classes_that_nothing_is_trained_on_are_told(tmp_path: Path) -> None:
    for name, extra in (("train", ()), ("valid", ("ACGUA,7",)), ("test", ("ACGUA,7", "ACGGA,8"))):
        write_table(tmp_path / f"{name}.csv", "sequence,label", *GOOD, *extra)
    assert read_task("rna-type", tmp_path).source.endswith("Classes that no training example has: 7, 8.")


@pytest.mark.parametrize("sign", ["-", "_", "."])
def test_signs_that_stand_for_coil_are_not_taken_for_unscored(tmp_path: Path, sign: str) -> None:
    """DSSP writes coil as a blank or "-", JPred's files as "-" or "_"."""
    for part in ("train", "valid", "test"):
        write_table(tmp_path / f"{part}.csv", "sequence,label", f"MKVLAG,HHE{sign}EH", "MKVLAA,HHEECH")
    data = read_task("protein-structure", tmp_path)
    assert "Of 12 residues of the test part 1 are not scored." in data.source
    write_table(tmp_path / "test.csv", "sequence,label", f"MKVLAG,HHE{sign}EH")
    with pytest.raises(InputError, match=r"1 of 6 residues of the test part .*none is C\. .*write C instead"):
        read_task("protein-structure", tmp_path)
