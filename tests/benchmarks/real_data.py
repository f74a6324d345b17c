"""The real data sets that benchmarks read in place."""

import gzip
import os
from pathlib import Path

import numpy as np

from bioprune_core.sequences.block import SequenceBlock

SHARED_DATA = Path(
    os.environ.get("BIOPRUNE_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)
RNAS = SHARED_DATA / "rfam14_2_seed" / "Rfam14.2_seed.by_family.fasta.gz"
PROTEINS = SHARED_DATA / "proteomes_ppi" / "dscript_yeast.fasta.gz"
LONGEST = 1022


def needed(path: Path) -> Path:
    """The path, if it is there; else a sentence, and the end of a benchmark that can measure nothing.

    The end is no failure, so that `make bench` goes on to those that need no real data.
    """
    if path.exists():
        return path
    print(
        f"Not measured: {path} is missing. Set BIOPRUNE_SHARED_DATA to the folder of the real data sets.",
        flush=True,
    )
    raise SystemExit(0)


def distinct_rnas() -> set[str]:
    """All sequences of the Rfam seeds, as RNA."""
    with gzip.open(needed(RNAS), "rt", encoding="ascii") as stream:
        records = stream.read().split(">")[1:]
    return {"".join(record.split("\n")[1:]).upper().replace("T", "U") for record in records}


def rnas(count: int) -> SequenceBlock:
    """Real RNAs up to 1,022 nt, evenly over their lengths, so of the same mix as the whole file."""
    fitting = [sequence for sequence in distinct_rnas() if len(sequence) <= LONGEST]
    fitting.sort(key=lambda sequence: (len(sequence), sequence))
    chosen = ((np.arange(count) + 0.5) / count * len(fitting)).astype(np.int64)
    return SequenceBlock.from_strings([fitting[row] for row in np.random.default_rng(0).permutation(chosen)])


def short_rnas(count: int) -> SequenceBlock:
    """A seeded sample of real RNAs of 30 to 400 nt."""
    kept = sorted(sequence for sequence in distinct_rnas() if 30 <= len(sequence) <= 400)
    chosen = np.random.default_rng(0).choice(len(kept), size=count, replace=False)
    return SequenceBlock.from_strings([kept[index] for index in chosen])
