"""Near-identity found in blocks is that of a plain implementation that holds everything."""

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences import IngestOptions, Pool, ingest
from bioprune_core.sequences import near_identity as near_identity_module
from bioprune_core.sequences.near_identity import NEAR, near_duplicate_clusters, near_identical

ALPHABETS = [Alphabet.RNA, Alphabet.PROTEIN]  # of which k differs
WORD = (1 << 64) - 1


def families(alphabet: Alphabet, count: int, seed: int) -> list[str]:
    """Families with few to many substitutions, sequences shorter than a k-mer, repetitive ones."""
    random = np.random.default_rng(seed)
    letters = list(alphabet.residues)
    ambiguous = "X" if alphabet is Alphabet.PROTEIN else "N"
    found = [*letters, "AC" * 2, "A" * 40, "A" * 60, "AC" * 30, ambiguous * 20]
    while len(found) < count:
        founder = random.choice(letters, random.integers(3, 160))
        for _ in range(random.integers(1, 8)):
            member = founder.copy()
            changed = random.random(len(member)) < random.choice([0, 0.02, 0.05, 0.08, 0.3])
            member[changed] = random.choice([*letters, ambiguous], int(changed.sum()))
            found.append("".join(member[: len(member) - random.integers(0, 3)]))
    return [found[place] for place in random.permutation(len(found))]


def plain_kmers(sequence: str, alphabet: Alphabet) -> set[int]:
    k = min(5 if alphabet is Alphabet.PROTEIN else 8, len(sequence))
    found = set()
    for start in range(len(sequence) - k + 1):
        word = 0
        for letter in sequence[start : start + k]:
            word = word << 5 | ord(letter) & 31
        word = word * 0x9E3779B97F4A7C15 & WORD
        found.add(word ^ word >> 32)
    return found


def plain_jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other)


def plain_near(queries: list[str], references: list[str], alphabet: Alphabet, bound: float) -> list[bool]:
    sides = [[plain_kmers(text, alphabet) for text in texts] for texts in (queries, references)]
    sketches = [[set(sorted(kmers)[:32]) for kmers in side] for side in sides]

    def is_near(query: int, reference: int) -> bool:
        one, other = sketches[0][query], sketches[1][reference]
        likely = len(one & other) >= 0.25 * min(len(one), len(other))
        return likely and plain_jaccard(sides[0][query], sides[1][reference]) >= bound

    return [
        text in references or any(is_near(query, place) for place in range(len(references)))
        for query, text in enumerate(queries)
    ]


def plain_mixed(word: int) -> int:
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & WORD
    return word ^ word >> 31


def plain_clusters(sequences: list[str], alphabet: Alphabet) -> list[int]:
    kmers = [plain_kmers(sequence, alphabet) for sequence in sequences]
    clusters = list(range(len(sequences)))
    for band in range(8):
        firsts: dict[tuple[int, ...], int] = {}
        shift = band * 0x632BE59BD9B4E019 & WORD
        for index, hashes in enumerate(kmers):
            key = tuple(sorted(plain_mixed(word ^ shift) for word in hashes)[:2])
            first = firsts.setdefault(key, index)
            if clusters[first] != clusters[index] and plain_jaccard(kmers[first], hashes) >= NEAR:
                old, new = sorted((clusters[first], clusters[index]), reverse=True)
                clusters = [new if cluster == old else cluster for cluster in clusters]
    return clusters


