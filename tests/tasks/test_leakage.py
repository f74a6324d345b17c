"""Sequences of the test part that were seen before are found and left out."""

from dataclasses import replace

import numpy as np
import pytest

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences.near_identity import NEAR, near_duplicate_clusters, near_identical
from bioprune_core.tasks import Examples, Part, TargetKind, Task, TaskData, measure_leakage, without_leaks

RANDOM = np.random.default_rng(4)


def random_rna(length: int) -> str:
    return "".join(RANDOM.choice(list("ACGU"), length))


def substituted(sequence: str, count: int) -> str:
    """With evenly spread substitutions."""
    letters = list(sequence)
    for place in np.linspace(0, len(letters) - 1, count + 2)[1:-1].astype(int):
        letters[place] = "ACGU"["CGUA".index(letters[place])]
    return "".join(letters)


def jaccard(one: str, other: str, k: int = 8) -> float:
    sets = [{text[start : start + k] for start in range(len(text) - k + 1)} for text in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_near_identity_is_the_jaccard_index_of_the_definition() -> None:
    references = [random_rna(120) for _ in range(60)]
    queries = [substituted(references[n], n % 12) for n in range(60)] + [random_rna(120) for _ in range(40)]
    wanted = [max(jaccard(query, reference) for reference in references) for query in queries]
    # Away from the bound, where the sketches decide.
    clear = np.abs(np.array(wanted) - NEAR) > 0.05
    found = near_identical(queries, references, Alphabet.RNA)
    assert (found == (np.array(wanted) >= NEAR))[clear].all()
    assert 10 < found.sum() < 60


def test_a_query_shorter_than_a_word_is_compared_as_a_whole() -> None:
    assert near_identical(["ACG", "ACU"], ["ACG", random_rna(50)], Alphabet.RNA).tolist() == [True, False]
    assert near_identical(["ACG"], [], Alphabet.RNA).tolist() == [False]


def test_clusters_are_chains_of_near_identical_sequences() -> None:
    families = [random_rna(150) for _ in range(12)]
    sequences = [substituted(family, count) for family in families for count in (0, 1, 2, 3)]
    order = RANDOM.permutation(len(sequences))
    clusters = near_duplicate_clusters([sequences[place] for place in order], Alphabet.RNA)
    found = {frozenset(np.flatnonzero(clusters == name).tolist()) for name in set(clusters.tolist())}
    wanted = {frozenset(np.flatnonzero(order // 4 == family).tolist()) for family in range(12)}
    assert found == wanted


def data_of(train: list[str], validation: list[str], test: list[str]) -> TaskData:
    task = Task("trial", "Trial", Alphabet.RNA, TargetKind.VALUE, ("mse",))
    parts = {
        part: Examples(
            tuple(texts), None, np.arange(len(texts), dtype=float), tuple(map(str, range(len(texts))))
        )
        for part, texts in zip(Part, (train, validation, test), strict=True)
    }
    return TaskData(task, parts, "Made here.")


def test_leaks_are_counted_and_left_out() -> None:
    test = [random_rna(100) for _ in range(5)]
    train = [test[0], substituted(test[1], 2), *[random_rna(100) for _ in range(6)]]
    data = data_of(train, [random_rna(100), test[2], random_rna(100)], test)
    found = measure_leakage(data)
    assert (found.examples, found.identical, found.near) == (11, 2, 1)
    clean = without_leaks(data)
    assert [len(clean.parts[part]) for part in Part] == [6, 2, 5]
    found = measure_leakage(clean)
    assert (found.examples, found.identical, found.near) == (8, 0, 0)
    assert "3 examples near-identical" in clean.source


def test_a_pair_is_a_leak_where_both_sequences_are() -> None:
    test = [random_rna(100) for _ in range(4)]
    task = Task("trial", "Trial", Alphabet.RNA, TargetKind.VALUE, ("mse",), partners=True)
    pairs = {
        Part.TRAIN: [
            (test[0], test[1]),
            (test[0], random_rna(100)),
            (substituted(test[2], 1), test[3]),
            (random_rna(100), test[1]),
        ],
        Part.VALIDATION: [(random_rna(100), random_rna(100)) for _ in range(2)],
        Part.TEST: [(test[0], test[2]), (test[1], test[3])],
    }
    parts = {
        part: Examples(*zip(*of, strict=True), np.arange(len(of), dtype=float), ("",) * len(of))
        for part, of in pairs.items()
    }
    data = TaskData(task, parts, "Made here.")
    found = measure_leakage(data)
    assert (found.examples, found.identical, found.near) == (6, 1, 1)
    assert len(without_leaks(data).parts[Part.TRAIN]) == 2


def test_a_part_is_not_emptied() -> None:
    test = [random_rna(100)]
    with pytest.raises(InputError, match="all 1 examples of the validation part"):
        without_leaks(data_of([random_rna(100)], test, test))


def test_a_part_is_not_left_with_one_class_or_value() -> None:
    test = [random_rna(100) for _ in range(3)]
    leaking, clean = [random_rna(100), *test], [random_rna(100) for _ in range(3)]
    with pytest.raises(InputError, match=r"all 1 validation examples have one value, '0.0'.*were left out"):
        without_leaks(data_of(clean, leaking, test))
    data = data_of(leaking, clean, test)
    task = replace(data.task, target=TargetKind.CLASS, metrics=("accuracy",), classes=("a", "b", "c", "d"))
    parts = {part: replace(of, targets=of.targets.astype(np.int64)) for part, of in data.parts.items()}
    with pytest.raises(InputError, match=r"all 1 training examples have one class, 'a'.*were left out: keep"):
        without_leaks(replace(data, task=task, parts=parts))
