"""A table with sequences and labels is a task."""

from pathlib import Path

import pytest
from task_files import write_table

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.tasks import (
    Columns,
    OwnKind,
    Part,
    TargetKind,
    content_hash,
    guess_kind,
    read_header,
    read_own_task,
    read_table,
    usual_columns,
)

SEQUENCES = ["ACGU" * (number + 2) for number in range(60)]


def test_names_are_classes_and_the_parts_are_drawn_from_each(tmp_path: Path) -> None:
    rows = [f"{rna},{('a', 'b', 'b')[number % 3]}" for number, rna in enumerate(SEQUENCES)]
    own = read_own_task(write_table(tmp_path / "mine.csv", "seq,label", *rows), Alphabet.RNA)
    assert own.guessed == (
        'sequences from the column "seq"',
        'labels from the column "label"',
        "classification with 2 classes, as the labels are not all numbers",
    )
    assert own.data.task.metrics[0] == "auc"
    assert [len(own.data.parts[part]) for part in Part] == [48, 6, 6]
    assert all(set(own.data.parts[part].targets.tolist()) == {0, 1} for part in Part)
    assert len({rna for part in Part for rna in own.data.parts[part].sequences}) == 60


@pytest.mark.parametrize(
    ("labels", "kind", "why"),
    [
        (
            [str(number % 3) for number in range(60)],
            OwnKind.CLASSIFICATION,
            "classification, as the labels are 3 different whole numbers",
        ),
        (
            [str(number % 26) for number in range(60)],
            OwnKind.REGRESSION,
            "regression, as the labels are 26 different numbers",
        ),
        (
            [f"{number % 3}.5" for number in range(60)],
            OwnKind.REGRESSION,
            "regression, as the labels are 3 different numbers",
        ),
    ],
)
def test_the_kind_is_guessed_and_can_be_overridden(
    tmp_path: Path, labels: list[str], kind: OwnKind, why: str
) -> None:
    rows = [f"{rna},{label}" for rna, label in zip(SEQUENCES, labels, strict=True)]
    path = write_table(tmp_path / "mine.csv", "sequence,affinity", *rows)
    guessed, targets = read_own_task(path, Alphabet.RNA), {}
    assert usual_columns(read_header(path)) == Columns("sequence", "affinity")
    assert guess_kind(path) == (kind, why) == (kind, guessed.guessed[-1])
    for asked in OwnKind:
        own = read_own_task(path, Alphabet.RNA, kind=asked)
        assert own.guessed == guessed.guessed[:-1]
        targets[asked] = own.data.task.target
        assert (content_hash(own.data) == content_hash(guessed.data)) is (asked is kind)
    assert targets == {OwnKind.CLASSIFICATION: TargetKind.CLASS, OwnKind.REGRESSION: TargetKind.VALUE}