@pytest.fixture(params=["blocks as they are", "small blocks"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "small blocks":
        sizes = {"_READ_AT_ONCE": 90, "_AT_ONCE": 7, "_LETTERS_AT_ONCE": 400, "_PAIRS_AT_ONCE": 20}
        for name, size in sizes.items():
            monkeypatch.setattr(near_identity_module, name, size)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_clusters_are_those_of_the_plain_implementation(alphabet: Alphabet) -> None:
    sequences = families(alphabet, 400, seed=1)
    wanted = plain_clusters(sequences, alphabet)
    assert 150 < len(set(wanted)) < 350
    assert near_duplicate_clusters(sequences, alphabet).tolist() == wanted


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("bound", [0.3, NEAR, 1.0])
@pytest.mark.parametrize("queries_are_fewer", [False, True])
def test_near_queries_are_those_of_the_plain_implementation(
    alphabet: Alphabet, bound: float, queries_are_fewer: bool
) -> None:
    sequences = families(alphabet, 360, seed=2)
    queries, references = sequences[:240], sequences[240:]
    if queries_are_fewer:
        queries, references = references, queries
    wanted = plain_near(queries, references, alphabet, bound)
    assert 5 < sum(wanted) < len(queries) - 5
    assert near_identical(queries, references, alphabet, bound).tolist() == wanted


def test_nothing_is_near_nothing() -> None:
    assert near_identical([], ["ACGU"], Alphabet.RNA).tolist() == []
    assert near_identical(["ACGU"], [], Alphabet.RNA).tolist() == [False]
    assert near_duplicate_clusters([], Alphabet.RNA).tolist() == []


def pool_of(sequences: list[str], folder: Path) -> Pool:
    (folder / "in.fa").write_text("".join(f">{n}\n{text}\n" for n, text in enumerate(sequences)))
    ingest(folder / "in.fa", folder / "dataset", IngestOptions(alphabet=Alphabet.RNA))
    return Pool.open(folder / "dataset")


@pytest.mark.usefixtures("_blocks")
def test_a_pool_on_disk_is_compared_as_its_sequences(tmp_path: Path) -> None:
    drawn = families(Alphabet.RNA, 250, seed=3)
    sequences, tests = list(dict.fromkeys(text for text in drawn if len(text) > 12)), drawn[::9]
    pool = pool_of(sequences, tmp_path)
    assert len(pool) == len(sequences)
    near = near_identical(sequences, tests, Alphabet.RNA)
    assert near_identical(pool, tests, Alphabet.RNA).tolist() == near.tolist()
    near = near_identical(tests, sequences, Alphabet.RNA)
    assert near_identical(tests, pool, Alphabet.RNA).tolist() == near.tolist()
    clusters = near_duplicate_clusters(sequences, Alphabet.RNA)
    assert near_duplicate_clusters(pool, Alphabet.RNA).tolist() == clusters.tolist()


def test_memory_is_tens_of_bytes_a_sequence(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    letters = np.frombuffer(b"ACGU", dtype=np.uint8)[random.integers(0, 4, (60_000, 100))]
    sequences = [row.tobytes().decode() for row in letters]
    (tmp_path / "small").mkdir()
    pools = [pool_of(sequences, tmp_path), pool_of(sequences[:20_000], tmp_path / "small")]
    for compare in (
        lambda pool: near_duplicate_clusters(pool, Alphabet.RNA),
        lambda pool: near_identical(pool, sequences[:50], Alphabet.RNA),
    ):
        compare(pools[1])
        peaks = []
        for pool in pools:
            tracemalloc.start()
            compare(pool)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        # Letters alone would be 100 a sequence, all k-mers 800.
        assert peaks[0] - peaks[1] < 60 * 40_000


def test_clusters_of_a_real_pool_are_what_they_were(shared_data: Path, tmp_path: Path) -> None:
    """Codes enter the keys of experiments' cells; these were found with all k-mers in memory."""
    ingest(shared_data / "rfam14_2_seed" / "Rfam14.2_seed.by_family.fasta.gz", tmp_path / "dataset")
    clusters = near_duplicate_clusters(Pool.open(tmp_path / "dataset"), Alphabet.RNA)
    assert (clusters.dtype, clusters.shape) == (np.int64, (65_645,))
    assert hashlib.sha256(clusters.tobytes()).hexdigest()[:16] == "e2d6b7f1dd490159"
