"""The real sets with their quirks, counted as their manifest counts them."""

import itertools
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError
from bioprune_core.sequences import AmbiguousPolicy, IngestOptions, LengthPolicy, Pool, ingest, preview

RNA = IngestOptions(alphabet=Alphabet.RNA)
ANY = IngestOptions()

# Set, options, records read, sequences in the pool, alphabet.
COUNTS = [
    ("rfam14_2_seed/Rfam14.2_seed.by_family.fasta.gz", ANY, 72_262, 65_645, "rna"),
    ("rfam14_2_seed/Rfam14.2_seed.folded.dbn.gz", ANY, 72_262, 65_645, "rna"),
    ("riboswitch32", RNA, 68_488, 64_973, "rna"),
    ("nrc13/dataset_nRC_train.fasta.gz", ANY, 6_160, 6_160, "dna"),
    ("ncypred/test-set-corrected.fasta.gz", RNA, 13_646, 13_646, "rna"),
    ("ncypred/validation-set-rfam-corrected.csv.gz", RNA, 13_646, 13_646, "rna"),
    ("rrna_sortmerna/silva-arc-16s-id95.fasta.gz", RNA, 3_193, 3_193, "rna"),
    ("rrna_sortmerna/rfam-5.8s-database-id98.fasta.gz", ANY, 13_034, 13_031, "rna"),
    ("mirbase/mirbase_v21_hairpin_mi-data.tsv.gz", ANY, 28_645, 26_419, "rna"),
    ("mirbase/mirbase_mature.fasta.gz", ANY, 48_885, 30_721, "rna"),
    ("trna_gtrnadb/GtRNAdb.fasta.gz", ANY, 13_634, 4_875, "dna"),
    ("trna_gtrnadb/tRFdb.fasta.gz", ANY, 605, 514, "dna"),
    ("rfam11_repr/Rfam_11_0.repr.fasta.gz", ANY, 2_208, 2_208, "rna"),
    ("archiveII/ArchiveII.csv.gz", ANY, 3_864, 3_353, "rna"),
    ("bprna/bpRNA_TS0.csv.gz", ANY, 1_304, 1_304, "rna"),
    ("bprna/bpRNA-NF-15.0.csv.gz", ANY, 8_788, 8_788, "rna"),
    ("dbn_collection/pseudobase++_short.dbn.gz", ANY, 350, 339, "rna"),
    ("dbn_collection/pseudoknots.dbn.gz", ANY, 266, 257, "rna"),
    ("flip_conservation/sequences.fasta.gz", ANY, 10_507, 10_507, "protein"),
    ("deeploc1/setHARD.fasta.gz", ANY, 490, 490, "protein"),
    ("ppi_yeast_pipr/protein.dictionary.tsv.gz", ANY, 2_497, 2_492, "protein"),
    ("dna_promoters/hs_pos_TATA.txt.gz", ANY, 2_929, 2_929, "dna"),
    ("crispr_ontarget/hl60.repisgt.gz", ANY, 2_076, 2_076, "dna"),
]


