"""Proteins: DeepLoc's compartments, FLIP's and CB513's secondary structure, affinities of complexes."""

from pathlib import Path

import numpy as np

from bioprune_core.errors import InputError
from bioprune_core.tasks.cells import parse_label
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.places import Folder, read_headers
from bioprune_core.tasks.readers.tabular import part_files
from bioprune_core.tasks.records import Found, Record
from bioprune_core.tasks.tables import read_table
from bioprune_core.tasks.task import Part, Task

__all__ = ["compartments", "complexes", "deeploc", "flip_structure"]

# DeepLoc 1's. Tables have them in other spellings, and PEER's by number, so they are no classes of the task.
_COMPARTMENTS = (
    "Cell.membrane",
    "Cytoplasm",
    "Endoplasmic.reticulum",
    "Extracellular",
    "Golgi.apparatus",
    "Lysosome/Vacuole",
    "Mitochondrion",
    "Nucleus",
    "Peroxisome",
    "Plastid",
)
_TWO_COMPARTMENTS = "Cytoplasm-Nucleus"
# The folds are separated by homology; one of them is a fair validation part.
_VALIDATION_FOLD = "4"
_MANIFESTS = ("kastritis81_manifest.csv", "vreven_bm55_manifest_boltz.csv")


def compartments(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """train.fasta and test.fasta (and validation.fasta), the second word as in DeepLoc 1: Nucleus-U."""
    several = 0
    parts: dict[Part, list[Record]] = {}
    for part, path in folder.parts(part_files("fasta", "fa")).items():
        found = _with_compartment(path, letters)
        parts[part] = [record for record in found if record.target != _TWO_COMPARTMENTS]
        several += len(found) - len(parts[part])
    notes = (f"{several:,} proteins of cytoplasm and nucleus were left out.",) if several else ()
    return Found(parts, "FASTA files with compartments in their headers", notes) if parts else None


def deeploc(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """deeploc_test_set.fasta of DeepLoc 1; the folds outer1..5_inner1_valid.csv of DeepLoc 2 to train on."""
    test = folder.file("deeploc_test_set.fasta")
    folds = [folder.file(f"outer{number}_inner1_valid.csv") for number in range(1, 6)]
    if test is None or any(fold is None for fold in folds):
        return None
    parts: dict[Part, list[Record]] = {Part.TRAIN: [], Part.VALIDATION: []}
    parts[Part.TEST] = _with_compartment(test, letters)
    known = {str(record.target) for record in parts[Part.TEST]}
    several = 0
    for fold in folds:
        assert fold is not None
        table = read_table(fold)
        places = [table.needed((name,), name) for name in ("accession", "sequence", "label", "partition")]
        for row, cells in enumerate(table.rows):
            name, text, label, partition = (cells[place] for place in places)
            label = label.replace(" ", ".")
            if label not in known:
                several += 1
                continue
            part = Part.VALIDATION if partition == _VALIDATION_FOLD else Part.TRAIN
            parts[part].append(Record(name, letters(text, table.where(row)), label))
    notes = (
        f"{several:,} proteins of DeepLoc 2 with several compartments, or one that DeepLoc 1 has not, were "
        f"left out; its fold {_VALIDATION_FOLD} is the validation part.",
    )
    return Found(
        parts, "DeepLoc 1's test set; DeepLoc 2 to train on", notes, "the training part of DeepLoc 1"
    )


def flip_structure(folder: Folder, task: Task, letters: Normaliser) -> Found | None:
    """FLIP's sequences.fasta, sampled.fasta (labels and parts) and mask.fasta; CB513.csv to test on."""
    inner = folder.folder("flip_secondary_structure")
    own = folder if inner is None else Folder(inner)
    paths = [own.file(f"{stem}.fasta") for stem in ("sequences", "sampled", "mask")]
    if any(path is None for path in paths):
        return None
    sequences, sampled, masks = (read_headers(path) for path in paths if path is not None)
    letters_of = {name: text for name, _, text in sequences}
    mask_of = {name: text for name, _, text in masks}
    parts: dict[Part, list[Record]] = {part: [] for part in Part}
    for name, rest, label in sampled:
        if name not in letters_of or name not in mask_of:
            raise InputError(
                f"{name} of sampled.fasta is not in sequences.fasta and mask.fasta. Fetch them again."
            )
        record = _residues(name, letters_of[name], label, mask_of[name], task, letters)
        parts[_flip_part(rest)].append(record)
    tested = folder.file("CB513.csv")
    if tested is None:
        return Found(parts, "FLIP", ("The test part is FLIP's own.",), "NetSurfP-2.0 with CB513 to test on")
    parts[Part.TEST] = _cb513(folder, task, letters)
    return Found(parts, "FLIP to train on, CB513 to test on", (), "the training part of NetSurfP-2.0")


def complexes(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """kastritis81_manifest.csv and vreven_bm55_manifest_boltz.csv: two sequences and a binding energy."""
    paths = [path for name in _MANIFESTS if (path := folder.file(name)) is not None]
    if not paths:
        return None
    found: dict[str, Record] = {}
    without = 0
    for path in paths:
        table = read_table(path)
        columns = ("pdb_id", "seq_target", "seq_binder", "dg_exp")
        places = [table.needed((name,), name) for name in columns]
        for row, cells in enumerate(table.rows):
            name, first, second, energy = (cells[place] for place in places)
            if not energy.strip():
                without += 1
                continue
            where = table.where(row)
            target = parse_label(energy, _task, len(first), where)
            found.setdefault(name, Record(name, letters(first, where), target, letters(second, where)))
    notes = (f"{without:,} complexes without a measured energy were left out." if without else "",)
    return Found(
        {Part.TRAIN: list(found.values())},
        f"{len(found):,} complexes of the affinity benchmarks, kcal/mol",
        tuple(note for note in notes if note),
        "SKEMPI's 2,127 / 212 / 343 pairs (PEER)",
    )


def _with_compartment(path: Path, letters: Normaliser) -> list[Record]:
    """Records whose second word is a compartment, and after a hyphen whether membrane, soluble or unknown."""
    found = []
    for name, rest, text in read_headers(path):
        where = f"{path.name}, {name}"
        word = (rest.split() or [""])[0]
        label = word
        if label not in (*_COMPARTMENTS, _TWO_COMPARTMENTS):
            label = word.rsplit("-", 1)[0]
        if label not in (*_COMPARTMENTS, _TWO_COMPARTMENTS):
            raise InputError(
                f"{where}: the word after the id is {word!r}, which is no compartment of "
                f"DeepLoc 1. Write one of {', '.join(_COMPARTMENTS)}."
            )
        found.append(Record(name, letters(text, where), label))
    return found


def _residues(name: str, text: str, label: str, mask: str, task: Task, letters: Normaliser) -> Record:
    sequence = letters(text, name)
    if len(mask) != len(sequence):
        raise InputError(f"{name}: the mask has {len(mask):,} signs, the sequence {len(sequence):,} letters.")
    target = parse_label(label, task, len(sequence), name)
    return Record(name, sequence, np.where(np.array(list(mask)) == "1", target, -1))


def _flip_part(rest: str) -> Part:
    if "SET=test" in rest:
        return Part.TEST
    return Part.VALIDATION if "VALIDATION=True" in rest else Part.TRAIN


def _cb513(folder: Folder, task: Task, letters: Normaliser) -> list[Record]:
    path = folder.file("CB513.csv")
    assert path is not None
    table = read_table(path)
    places = [table.needed((name,), name) for name in ("input", "dssp3", "cb513_mask", "disorder")]
    found = []
    for row, cells in enumerate(table.rows):
        text, label, mask, resolved = (cells[place] for place in places)
        scored, known = (np.array(signs.split(), dtype=np.float64) > 0 for signs in (mask, resolved))
        if len(scored) != len(known):
            raise InputError(
                f"{table.where(row)}: cb513_mask has {len(scored):,} signs, disorder {len(known):,}. They "
                "must be equal."
            )
        # A disorder of 0 says that a residue has no coordinates, so that its C is none: 564 of 83,991.
        signs = "".join("1" if each else "0" for each in scored & known)
        found.append(_residues(table.where(row), text, label, signs, task, letters))
    return found
