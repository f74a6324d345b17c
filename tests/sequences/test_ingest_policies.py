"""What normalisation and the policies do to letters and records, and that the report says so."""

from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences import AmbiguousPolicy, IngestOptions, LengthPolicy, QualityReport, ingest
from bioprune_core.sequences.windows import window_starts


def run(tmp_path: Path, text: str, options: IngestOptions) -> tuple[QualityReport, dict[str, str]]:
    """The report, and the sequences of the pool by id."""
    (tmp_path / "in.fa").write_text(text)
    report = ingest(tmp_path / "in.fa", tmp_path / "dataset", options)
    table = pq.read_table(tmp_path / "dataset" / "sequences")
    return report, dict(zip(table["id"].to_pylist(), table["sequence"].to_pylist(), strict=True))


def changes(report: QualityReport) -> dict[str, int]:
    return {str(reason): count.count for reason, count in report.changed.items()}


def drops(report: QualityReport) -> dict[str, int]:
    return {str(reason): count.count for reason, count in report.dropped.items()}


def test_letters_become_those_of_the_alphabet(tmp_path: Path) -> None:
    text = ">low\nacgu\n>dna\nACGTT\n>gaps\nAC-G.U A\n>mixed\nacTu-G\n>stop\nACGGG*\n"
    report, pool = run(tmp_path, text, IngestOptions(alphabet=Alphabet.RNA))
    assert pool == {"low": "ACGU", "dna": "ACGUU", "gaps": "ACGUA", "mixed": "ACUUG", "stop": "ACGGG"}
    assert changes(report) == {
        "upper-cased": 2,
        "thymine-uracil-converted": 2,
        "gaps-removed": 2,
        "trailing-stop-removed": 1,
    }


def test_dna_reads_u_as_t(tmp_path: Path) -> None:
    report, pool = run(tmp_path, ">a\nACGU\n>b\nacgt\n", IngestOptions(alphabet=Alphabet.DNA))
    assert pool == {"a": "ACGT"}
    assert report.dropped["duplicate"].count == 1


def test_proteins_keep_their_rare_residues_and_lose_their_stop(tmp_path: Path) -> None:
    text = ">a\nMKVU*\n>b\nMK*V\n>c\nmkvx\n>d\nMKVJ-\n"
    report, pool = run(tmp_path, text, IngestOptions(alphabet=Alphabet.PROTEIN))
    assert pool == {"a": "MKVU", "c": "MKVX", "d": "MKVJ"}
    assert report.dropped["letters-outside-alphabet"].examples[0].detail == (
        "'*' at letter 3 is not in the PROTEIN alphabet"
    )


AMBIGUOUS = ">plain\nACGU\n>n\nACGN\n>r\nARGU\n>bad\nACGX\n"


@pytest.mark.parametrize(
    ("policy", "pool", "changed", "dropped"),
    [
        ("keep", {"plain": "ACGU", "n": "ACGN", "r": "ARGU"}, {}, {"letters-outside-alphabet": 1}),
        (
            "replace",
            {"plain": "ACGU", "n": "ACGN", "r": "ANGU"},
            {"ambiguous-replaced": 1},
            {"letters-outside-alphabet": 1},
        ),
        ("drop", {"plain": "ACGU"}, {}, {"letters-outside-alphabet": 1, "ambiguous-letters": 2}),
    ],
)
def test_ambiguous_letters_are_kept_replaced_or_dropped(
    tmp_path: Path, policy: str, pool: dict[str, str], changed: dict[str, int], dropped: dict[str, int]
) -> None:
    options = IngestOptions(alphabet=Alphabet.RNA, ambiguous=AmbiguousPolicy(policy))
    report, found = run(tmp_path, AMBIGUOUS, options)
    assert (found, changes(report), drops(report)) == (pool, changed, dropped)
    kept = sum(letter in "RYKMSWBDHVN" for sequence in pool.values() for letter in sequence)
    assert report.ambiguous["letters"] == kept


LONG = ">short\nAC\n>fits\nACGUA\n>long\nAACCGGUUAACC\n"


