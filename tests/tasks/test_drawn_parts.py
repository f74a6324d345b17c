"""Parts drawn here share no sequence; those that data define, and draws without repeats, stay as ever."""

from pathlib import Path

import pytest
from task_files import write_table

from bioprune_core.alphabet import Alphabet
from bioprune_core.tasks import Part, content_hash, read_own_task
from bioprune_core.tasks.readers.tabular import Columns

SEQUENCES = ["ACGU" * (number + 2) for number in range(60)]


def test_a_table_of_distinct_sequences_is_divided_as_ever(tmp_path: Path) -> None:
    # Cells are kept by these hashes.
    for labels, kept in (
        ([("a", "b", "b")[number % 3] for number in range(60)], "96e09772b835023f"),
        ([f"{number}.5" for number in range(60)], "69e314def74e9af3"),
    ):
        rows = [f"{rna},{label}" for rna, label in zip(SEQUENCES, labels, strict=True)]
        own = read_own_task(write_table(tmp_path / "mine.csv", "seq,label", *rows), Alphabet.RNA)
        assert content_hash(own.data).startswith(kept)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_parts_that_are_drawn_share_no_sequence(tmp_path: Path, paired: bool, seed: int) -> None:
    # Every sequence three times, with other labels, and of pairs in both orders.
    rows = []
    for number in range(180):
        one, other = SEQUENCES[number % 60], SEQUENCES[number % 60][::-1]
        one, other = (one, other) if number % 2 else (other, one)
        rows.append(f"{one if paired else SEQUENCES[number % 60]},{other},{('a', 'b')[number // 7 % 2]}")
    path = write_table(tmp_path / "mine.csv", "sequence,second,label", *rows)
    columns = Columns(partner="second" if paired else None)
    data = read_own_task(path, Alphabet.RNA, columns, seed=seed).data
    drawn = []
    for part in Part:
        examples = data.parts[part]
        partners = examples.partners or examples.sequences
        drawn.append(set(map(frozenset, zip(examples.sequences, partners, strict=True))))
    assert sum(map(len, drawn)) == 60
    assert [len(of) for of in drawn] == [49, 5, 6]
    assert sum(len(examples) for examples in data.parts.values()) == 180
    assert "equal sequences together" in data.source


def test_a_named_validation_part_loses_what_is_drawn_to_test(tmp_path: Path) -> None:
    rows = [f"{rna},{number}.5,{part}" for part in ("train", "valid") for number, rna in enumerate(SEQUENCES)]
    data = read_own_task(write_table(tmp_path / "mine.csv", "seq,label,split", *rows), Alphabet.RNA).data
    assert [len(data.parts[part]) for part in Part] == [54, 54, 6]
    assert not set(data.parts[Part.TEST].sequences) & set(data.parts[Part.VALIDATION].sequences)
    assert data.source.endswith(
        "6 examples whose sequences are in the test part were left out of the others."
    )


def test_parts_that_the_table_names_stay_as_they_are(tmp_path: Path) -> None:
    rows = [f"{SEQUENCES[number % 20]},{number}.5,{('train', 'test')[number % 2]}" for number in range(60)]
    data = read_own_task(write_table(tmp_path / "mine.csv", "seq,label,split", *rows), Alphabet.RNA).data
    assert [len(data.parts[part]) for part in Part] == [27, 3, 30]
    assert "together" not in data.source
