"""Every layout of published data is read to the same kind of examples."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from task_files import RNAS, write_structures, write_table

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError, NotFoundError
from bioprune_core.sequences import IngestOptions, ingest
from bioprune_core.tasks import Part, content_hash, limit_training, read_task, shipped_tasks
from bioprune_core.tasks.assembling import assemble
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.records import Found, Record

MAP = "(((...)))"


def test_three_tables_are_three_parts_and_integer_classes_stay_in_their_order(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", "seq,label", *[f"{rna},{10 - n}" for n, rna in enumerate(RNAS[:4])])
    write_table(tmp_path / "val.csv", "seq,label", "gggttt,10", "gggtt,9")
    write_table(tmp_path / "test.csv", "seq,label", "ACGU,7", "ACGG,8")
    data = read_task("rna-type", tmp_path)
    assert data.task.classes == ("7", "8", "9", "10")
    assert data.parts[Part.TRAIN].targets.tolist() == [3, 2, 1, 0]
    assert data.parts[Part.VALIDATION].sequences == ("GGGUUU", "GGGUU")
    assert data.task.stand_in == ""


@pytest.mark.parametrize(
    ("alphabet", "written"),
    [
        (Alphabet.PROTEIN, ["MKVLAAGIVGLCAKAYLE*", "mkv-lag.ivg", "MKV LAGIVG*-", "MKVLXUGIVGB", "MKVLAG**"]),
        (Alphabet.RNA, ["ACGU-ACGUA", "acgt.acgg", "ACGU ACGUC", "ACGNRACGUU"]),
    ],
)
def test_sequences_become_those_that_a_pool_has(
    tmp_path: Path, alphabet: Alphabet, written: list[str]
) -> None:
    (tmp_path / "in.fa").write_text("".join(f">s{n}\n{text}\n" for n, text in enumerate(written)))
    ingest(tmp_path / "in.fa", tmp_path / "pool", IngestOptions(alphabet=alphabet, deduplicate=False))
    pooled = pq.read_table(tmp_path / "pool" / "sequences")["sequence"].to_pylist()
    letters = Normaliser(alphabet)
    assert [letters(text, "here") for text in written] == pooled
    assert letters.stripped == sum(any(sign in text for sign in "-.* ") for text in written)


def test_gaps_and_stops_that_were_removed_are_counted(tmp_path: Path) -> None:
    rows = [f"{rna}*,{number / 7}" for number, rna in enumerate(RNAS)]
    for part in ("train", "val", "test"):
        write_table(tmp_path / f"{part}.csv", "sequence,label", *rows)
    data = read_task("crispr-on-target", tmp_path)
    assert data.parts[Part.TEST].sequences == RNAS
    assert "Of 18 sequences gaps, white space or a trailing * were removed" in data.source


def test_numbers_stand_for_classes_that_have_names(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        write_table(tmp_path / f"{part}.csv", "sequence,label", "ACGU,1", "ACGG,0")
    data = read_task("rbp", tmp_path)
    assert data.task.classes == ("unbound", "bound")
    assert data.parts[Part.TEST].targets.tolist() == [1, 0]


def test_packed_files_one_folder_deeper_are_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with gzip.open(tmp_path / "deep" / "train.csv.gz", "wt") as file:
        file.write("sequence,label\n" + "".join(f"{rna},{n % 2}\n" for n, rna in enumerate(RNAS * 4)))
    data = read_task("rna-type", tmp_path, seed=3)
    assert sum(len(examples) for examples in data.parts.values()) == 24
    assert "drawn from the training part" in data.source


def test_the_twelve_modifications_are_labels(tmp_path: Path) -> None:
    rows = [f"{RNAS[0]},{' '.join('1' if n == k else '0' for n in range(12))}" for k in range(12)]
    write_table(tmp_path / "train.csv", "sequence,label", *rows)
    write_table(tmp_path / "valid.csv", "sequence,label", rows[0])
    write_table(tmp_path / "test.csv", "sequence,label", rows[7])
    data = read_task("modification", tmp_path)
    assert data.parts[Part.TRAIN].targets.tolist() == np.eye(12, dtype=bool).tolist()
    assert data.task.classes[int(np.argmax(data.parts[Part.TEST].targets[0]))] == "m6A"
    write_table(tmp_path / "test.csv", "sequence,label", f"{RNAS[0]},0 1")
    with pytest.raises(InputError, match=r"test.csv, record 1: the label '0 1' is not 12 times 0 or 1"):
        read_task("modification", tmp_path)


def test_structures_as_matrices_brackets_and_bpseq_are_the_same_maps(tmp_path: Path) -> None:
    write_structures(tmp_path / "beacon")
    beacon = read_task("rna-structure", tmp_path / "beacon")
    for part, names in ((Part.TRAIN, (0, 1)), (Part.VALIDATION, (2,)), (Part.TEST, (3,))):
        records = [(RNAS[n], "(" + "." * (len(RNAS[n]) - 2) + ")") for n in names]
        text = "".join(f">rna{n}\n{rna}\n{dots}\n" for n, (rna, dots) in zip(names, records, strict=True))
        (tmp_path / "dots").mkdir(exist_ok=True)
        (tmp_path / "dots" / f"{part.value}.dbn").write_text(text)
        inner = tmp_path / "bpseq" / part.value
        inner.mkdir(parents=True)
        for n, (rna, _) in zip(names, records, strict=True):
            partners = [len(rna), *[0] * (len(rna) - 2), 1]
            lines = [
                f"{place} {letter} {partner}"
                for place, (letter, partner) in enumerate(zip(rna, partners, strict=True), 1)
            ]
            (inner / f"rna{n}.bpseq").write_text("# a title\n" + "\n".join(lines))
    hashes = {
        content_hash(read_task("rna-structure", tmp_path / name)) for name in ("beacon", "dots", "bpseq")
    }
    assert hashes == {content_hash(beacon)}
    assert beacon.parts[Part.TEST].targets[0].sum() == 2


def test_a_map_whose_upper_triangle_lacks_a_pair_of_the_lower_one_is_refused(tmp_path: Path) -> None:
    write_structures(tmp_path)
    path = tmp_path / "TS0" / "rna3.npy"
    matrix = np.load(path)
    expected = read_task("rna-structure", tmp_path).parts[Part.TEST].targets[0]
    np.save(path, np.triu(matrix))
    upper = read_task("rna-structure", tmp_path).parts[Part.TEST].targets[0]
    np.testing.assert_array_equal(upper, expected)
    np.save(path, np.tril(matrix))
    with pytest.raises(
        InputError, match=r"rna3.npy has a 1 in its lower triangle that the upper one has not"
    ):
        read_task("rna-structure", tmp_path)


def test_the_fasta_of_deeploc_1_has_ten_classes(tmp_path: Path) -> None:
    words = (
        "Nucleus-U",
        "Nucleus-S",
        "Cell.membrane-M",
        "Golgi.apparatus-U",
        "Cytoplasm-Nucleus-U",
        "Plastid",
    )
    proteins = ["MKVL" + letter for letter in "ACDEFG"]
    for name, mark in (("train", ""), ("valid", ""), ("test", " test")):
        text = "".join(f">P{n} {word}{mark}\n{proteins[n]}\n" for n, word in enumerate(words))
        (tmp_path / f"{name}.fasta").write_text(text)
    data = read_task("localisation", tmp_path)
    assert data.task.classes == ("Cell.membrane", "Golgi.apparatus", "Nucleus", "Plastid")
    assert data.parts[Part.TEST].targets.tolist() == [2, 2, 0, 1, 3]
    assert data.source.endswith("3 proteins of cytoplasm and nucleus were left out.")
    for word in ("Homo", ""):
        (tmp_path / "test.fasta").write_text(f">P1 {word} Nucleus-U\nMKVL\n" if word else ">P1\nMKVL\n")
        with pytest.raises(
            InputError, match=rf"test.fasta, P1: the word after the id is '{word}', which is no"
        ):
            read_task("localisation", tmp_path)


def test_distance_maps_have_unknown_cells(tmp_path: Path) -> None:
    (tmp_path / "distance_map").mkdir()
    for part, rna in zip(("train", "val", "test"), RNAS, strict=False):
        write_table(tmp_path / f"{part}.csv", "id,sequence", f"{part}1,{rna}")
        matrix = np.full((len(rna), len(rna)), 7.5)
        matrix[0, 1] = -1
        matrix[0, 2], matrix[0, 3] = np.inf, np.nan
        np.save(tmp_path / "distance_map" / f"{part}1.npy", matrix)
    data = read_task("distance-map", tmp_path)
    target = data.parts[Part.TEST].targets[0]
    assert np.isnan(target[0]).tolist() == [False, True, True, True, *[False] * 8]
    assert target[1, 0] == 7.5
    np.save(tmp_path / "distance_map" / "test1.npy", np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"shape \(3, 3\).*must be \(12, 12\)"):
        read_task("distance-map", tmp_path)


def test_spot_rna_2d_is_read_from_its_packed_files(tmp_path: Path) -> None:
    names = {"TR": "a", "VL": "b", "TS1": "c", "TS2": "d", "TS3": "missing"}
    for list_name, name in names.items():
        (tmp_path / f"{list_name}_ids").write_text(name + "\n")
    matrix = np.zeros((9, 9))
    matrix[0, 8], matrix[1, 7] = 1, -1
    with (
        tarfile.open(tmp_path / "distance_contact_labels.tar.gz", "w:gz") as labels,
        tarfile.open(tmp_path / "all_sequences.tar.gz", "w:gz") as sequences,
    ):
        for name, sequence in zip("abcd", ("GGGAAACCC", "GGGAAACCA", "GGGAAACCG", "GGGAAACCU"), strict=True):
            text = "\n".join("\t".join(f"{value:.3e}" for value in row) for row in matrix).encode()
            add(labels, f"labels/{name}.true", text)
            add(sequences, f"all/{name}", f">{name}\n{sequence}\n".encode())
    data = read_task("contact-map", tmp_path)
    target = data.parts[Part.TEST].targets[0]
    assert (target[8, 0], target[7, 1], target[2, 3], target[4, 4]) == (1, -1, 0, -1)
    assert len(data.parts[Part.TEST]) == 2
    assert "left out: missing" in data.source
    assert data.task.stand_in


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def test_residues_behind_a_mask_are_not_scored(tmp_path: Path) -> None:
    parts = ("SET=train VALIDATION=False", "SET=train VALIDATION=True", "SET=test VALIDATION=False")
    proteins = ("MKVL", "MKVA", "MKVG")
    (tmp_path / "sequences.fasta").write_text("".join(f">p{n}\n{text}\n" for n, text in enumerate(proteins)))
    (tmp_path / "sampled.fasta").write_text("".join(f">p{n} {part}\nHECH\n" for n, part in enumerate(parts)))
    (tmp_path / "mask.fasta").write_text("".join(f">p{n}\n0111\n" for n in range(3)))
    data = read_task("protein-structure", tmp_path)
    assert [target.tolist() for target in data.parts[Part.TEST].targets] == [[-1, 1, 2, 0]]
    row = ",".join(("MKVLLA", "HHEECC", "1.0 1.0 0.0 1.0 1.0 1.0", "1.0 1.0 1.0 1.0 1.0 0.0"))
    write_table(tmp_path / "CB513.csv", "input,dssp3,cb513_mask,disorder", row)
    tested = read_task("protein-structure", tmp_path).parts[Part.TEST]
    # The last residue has no coordinates.
    assert [target.tolist() for target in tested.targets] == [[0, 0, -1, 1, 2, -1]]


def test_two_proteins_and_their_energy_are_an_example(tmp_path: Path) -> None:
    rows = [f"{n}XYZ,MKV{'L' * n},MMK,{-n / 2}" for n in range(1, 21)] + ["21XY,MKV,MMK,"]
    write_table(tmp_path / "kastritis81_manifest.csv", "pdb_id,seq_target,seq_binder,dg_exp", *rows)
    data = read_task("ppi-affinity", tmp_path)
    train = data.parts[Part.TRAIN]
    assert train.partners == ("MMK",) * len(train)
    assert "1 complexes without a measured energy" in data.source
    assert [len(data.parts[part]) for part in Part] == [16, 2, 2]


def test_guides_with_parts_drawn_here_stand_in_for_beacons(tmp_path: Path) -> None:
    guides = ["".join("ACGT"[n // 4**place % 4] for place in range(23)) for n in range(30)]
    lines = [
        "\t".join(["chr1", "1", "24", "+", guide, "A", "N", "A", "N", f"0.{n + 10}"])
        for n, guide in enumerate(guides)
    ]
    (tmp_path / "hl60.repisgt").write_text("\n".join(lines) + "\n")
    data = read_task("crispr-on-target", tmp_path)
    assert [len(data.parts[part]) for part in Part] == [24, 3, 3]
    assert data.task.stand_in == "BEACON's split of the same guides"


def test_test_sequences_are_not_trained_on_where_data_stand_in(tmp_path: Path) -> None:
    kept = "".join(f">r{n} tRNA\n{'ACGU' * (n + 3)}\n>s{n} miRNA\n{'GGCA' * (n + 3)}\n" for n in range(10))
    (tmp_path / "dataset_Rfam_6320_13classes.fasta").write_text(kept)
    (tmp_path / "dataset_Rfam_validated_2600_13classes.fasta").write_text(
        ">t tRNA\nACGTACGTACGT\n>u miRNA\nGGGG\n"
    )
    data = read_task("rna-type", tmp_path)
    assert sum(len(data.parts[part]) for part in (Part.TRAIN, Part.VALIDATION)) == 19
    assert "1 examples whose sequences are in the test part" in data.source


def test_a_pair_in_the_other_order_is_the_same_pair(tmp_path: Path) -> None:
    pairs = [("MKV" + "L" * n, "MMK") for n in range(1, 21)]
    task = shipped_tasks()["ppi-affinity"]
    train = [Record(f"p{n}", first, n / 2, second) for n, (first, second) in enumerate(pairs)]
    test = [Record(f"t{n}", second, n / 3, first) for n, (first, second) in enumerate(pairs[:3])]
    found = Found({Part.TRAIN: train, Part.TEST: test}, "Pairs", (), "others")
    data = assemble(task, found, Normaliser(task.alphabet), 0)
    assert sum(len(data.parts[part]) for part in (Part.TRAIN, Part.VALIDATION)) == 17


def test_a_limit_draws_by_seed_and_leaves_the_tests_alone(tmp_path: Path) -> None:
    rows = [f"{'ACGU' * (n + 1)},{n % 2}" for n in range(40)]
    write_table(
        tmp_path / "data.csv",
        "sequence,label,split",
        *[f"{row},train" for row in rows[:30]],
        *[f"{row},valid" for row in rows[30:35]],
        *[f"{row},test" for row in rows[35:]],
    )
    data = read_task("rna-type", tmp_path)
    one, same, other = (limit_training(data, 8, seed) for seed in (1, 1, 2))
    assert content_hash(one) == content_hash(same) != content_hash(other)
    assert [len(one.parts[part]) for part in Part] == [8, 5, 5]
    with pytest.raises(
        InputError, match=r"all 1 training examples have one class, '[01]'.*limit 1 and seed 3"
    ):
        limit_training(data, 1, 3)


def test_an_unknown_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no data of the task crispr-on-target.*hl60\.repisgt"):
        read_task("crispr-on-target", tmp_path)
    with pytest.raises(InputError, match="no folder"):
        read_task("rbp", tmp_path / "none")
    with pytest.raises(NotFoundError, match="Known are rna-type"):
        read_task("rna-typ", tmp_path)
    assert len(shipped_tasks()) == 11
