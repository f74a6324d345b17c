"""The sample data: made again it is what is committed, and it is what it claims to be."""

import csv
import gzip
import io
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bioprune_core.alphabet import Alphabet
from bioprune_core.demo.families import Family
from bioprune_core.demo.sample import (
    FASTA_FILE,
    SAMPLE,
    SAMPLE_TASK,
    STRUCTURES_FILE,
    TASK_FILE,
    Kind,
    SampleRecord,
    make_families,
    make_sample,
    make_task,
    write_sample,
)
from bioprune_core.tasks import Columns, OwnKind, Part, guess_kind, read_own_task

COMMITTED = SAMPLE.parent
CANONICAL = {"GC", "CG", "AU", "UA", "GU", "UG"}


@pytest.fixture(scope="module")
def records() -> list[SampleRecord]:
    return make_sample(0)


@pytest.fixture(scope="module")
def families() -> list[Family]:
    return make_families(Random(5))


def pairs(structure: str) -> list[tuple[int, int]]:
    opened: list[int] = []
    found = []
    for place, symbol in enumerate(structure):
        if symbol == "(":
            opened.append(place)
        elif symbol == ")":
            found.append((opened.pop(), place))
    assert not opened
    return found


def test_making_it_again_gives_what_is_committed(tmp_path: Path) -> None:
    write_sample(tmp_path, seed=0)
    assert (tmp_path / TASK_FILE).read_bytes() == SAMPLE_TASK.read_bytes()
    for name in (FASTA_FILE, STRUCTURES_FILE):
        # The text and not the bytes: versions of zlib pack differently.
        assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress(
            (COMMITTED / name).read_bytes()
        )


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    texts = []
    for folder, seed in (("first", 3), ("again", 3), ("other", 4)):
        texts.append([path.read_bytes() for path in write_sample(tmp_path / folder, seed)])
    assert texts[0] == texts[1]
    assert texts[0][0] != texts[2][0]


def test_it_is_large_and_varied_enough_and_packs_small(records: list[SampleRecord]) -> None:
    good = [record for record in records if not record.kind.is_junk]
    sizes = Counter(record.family for record in good)
    lengths = [len(record.sequence) for record in good]
    assert len({record.sequence for record in good}) >= 4_000
    assert len(sizes) >= 40
    assert max(sizes.values()) > 10 * sorted(sizes.values())[len(sizes) // 2]
    assert min(sizes.values()) < 40
    assert 30 <= min(lengths) <= 40
    assert 300 <= max(lengths) <= 400
    assert sum((COMMITTED / name).stat().st_size for name in (FASTA_FILE, STRUCTURES_FILE)) < 1_500_000


def test_the_task_is_read_as_it_stands_and_asks_for_every_family_in_every_part() -> None:
    kind, why = guess_kind(SAMPLE_TASK, Columns())
    assert kind is OwnKind.CLASSIFICATION, why
    task = read_own_task(SAMPLE_TASK, Alphabet.RNA).data
    assert len(task.task.classes) == 48
    assert set(task.parts) == set(Part)
    for examples in task.parts.values():
        assert set(np.unique(examples.targets)) == set(range(48))


def test_no_example_of_the_task_is_a_record_of_the_sample(records: list[SampleRecord]) -> None:
    sequences = [sequence for sequence, _, _ in make_task(0)]
    assert len(set(sequences)) == len(sequences)
    assert not set(sequences) & {record.sequence for record in records}


def test_every_kind_of_junk_is_there_and_is_what_it_is_called(records: list[SampleRecord]) -> None:
    by_kind = {kind: [record.sequence for record in records if record.kind is kind] for kind in Kind}
    assert all(by_kind.values())
    members = set(by_kind[Kind.MEMBER])
    assert len(members) == len(by_kind[Kind.MEMBER])
    assert set(by_kind[Kind.DUPLICATE]) <= members
    assert not members & set(by_kind[Kind.NEAR_DUPLICATE])
    assert all("NNNNNNNN" in sequence for sequence in by_kind[Kind.N_RUN])
    assert all(len(sequence) < 30 for sequence in by_kind[Kind.TOO_SHORT])
    assert all(sequence.islower() for sequence in by_kind[Kind.LOWER_CASE])
    assert all("T" in sequence and "U" not in sequence for sequence in by_kind[Kind.DNA_LETTERS])
    assert all(set(sequence) & set("XJZ?1") for sequence in by_kind[Kind.INVALID_LETTERS])
    for record in records:
        if not record.kind.is_junk:
            assert set(record.sequence) <= set("ACGU")


def test_structures_are_balanced_and_their_pairs_canonical(records: list[SampleRecord]) -> None:
    for record in records:
        if record.structure is None:
            assert record.kind.is_junk
            continue
        letters = record.sequence.upper().replace("T", "U")
        assert len(record.structure) == len(letters)
        paired = pairs(record.structure)
        assert len(paired) >= 3
        for first, second in paired:
            assert letters[first] + letters[second] in CANONICAL
            assert second - first > 3


def test_the_files_belong_together(records: list[SampleRecord]) -> None:
    fasta = gzip.decompress((COMMITTED / FASTA_FILE).read_bytes()).decode()
    headers = [line[1:] for line in fasta.splitlines() if line.startswith(">")]
    assert len(headers) == len(records) == len(set(headers))
    known = {header.split()[0]: header for header in headers}
    table = gzip.decompress((COMMITTED / STRUCTURES_FILE).read_bytes()).decode()
    rows = list(csv.DictReader(io.StringIO(table), delimiter="\t"))
    assert len(rows) == sum(record.structure is not None for record in records)
    for row in rows:
        assert known[row["id"]] == f"{row['id']} family={row['family']} kind={row['kind']}"


def test_stems_covary_and_loops_do_not(families: list[Family]) -> None:
    both_changed = stem_pairs = covarying = 0
    for family in families[:12]:
        columns = [dict(zip(member.sites, member.letters, strict=True)) for member in family.members]
        stems = [(site, other) for site, other in family.partners.items() if site < other]
        loops = [site for site in columns[0] if site not in family.partners]
        for first, second in stems:
            both_changed += any(
                column[first] != columns[0][first] and column[second] != columns[0][second]
                for column in columns
            )
        stem_pairs += len(stems)
        paired = sum(association(columns, first, second) for first, second in stems) / len(stems)
        unpaired = [association(columns, first, second) for first, second in pairwise(loops)]
        covarying += paired > 3 * sum(unpaired) / len(unpaired)
    assert both_changed / stem_pairs > 0.8
    assert covarying == 12


def association(columns: list[dict[int, str]], first: int, second: int) -> float:
    """Pearson's phi squared of two sites over the members that have both; 0 for independent sites."""
    present = [(column[first], column[second]) for column in columns if first in column and second in column]
    joint, left, right = Counter(present), Counter(a for a, _ in present), Counter(b for _, b in present)
    return sum(count * count / (left[a] * right[b]) for (a, b), count in joint.items()) - 1


def test_members_of_a_family_are_alike_and_never_equal(families: list[Family]) -> None:
    for family in families:
        assert len({member.letters for member in family.members}) == len(family.members)
        ancestor = dict(zip(family.members[0].sites, family.members[0].letters, strict=True))
        for member in family.members:
            letters = dict(zip(member.sites, member.letters, strict=True))
            shared = ancestor.keys() & letters.keys()
            assert sum(ancestor[site] == letters[site] for site in shared) / len(shared) > 0.5