@pytest.mark.parametrize(
    ("policy", "overlap", "pool"),
    [
        ("drop", 0, {"fits": "ACGUA"}),
        ("truncate", 0, {"fits": "ACGUA", "long": "AACCG"}),
        (
            "window",
            0,
            {"fits": "ACGUA", "long/1-5": "AACCG", "long/6-10": "GUUAA", "long/8-12": "UAACC"},
        ),
        (
            "window",
            2,
            {
                "fits": "ACGUA",
                "long/1-5": "AACCG",
                "long/4-8": "CGGUU",
                "long/7-11": "UUAAC",
                "long/8-12": "UAACC",
            },
        ),
    ],
)
def test_long_records_are_dropped_truncated_or_cut_into_windows(
    tmp_path: Path, policy: str, overlap: int, pool: dict[str, str]
) -> None:
    options = IngestOptions(
        minimum_length=3, maximum_length=5, too_long=LengthPolicy(policy), window_overlap=overlap
    )
    report, found = run(tmp_path, LONG, options)
    assert found == pool
    assert report.read == 3
    assert report.kept == (1 if policy == "drop" else 2)
    assert report.sequences == len(pool)
    assert report.dropped["too-short"].count == 1


def test_a_record_counts_as_kept_while_one_of_its_windows_is_new(tmp_path: Path) -> None:
    text = ">a\nAAAAACCCCC\n>b\nCCCCCGGGGG\n>c\nGGGGGAAAAA\n"
    options = IngestOptions(maximum_length=5, too_long=LengthPolicy.WINDOW, alphabet=Alphabet.RNA)
    report, pool = run(tmp_path, text, options)
    assert list(pool) == ["a/1-5", "a/6-10", "b/6-10"]
    assert (report.read, report.kept, report.sequences, report.duplicates) == (3, 2, 3, 3)
    assert drops(report) == {"duplicate": 1}


@given(st.integers(1, 60), st.data())
def test_windows_cover_every_letter_and_are_all_full(window: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, window - 1))
    length = data.draw(st.integers(window + 1, 300))
    starts = window_starts(length, window, overlap)
    covered = {place for start in starts for place in range(start, start + window)}
    assert covered == set(range(length))
    assert starts == sorted(set(starts))
    assert all(later - earlier <= window - overlap for earlier, later in pairwise(starts))


def test_duplicates_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "in.fa").write_text(">a\nACGU\n>b\nACGU\n")
    report = ingest(tmp_path / "in.fa", tmp_path / "dataset", IngestOptions(deduplicate=False))
    table = pq.read_table(tmp_path / "dataset" / "sequences")
    assert table["duplicates"].to_pylist() == [1, 1]
    assert (report.kept, report.duplicates) == (2, 0)


@pytest.mark.parametrize(
    ("letters", "alphabet"),
    [
        ("ACGUNNACGU", "rna"),
        ("ACGTNNACGT", "dna"),
        ("acguacguacguacguacgurk", "rna"),
        ("ACCACCAGG", "rna"),
        ("MKVLAAGIVGLRMSE", "protein"),
        ("MKVLAAGXXBZUO", "protein"),
    ],
)
def test_the_alphabet_is_detected_and_said(tmp_path: Path, letters: str, alphabet: str) -> None:
    report, _ = run(tmp_path, f">a\n{letters}\n", IngestOptions())
    assert report.alphabet == alphabet
    assert report.alphabet_detected
    assert f"detected as {alphabet.upper() if alphabet != 'protein' else alphabet}" in report.notes[0]
    if alphabet == "dna":
        assert "choose the alphabet RNA" in report.notes[0]


def test_nucleic_acids_ingested_as_proteins_are_noted(tmp_path: Path) -> None:
    report, _ = run(tmp_path, ">a\nACGTACGT\n", IngestOptions(alphabet=Alphabet.PROTEIN))
    assert any("may be nucleic acids" in note for note in report.notes)


def test_statistics_are_those_of_the_pool(tmp_path: Path) -> None:
    text = ">a\nACGU\n>b\nAACCGGUUNN\n>c\nACGU\n>d\n" + "ACGU" * 20_000 + "\n"
    report, pool = run(tmp_path, text, IngestOptions())
    lengths = [len(sequence) for sequence in pool.values()]
    assert report.lengths["minimum"] == 4
    assert report.lengths["maximum"] == 80_000
    assert report.lengths["median"] == 10
    assert report.lengths["total"] == sum(lengths)
    assert sum(report.length_histogram["counts"]) == 3
    assert report.length_histogram["edges"][0] == 4
    assert report.length_histogram["edges"][-1] == 80_000
    assert report.composition == {
        letter: sum(sequence.count(letter) for sequence in pool.values()) for letter in "ACGUN"
    }
    assert report.ambiguous == {"sequences": 1, "letters": 2}
