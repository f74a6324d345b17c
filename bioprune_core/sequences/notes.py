"""Sentences of the quality report on what a person might not expect."""

from collections.abc import Iterator, Sequence

from bioprune_core.alphabet import Alphabet
from bioprune_core.sequences.assemble import Assembler
from bioprune_core.sequences.inputs import InputFile
from bioprune_core.sequences.intake import Intake
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.report import ChangeReason, DropReason, LabelCount

__all__ = ["notes_on", "notes_on_columns", "notes_on_labels"]

_FILES_NAMED = 5


def notes_on_columns(files: Sequence[InputFile]) -> list[str]:
    """Which columns of tables and Parquet files were read."""
    notes = []
    for file in files:
        layout, columns = file.recognised.layout, file.recognised.columns
        if layout is not None:
            columns = layout.columns
            names = list(layout.names)
        elif columns is not None:
            names = list(file.recognised.names)
        else:
            continue
        roles = [("sequences", columns.sequence), ("ids", columns.id), ("labels", columns.label)]
        read = ", ".join(
            f"{role} from column {place + 1} {names[place]!r}" for role, place in roles if place is not None
        )
        notes.append(f"{file.name}: {read}.")
    if len(notes) > _FILES_NAMED:
        rest = len(notes) - _FILES_NAMED
        notes = [*notes[:_FILES_NAMED], f"The columns of {rest} more files were chosen in the same way."]
    return notes


def notes_on_labels(labels: LabelCount, sequences: int, options: IngestOptions) -> Iterator[str]:
    """That labels were asked for and none was found."""
    if labels.sequences:
        return
    if options.label_pattern is not None:
        reason = "the label pattern finds none in their headers"
    elif options.label_column is not None:
        reason = f"the column {options.label_column!r} has none for them"
    else:
        reason = "the names of their files give none"
    none = (
        "The one sequence has no label"
        if sequences == 1
        else f"None of the {sequences:,} sequences has a label"
    )
    yield f"{none}: {reason}. To have labels, ingest the files again with other options as another dataset."


def notes_on(intake: Intake, assembler: Assembler, alphabet: Alphabet) -> Iterator[str]:
    """What stands out in the counts."""
    tally, composition = intake.tally, assembler.statistics.composition()
    letters = sum(composition.values())
    nucleic = sum(composition.get(letter, 0) for letter in "ACGT")
    if alphabet is Alphabet.PROTEIN and nucleic >= 0.9 * letters:
        yield (
            f"{nucleic / letters:.0%} of the letters are A, C, G or T: these may be nucleic acids and not "
            "proteins. If so, ingest them with the alphabet RNA or DNA."
        )
    ambiguous = assembler.statistics.ambiguous()
    if ambiguous["sequences"]:
        several = len(set(composition) & set(alphabet.ambiguous)) > 1
        kept = "they are" if several else alphabet.wildcard
        yield (
            f"{ambiguous['sequences']:,} sequences have ambiguous letters ({ambiguous['letters']:,} in all), "
            f"kept as {kept}. The policy on ambiguous letters can replace them or drop such records."
        )
    mismatched = tally.dropped.get(DropReason.LETTERS)
    if mismatched is not None and mismatched.count > 0.01 * tally.read:
        yield (
            f"{mismatched.count / tally.read:.1%} of the records have letters outside the {alphabet.upper()} "
            "alphabet and were dropped; see the examples."
        )
    renamed = tally.changed.get(ChangeReason.ID_DISAMBIGUATED)
    if renamed is not None and renamed.count:
        yield (
            f"{renamed.count:,} sequences had the id of an earlier one and got a number: "
            "a second 'x' is now 'x~2'."
        )
    if assembler.sequences > assembler.kept_records:
        yield (
            f"Long records were cut into windows: {assembler.kept_records:,} records make "
            f"{assembler.sequences:,} sequences."
        )
