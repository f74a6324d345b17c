"""A table with sequences and labels is a task."""

from pathlib import Path

import pytest
from task_files import write_table

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.tasks import Part, TargetKind, read_own_task
from bioprune_core.tasks.readers.tabular import Columns

SEQUENCES = ["ACGU" * (number + 2) for number in range(60)]


def test_names_are_classes_and_the_parts_are_drawn_from_each(tmp_path: Path) -> None:
    rows = [f"{rna},{('a', 'b', 'b')[number % 3]}" for number, rna in enumerate(SEQUENCES)]
    own = read_own_task(write_table(tmp_path / "mine.csv", "seq,label", *rows), Alphabet.RNA)
    assert own.guessed == ("The labels are not all numbers: classification with 2 classes.",)
    assert own.data.task.metrics[0] == "auc"
    assert [len(own.data.parts[part]) for part in Part] == [48, 6, 6]
    assert all(set(own.data.parts[part].targets.tolist()) == {0, 1} for part in Part)
    assert len({rna for part in Part for rna in own.data.parts[part].sequences}) == 60


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([str(number % 3) for number in range(60)], TargetKind.CLASS),
        ([str(number) for number in range(60)], TargetKind.VALUE),
        ([f"{number % 3}.5" for number in range(60)], TargetKind.VALUE),
    ],
)
def test_the_kind_is_guessed_and_can_be_overridden(
    tmp_path: Path, labels: list[str], kind: TargetKind
) -> None:
    rows = [f"{rna},{label}" for rna, label in zip(SEQUENCES, labels, strict=True)]
    path = write_table(tmp_path / "mine.csv", "sequence,score", *rows)
    assert read_own_task(path, Alphabet.RNA).data.task.target is kind
    assert read_own_task(path, Alphabet.RNA, kind=TargetKind.VALUE).data.task.target is TargetKind.VALUE
    with pytest.raises(InputError, match="not pairs"):
        read_own_task(path, Alphabet.RNA, kind=TargetKind.PAIRS)


def test_columns_can_be_named_and_two_sequences_are_an_example(tmp_path: Path) -> None:
    rows = [
        f"{rna};{rna[::-1]};{number / 7};{('train', 'val', 'test')[number % 3]}"
        for number, rna in enumerate(SEQUENCES)
    ]
    path = write_table(tmp_path / "mine.csv", "left;right;energy;when", *rows)
    own = read_own_task(path, Alphabet.RNA, Columns("left", "energy", "right", "when"), name="binding")
    assert own.data.task.name == "binding"
    assert own.data.parts[Part.TEST].partners == tuple(
        rna[::-1] for rna in own.data.parts[Part.TEST].sequences
    )
    with pytest.raises(InputError, match="no column with the label; looked for energies"):
        read_own_task(path, Alphabet.RNA, Columns("left", "energies"))
