"""Labelled RNA: nRC's families, DeepCRISPR's guides, binding sites of CLIP, m6A sites of yeast."""

from pathlib import Path

from bioprune_core.errors import InputError
from bioprune_core.tasks.cells import number_of
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.places import Folder, read_headers, read_text
from bioprune_core.tasks.readers.tabular import part_files
from bioprune_core.tasks.records import Found, Record
from bioprune_core.tasks.task import Part, Task

__all__ = ["clip_sites", "deep_crispr", "labelled_fasta", "nrc_families", "yeast_m6a"]

_GUIDE, _LABEL = 4, -1
_CLIP_CLASSES = {"class:0": "unbound", "class:1": "bound"}


def nrc_families(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """dataset_Rfam_6320_13classes.fasta and dataset_Rfam_validated_2600_13classes.fasta."""
    train = folder.file("dataset_Rfam_6320_13classes.fasta")
    test = folder.file("dataset_Rfam_validated_2600_13classes.fasta")
    if train is None or test is None:
        return None
    parts = {Part.TRAIN: _with_label(train, letters), Part.TEST: _with_label(test, letters)}
    return Found(
        parts,
        "nRC, 13 classes",
        (),
        "BEACON's ncRNA families, of which 2,400 of 12 classes are the test part",
    )


def labelled_fasta(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """train.fasta and test.fasta (and validation.fasta), the label being the last word of each header."""
    paths = folder.parts(part_files("fasta", "fa"))
    parts = {part: _with_label(path, letters) for part, path in paths.items()}
    return Found(parts, "FASTA files with labels in their headers") if parts else None


def deep_crispr(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """hl60.repisgt: guides of 23 nt with their measured efficacy."""
    path = folder.file("hl60.repisgt")
    if path is None:
        return None
    records = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split("\t")
        where = f"{path.name}, record {number}"
        try:
            guide, efficacy = letters(cells[_GUIDE], where), number_of(cells[_LABEL])
        except (IndexError, ValueError) as error:
            raise InputError(
                f"{where}: expected nine or more columns by tabs, the fifth a guide and the last a number."
            ) from error
        records.append(Record(where, guide, efficacy))
    return Found({Part.TRAIN: records}, "DeepCRISPR, HL60", (), "BEACON's split of the same guides")


def clip_sites(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """One protein's *.train.fa and *.test.fa, with "class:0" or "class:1" in the headers."""
    trains = sorted(folder.path.glob("*.train.fa*")) or sorted(folder.path.glob("*/*.train.fa*"))
    if not trains:
        return None
    if len(trains) > 1:
        names = ", ".join(path.name.split(".train")[0] for path in trains)
        raise InputError(
            f"{folder.path} has binding sites of {len(trains)} proteins: {names}. Copy or link one's two "
            "files to a folder of their own and give that."
        )
    test = trains[0].with_name(trains[0].name.replace(".train.fa", ".test.fa"))
    if not test.is_file():
        raise InputError(f"{trains[0]} has no {test.name} beside it. Put it there.")
    unreadable = 0
    parts: dict[Part, list[Record]] = {}
    for part, path in ((Part.TRAIN, trains[0]), (Part.TEST, test)):
        parts[part] = []
        for name, rest, text in read_headers(path):
            if set(text.upper()) <= {"N"}:
                unreadable += 1
                continue
            if rest.strip() not in _CLIP_CLASSES:
                raise InputError(f"{path.name}, {name}: the header has no class:0 or class:1.")
            parts[part].append(
                Record(name, letters(text, f"{path.name}, {name}"), _CLIP_CLASSES[rest.strip()])
            )
    notes = (f"{unreadable:,} windows of N alone were left out.",) if unreadable else ()
    return Found(
        parts, f"Sites of {trains[0].name.split('.train')[0]}", notes, "the paper's RBP interactions"
    )


def yeast_m6a(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """pos_train_hr, neg_train_hr and the four test files of the same names' ends."""
    names = {
        Part.TRAIN: (("pos_train_hr", "m6A"), ("neg_train_hr", "unmodified")),
        Part.TEST: (
            ("p_testaac601", "m6A"),
            ("p_testgac601", "m6A"),
            ("n_testaac601", "unmodified"),
            ("n_testgac601", "unmodified"),
        ),
    }
    parts: dict[Part, list[Record]] = {}
    for part, files in names.items():
        parts[part] = []
        for stem, label in files:
            path = folder.file(f"{stem}.fasta")
            if path is None:
                return None
            parts[part] += [
                Record(name, letters(text, f"{path.name}, {name}"), label)
                for name, _, text in read_headers(path)
            ]
    return Found(parts, "m6A sites of yeast", (), "the 12 modifications of BEACON")


def _with_label(path: Path, letters: Normaliser) -> list[Record]:
    found = []
    for number, (name, rest, text) in enumerate(read_headers(path), start=1):
        words = f"{name} {rest}".split()
        where = f"{path.name}, record {number}"
        if len(words) < 2:
            raise InputError(f"{where}: the header {name!r} has no label after the id. Add it.")
        found.append(Record(words[0], letters(text, where), words[-1]))
    return found