def test_columns_can_be_named_and_two_sequences_are_an_example(tmp_path: Path) -> None:
    rows = [
        f"{rna};{rna[::-1]};{number / 7};{('train', 'val', 'test')[number % 3]}"
        for number, rna in enumerate(SEQUENCES)
    ]
    path = write_table(tmp_path / "mine.csv", "left;right;energy;when", *rows)
    own = read_own_task(path, Alphabet.RNA, Columns("left", "energy", "right", "when"), name="binding")
    assert own.data.task.name == "binding"
    assert own.guessed == ("regression, as the labels are 60 different numbers",)
    header = read_header(path)
    assert header.columns == ("left", "right", "energy", "when")
    assert usual_columns(header) == Columns()
    assert own.data.parts[Part.TEST].partners == tuple(
        rna[::-1] for rna in own.data.parts[Part.TEST].sequences
    )
    with pytest.raises(InputError, match="no column with the label; looked for energies"):
        read_own_task(path, Alphabet.RNA, Columns("left", "energies"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "mine.csv has no header row"),
        (b"x" * 3_000_000, "its first line has more than 1,048,576 letters"),
        (b"\xff\xfe\nACGU,1\n", "is no text in UTF-8"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_header(path)


def test_a_split_is_guessed_where_a_value_names_a_part_and_can_be_declined(tmp_path: Path) -> None:
    def table(name: str, *values: str) -> Path:
        rows = [f"{rna},{number}.5,{values[number % len(values)]}" for number, rna in enumerate(SEQUENCES)]
        return write_table(tmp_path / "mine.csv", f"sequence,label,{name}", *rows)

    drawn = read_own_task(table("set", "0", "1"), Alphabet.RNA)
    assert usual_columns(read_table(tmp_path / "mine.csv")).split is None
    assert not any("split" in phrase for phrase in drawn.guessed)
    assert "The test part was drawn" in drawn.data.source
    path = table("Set", "train", "test", "valid")
    named = read_own_task(path, Alphabet.RNA)
    assert [len(named.data.parts[part]) for part in Part] == [20, 20, 20]
    assert 'split from the column "Set"' in named.guessed
    declined = read_own_task(path, Alphabet.RNA, Columns(split=""))
    assert [len(declined.data.parts[part]) for part in Part] == [49, 5, 6]
    assert not any("split" in phrase for phrase in declined.guessed)
    # One strange value among parts is told, and so is one in a column that was named.
    for columns, wrong in ((None, table("set", "train", "test", "vaild")), (Columns(split="fold"), None)):
        path = wrong or table("fold", "0", "1")
        with pytest.raises(InputError, match=r"which is no part.* have split = \"\""):
            read_own_task(path, Alphabet.RNA, columns)


def test_a_column_is_found_as_it_is_written_before_its_case_is_ignored(tmp_path: Path) -> None:
    rows = [f"{rna},{number % 2},{'xyz'[number % 3]}" for number, rna in enumerate(SEQUENCES)]
    path = write_table(tmp_path / "mine.csv", "Sequence,Label, label", *rows)
    for asked, classes in (("label", ("x", "y", "z")), ("Label", ("0", "1")), ("LABEL", ("0", "1"))):
        data = read_own_task(path, Alphabet.RNA, Columns(label=asked)).data
        assert data.task.classes == classes


def test_digits_with_an_underscore_are_no_number(tmp_path: Path) -> None:
    rows = [f"{rna},{number % 2}_{number // 2 % 2}" for number, rna in enumerate(SEQUENCES)]
    path = write_table(tmp_path / "mine.csv", "sequence,label", *rows)
    assert guess_kind(path)[0] is OwnKind.CLASSIFICATION
    with pytest.raises(InputError, match="the label '0_0' is no number"):
        read_own_task(path, Alphabet.RNA, kind=OwnKind.REGRESSION)


@pytest.mark.parametrize("strange", ["--5", "²"])
def test_classes_that_only_look_like_numbers_are_sorted_as_names(tmp_path: Path, strange: str) -> None:
    rows = [f"{rna},{('-3', strange)[number % 2]}" for number, rna in enumerate(SEQUENCES)]
    own = read_own_task(write_table(tmp_path / "mine.csv", "sequence,label", *rows), Alphabet.RNA)
    assert own.data.task.classes == tuple(sorted(("-3", strange)))


def test_classes_of_one_example_each_leave_nothing_to_draw(tmp_path: Path) -> None:
    rows = [f"{rna},{number}" for number, rna in enumerate(SEQUENCES)]
    path = write_table(tmp_path / "mine.csv", "seq,label", *rows)
    with pytest.raises(InputError, match=r"the validation part has no example.*labels are to be numbers"):
        read_own_task(path, Alphabet.RNA, kind=OwnKind.CLASSIFICATION)


def test_whole_numbers_are_the_classes_that_were_announced_however_they_are_written(tmp_path: Path) -> None:
    rows = [f"{rna},{('0', '1', '1.0', '0.0')[number % 4]}" for number, rna in enumerate(SEQUENCES)]
    own = read_own_task(write_table(tmp_path / "mine.csv", "seq,label", *rows), Alphabet.RNA)
    assert own.guessed[-1] == "classification, as the labels are 2 different whole numbers"
    assert own.data.task.classes == ("0", "1")
    assert own.data.task.metrics[0] == "auc"


def test_of_small_classes_each_part_has_one_example(tmp_path: Path) -> None:
    rows = [f"{rna},{'abcdefghij'[number % 10]}" for number, rna in enumerate(SEQUENCES[:40])]
    own = read_own_task(write_table(tmp_path / "mine.csv", "seq,label", *rows), Alphabet.RNA)
    assert [len(own.data.parts[part]) for part in Part] == [20, 10, 10]
