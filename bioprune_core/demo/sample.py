"""The sample data: invented RNA families with known folds, some copies, the junk of real files, and a task.

    python -m bioprune_core.demo.sample --output data/sample --seed 0

writes `rna_sample.fasta.gz`, whose headers read `>RNA00042 family=F012 kind=member`, and
`rna_sample_structures.tsv.gz` with the columns id, family, kind, structure (dot-bracket) of every record with
a fold. `rna_sample_task.csv` has the columns sequence, label and split: further descendants of the families,
three generations from their ancestors, to be told by family. The same seed gives the same text; the
letters are no organism's.
"""

import argparse
import csv
import gzip
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random

from bioprune_core.demo.families import Family, Member, grow_family
from bioprune_core.storage import atomic_path

__all__ = [
    "FASTA_FILE",
    "SAMPLE",
    "SAMPLE_TASK",
    "STRUCTURES_FILE",
    "TASK_FILE",
    "Kind",
    "SampleRecord",
    "make_families",
    "make_sample",
    "make_task",
    "write_sample",
]

FASTA_FILE = "rna_sample.fasta.gz"
STRUCTURES_FILE = "rna_sample_structures.tsv.gz"
TASK_FILE = "rna_sample_task.csv"
_COMMITTED = Path(__file__).resolve().parents[2] / "data" / "sample"
SAMPLE = _COMMITTED / FASTA_FILE
"""The sequences that come with BioPrune."""
SAMPLE_TASK = _COMMITTED / TASK_FILE
"""The task that comes with BioPrune."""
_TASK_PARTS = {"train": 10, "valid": 3, "test": 4}
"""Examples of each family."""
_TASK_GENERATIONS = 3
_FAMILIES = 48
_LARGEST_FAMILY = 780
_SMALLEST_FAMILY = 8
_LINE = 80


class Kind(StrEnum):
    """What a record of the sample is."""

    MEMBER = "member"
    NEAR_DUPLICATE = "near-duplicate"
    DUPLICATE = "duplicate"
    LOWER_CASE = "lower-case"
    DNA_LETTERS = "dna-letters"
    N_RUN = "n-run"
    TOO_SHORT = "too-short"
    INVALID_LETTERS = "invalid-letters"
    RANDOM = "random"

    @property
    def is_junk(self) -> bool:
        """Whether it is there for the quality report rather than for the science."""
        return self not in (Kind.MEMBER, Kind.NEAR_DUPLICATE, Kind.DUPLICATE)