@pytest.mark.parametrize(
    ("name", "options", "read", "unique", "alphabet"), COUNTS, ids=[row[0] for row in COUNTS]
)
def test_counts_are_those_of_the_manifest(
    shared_data: Path,
    tmp_path: Path,
    name: str,
    options: IngestOptions,
    read: int,
    unique: int,
    alphabet: str,
) -> None:
    report = ingest(shared_data / name, tmp_path / "dataset", options)
    assert (report.read, report.sequences, report.alphabet) == (read, unique, alphabet)
    assert len(Pool.open(tmp_path / "dataset")) == unique
    ids = pq.read_table(tmp_path / "dataset" / "sequences", columns=["id"])["id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_the_same_sequences_in_two_formats_are_one_pool(shared_data: Path, tmp_path: Path) -> None:
    for name, file in (
        ("fasta", "test-set-corrected.fasta.gz"),
        ("csv", "validation-set-rfam-corrected.csv.gz"),
    ):
        ingest(shared_data / "ncypred" / file, tmp_path / name, RNA)
    fasta, csv = Pool.open(tmp_path / "fasta"), Pool.open(tmp_path / "csv")
    assert {*itertools.chain(*fasta.hashes())} == {*itertools.chain(*csv.hashes())}


def test_a_stockholm_file_of_many_alignments_is_read_without_gaps(shared_data: Path, tmp_path: Path) -> None:
    report = ingest(shared_data / "rfam14_2_seed" / "Rfam.seed.sto.gz", tmp_path / "dataset")
    assert (report.read, report.sequences) == (72_262, 65_645)
    first = pq.read_table(tmp_path / "dataset" / "sequences").slice(0, 1).to_pylist()[0]
    assert (first["id"], first["description"]) == ("X01556.1/3-118", "RF00001 5S_rRNA")
    assert first["sequence"].startswith("CUUGACGAUCAUAGAGCGUUGGAACCACCUGAUCCCUUCCCGAACUCAGAAG")


def test_a_family_from_the_file_name_or_the_header_is_the_label(shared_data: Path, tmp_path: Path) -> None:
    def labels(path: str, options: IngestOptions) -> set[str]:
        ingest(shared_data / path, tmp_path / path.replace("/", "_"), options)
        table = pq.read_table(tmp_path / path.replace("/", "_") / "sequences", columns=["label"])
        return set(table["label"].to_pylist())

    riboswitches = IngestOptions(alphabet=Alphabet.RNA, label_from_file_name=True)
    assert len(labels("riboswitch32", riboswitches)) == 32
    families = IngestOptions(label_pattern=r"^(RF\d{5});")
    assert len(labels("rfam14_2_seed/Rfam14.2_seed.by_family.fasta.gz", families)) == 3_026
    classes = IngestOptions(label_pattern=r"(\S+)$")
    assert len(labels("nrc13/dataset_Rfam_6320_13classes.fasta.gz", classes)) == 13
    assert (
        len(labels("ncypred/validation-set-rfam-corrected.csv.gz", IngestOptions(label_column="label"))) == 13
    )


def test_thirteen_ids_for_all_records_are_told_apart(shared_data: Path, tmp_path: Path) -> None:
    report = ingest(shared_data / "nrc13" / "dataset_nRC_train.fasta.gz", tmp_path / "dataset")
    assert report.changed["id-disambiguated"].count == 6_160 - 13


def test_lower_case_dna_becomes_upper_case_rna(shared_data: Path, tmp_path: Path) -> None:
    report = ingest(shared_data / "rrna_sortmerna" / "silva-arc-23s-id98.fasta.gz", tmp_path / "dataset", RNA)
    assert report.changed["upper-cased"].count == report.changed["thymine-uracil-converted"].count == 251
    assert "T" not in report.composition


def test_trailing_stops_of_proteins_are_removed_and_ids_told_apart(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "prokka_db" / "Bacteria_AMR.faa.gz"
    report = ingest(path, tmp_path / "dataset")
    assert report.alphabet == "protein"
    assert report.changed["trailing-stop-removed"].count == report.read
    assert "*" not in report.composition


def test_long_transcripts_are_dropped_truncated_or_windowed(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "human_noncoding" / "Human_test_noncoding_RNA.fa.gz"
    totals = {}
    for policy in LengthPolicy:
        options = IngestOptions(alphabet=Alphabet.RNA, maximum_length=1022, too_long=policy)
        report = ingest(path, tmp_path / policy, options)
        assert report.read == 4_000
        assert report.lengths["maximum"] <= 1022
        totals[policy] = report.lengths["total"]
    assert totals["drop"] < totals["truncate"] < totals["window"]


def test_windows_of_nothing_but_n_can_be_dropped(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "rbp_clip31" / "7_CLIP-seq-eIF4AIII_2.test.fa.gz"
    kept = ingest(path, tmp_path / "keep", RNA)
    options = IngestOptions(alphabet=Alphabet.RNA, ambiguous=AmbiguousPolicy.DROP)
    dropped = ingest(path, tmp_path / "drop", options)
    assert kept.read == dropped.read == 10_000
    assert dropped.dropped["ambiguous-letters"].count > 0
    assert dropped.ambiguous == {"sequences": 0, "letters": 0}
    first = pq.read_table(tmp_path / "keep" / "sequences").slice(0, 1).to_pylist()[0]
    assert first["id"].startswith("chr")


def test_modified_residues_are_dropped_by_letter(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "dbn_collection" / "verified_secondary_structures_database.dbn.gz"
    report = ingest(path, tmp_path / "dataset")
    assert report.read == 1_051
    letters = report.dropped["letters-outside-alphabet"]
    assert letters.count == 75
    assert all(example.detail.endswith("is not in the RNA alphabet") for example in letters.examples)
    assert report.read == report.kept + sum(count.count for count in report.dropped.values())


@pytest.mark.parametrize(
    "name", ["ppi_affinity/skempi_v2.csv.gz", "bprna/bpRNA_splits.csv.gz", "ppi_affinity/SK2_sym.csv.gz"]
)
def test_tables_without_sequences_are_refused_with_their_columns(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match=r"no column looks like sequences. Its columns are 1 '"):
        ingest(shared_data / name, tmp_path / "dataset")
    assert preview(shared_data / name).columns


def test_a_folder_of_other_files_is_read_as_far_as_it_holds_sequences(
    shared_data: Path, tmp_path: Path
) -> None:
    report = ingest(shared_data / "dbn_collection", tmp_path / "dataset")
    assert [file.format for file in report.files] == ["dot-bracket"] * 4
    assert any("Readme" in note for note in report.notes)


def test_a_protein_set_given_as_rna_is_refused(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"setHARD.fasta.gz does not look like RNA.*Choose the alphabet"):
        ingest(shared_data / "deeploc1" / "setHARD.fasta.gz", tmp_path / "dataset", RNA)


def test_every_set_can_be_previewed_or_is_refused_with_a_sentence(shared_data: Path) -> None:
    for path in itertools.chain(*(shared_data.glob(pattern) for pattern in ("*/*.gz", "*/*.zip"))):
        try:
            assert preview(path, rows=3).format
        except InputError as error:
            assert path.name in error.message