_COUNTS = {
    Kind.NEAR_DUPLICATE: 260,
    Kind.DUPLICATE: 110,
    Kind.LOWER_CASE: 30,
    Kind.DNA_LETTERS: 30,
    Kind.N_RUN: 24,
    Kind.TOO_SHORT: 16,
    Kind.INVALID_LETTERS: 12,
    Kind.RANDOM: 60,
}


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One record of the sample.

    Args:
        kind: What it is.
        family: Name of its family; None for random letters.
        sequence: As it stands in the file.
        structure: Dot-bracket, as long as the sequence; None where the record has no whole fold.
    """

    kind: Kind
    family: str | None
    sequence: str
    structure: str | None


def make_sample(seed: int) -> list[SampleRecord]:
    """All records in the order of the file: 48 families, more than 4,000 members, copies and junk."""
    random = Random(f"bioprune sample {seed}")
    families = make_families(random)
    records = [
        SampleRecord(Kind.MEMBER, family.name, member.letters, family.structure(member))
        for family in families
        for member in family.members
    ]
    for kind, count in _COUNTS.items():
        records += [_extra(random, kind, families) for _ in range(count)]
    random.shuffle(records)
    return records


def make_families(random: Random) -> list[Family]:
    """Families of heavy-tailed sizes, lengths around 100 letters and each its own divergence."""
    families = []
    for rank in range(_FAMILIES):
        size = max(_SMALLEST_FAMILY, round(_LARGEST_FAMILY / (rank + 1) ** 0.85))
        length = min(370, max(34, round(random.lognormvariate(math.log(100), 0.65))))
        divergence = math.exp(random.uniform(math.log(0.03), math.log(0.22)))
        families.append(grow_family(random, f"F{rank + 1:03d}", length, size, divergence))
    return families


def make_task(seed: int) -> list[tuple[str, str, str]]:
    """Sequence, family and part of each example of the task; none of them is a record of the sample."""
    random = Random(f"bioprune sample {seed}")
    families = make_families(random)
    known = {record.sequence for record in make_sample(seed)}
    examples = []
    for family in families:
        family.seen |= known
        for part, count in _TASK_PARTS.items():
            for _ in range(count):
                member = family.members[0]
                for _ in range(_TASK_GENERATIONS):
                    member = family.descend(random, member, family.divergence)
                examples.append((member.letters, family.name, part))
    random.shuffle(examples)
    return examples


def write_sample(output: Path, seed: int) -> list[Path]:
    """Write the three files into the folder `output`; returns their paths.

    Raises:
        StorageError: The folder cannot be written.
    """
    records = [(f"RNA{number:05d}", record) for number, record in enumerate(make_sample(seed), start=1)]
    fasta, structures = output / FASTA_FILE, output / STRUCTURES_FILE
    _write_gzip(fasta, "".join(_fasta(name, record) for name, record in records))
    lines = [
        f"{name}\t{record.family}\t{record.kind}\t{record.structure}\n"
        for name, record in records
        if record.structure is not None
    ]
    _write_gzip(structures, "id\tfamily\tkind\tstructure\n" + "".join(lines))
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("sequence", "label", "split"))
    rows.writerows(make_task(seed))
    task = output / TASK_FILE
    with atomic_path(task) as part:
        part.write_text(table.getvalue(), encoding="ascii")
    return [fasta, structures, task]


def _extra(random: Random, kind: Kind, families: Sequence[Family]) -> SampleRecord:
    """A record that is no plain member."""
    if kind is Kind.RANDOM:
        letters = "".join(random.choices("ACGU", k=random.randint(30, 400)))
        return SampleRecord(kind, None, letters, None)
    family = random.choices(families, [len(family.members) for family in families])[0]
    member = random.choice(family.members)
    if kind in _SPOIL:
        return SampleRecord(kind, family.name, _SPOIL[kind](random, member), None)
    if kind is Kind.NEAR_DUPLICATE:
        # About one change in the whole sequence.
        member = family.descend(random, member, 1.0 / len(member.letters))
    elif kind is not Kind.DUPLICATE:
        member = family.descend(random, member, family.divergence)
    sequence = member.letters
    if kind is Kind.LOWER_CASE:
        sequence = sequence.lower()
    elif kind is Kind.DNA_LETTERS:
        sequence = sequence.replace("U", "T")
    return SampleRecord(kind, family.name, sequence, family.structure(member))


def _with_n_run(random: Random, member: Member) -> str:
    run = random.randint(8, len(member.letters) // 2)
    start = random.randint(0, len(member.letters) - run)
    return member.letters[:start] + "N" * run + member.letters[start + run :]


def _fragment(random: Random, member: Member) -> str:
    return member.letters[: random.randint(5, 20)]


def _with_invalid_letters(random: Random, member: Member) -> str:
    letters = list(member.letters)
    for _ in range(random.randint(1, 3)):
        letters[random.randrange(len(letters))] = random.choice("XJZ?1")
    return "".join(letters)


_SPOIL: dict[Kind, Callable[[Random, Member], str]] = {
    Kind.N_RUN: _with_n_run,
    Kind.TOO_SHORT: _fragment,
    Kind.INVALID_LETTERS: _with_invalid_letters,
}


def _fasta(name: str, record: SampleRecord) -> str:
    family = f" family={record.family}" if record.family else ""
    lines = [record.sequence[start : start + _LINE] for start in range(0, len(record.sequence), _LINE)]
    return "\n".join([f">{name}{family} kind={record.kind}", *lines, ""])


def _write_gzip(path: Path, text: str) -> None:
    with atomic_path(path) as part:
        # Without a time (and there is no name either), equal text gives equal bytes.
        part.write_bytes(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0))


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="Write the sample data of BioPrune.")
    parser.add_argument("--output", type=Path, default=Path("data/sample"), help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other families")
    arguments = parser.parse_args()
    for path in write_sample(arguments.output, arguments.seed):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
