"""Base pairs: BEACON's table and matrices, dot-bracket and bpseq files, and bpRNA as it is here."""

import json
from collections.abc import Container
from pathlib import Path

from bioprune_core.errors import InputError
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.places import Folder, read_text
from bioprune_core.tasks.readers.matrices import load_matrix, symmetric_pairs
from bioprune_core.tasks.readers.tabular import PART_NAMES, part_files
from bioprune_core.tasks.records import Found, Record
from bioprune_core.tasks.structures import dot_bracket_map, pair_map, read_bpseq, split_dot_bracket
from bioprune_core.tasks.tables import read_table
from bioprune_core.tasks.task import Part, Task

__all__ = ["beacon_structure", "bprna", "structure_files"]

_BPRNA_PARTS = {"TR0": Part.TRAIN, "VL0": Part.VALIDATION, "TS0": Part.TEST}


def beacon_structure(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """bpRNA.csv (seq, file_name, data_name) beside TR0, VL0 and TS0 with one .npy matrix a sequence."""
    path = folder.file("bpRNA.csv")
    if path is None:
        return None
    table = read_table(path)
    places = [table.needed((name,), f"the {name}") for name in ("seq", "file_name", "data_name")]
    parts: dict[Part, list[Record]] = {}
    for row, cells in enumerate(table.rows):
        sequence, name, data_name = (cells[place] for place in places)
        if data_name not in _BPRNA_PARTS:
            raise InputError(f"{table.where(row)}: data_name is {data_name!r}; it must be TR0, VL0 or TS0.")
        text = letters(sequence, table.where(row))
        matrix = path.parent / data_name / f"{Path(name).name.removesuffix('.npy')}.npy"
        target = symmetric_pairs(load_matrix(matrix, len(text)), matrix.name)
        parts.setdefault(_BPRNA_PARTS[data_name], []).append(Record(name, text, target))
    return Found(parts, "BEACON's bpRNA.csv and matrices")


def structure_files(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """train, validation and test, each as a .dbn file or a folder of .bpseq files."""
    brackets = part_files("dbn")
    folders = {part: [f"{name}/*.bpseq" for name in names] for part, names in PART_NAMES.items()}
    paths = folder.parts({part: [*brackets[part], *folders[part]] for part in PART_NAMES})
    parts: dict[Part, list[Record]] = {}
    for part, path in paths.items():
        if path.is_dir():
            parts[part] = [_bpseq(file, letters) for file in sorted(path.glob("*.bpseq*"))]
        else:
            parts[part] = _dot_brackets(path, letters)
    return Found(parts, "Files of structures") if parts else None


def bprna(folder: Folder, _task: Task, letters: Normaliser) -> Found | None:
    """bpRNA_splits.csv with bpRNA-1m_90_short.dbn for TR0 and VL0, and bpRNA_TS0.csv."""
    splits = folder.file("bpRNA_splits.csv")
    structures = folder.file("bpRNA-1m_90_short.dbn")
    tested = folder.file("bpRNA_TS0.csv")
    if splits is None or structures is None or tested is None:
        return None
    table = read_table(splits)
    name, partition = table.needed(("id",), "the id"), table.needed(("partition",), "the part")
    part_of = {row[name]: _BPRNA_PARTS.get(row[partition]) for row in table.rows}
    parts: dict[Part, list[Record]] = {Part.TRAIN: [], Part.VALIDATION: []}
    for record in _dot_brackets(structures, letters, part_of.keys()):
        part = part_of[record.name]
        if part in parts:
            parts[part].append(record)
    parts[Part.TEST] = _pair_lists(tested, letters)
    counts = {part: sum(each is part for each in part_of.values()) for part in parts}
    notes = (
        f"Only sequences of up to 99 nt are here: {len(parts[Part.TRAIN]):,} of the {counts[Part.TRAIN]:,} "
        f"of TR0 and {len(parts[Part.VALIDATION]):,} of the {counts[Part.VALIDATION]:,} of VL0; the test "
        f"part is {len(parts[Part.TEST]):,} of the {counts[Part.TEST]:,} of TS0.",
    )
    return Found(parts, "bpRNA by the splits of SPOT-RNA", notes, "bpRNA TR0, VL0 and TS0 (BEACON)")


def _dot_brackets(path: Path, letters: Normaliser, wanted: Container[str] | None = None) -> list[Record]:
    found = []
    for name, sequence, structure in split_dot_bracket(read_text(path), path.name):
        if wanted is not None and name not in wanted:
            continue
        where = f"{path.name}, {name}"
        text = letters(sequence, where)
        found.append(Record(name, text, dot_bracket_map(structure, len(text), where)))
    return found


def _bpseq(path: Path, letters: Normaliser) -> Record:
    sequence, pairs = read_bpseq(read_text(path), path.name)
    text = letters(sequence, path.name)
    return Record(path.name, text, pair_map(len(text), pairs, path.name))


def _pair_lists(path: Path, letters: Normaliser) -> list[Record]:
    """Records of a table whose base pairs are a JSON list of places from 1."""
    table = read_table(path)
    name, sequence, pairs = (table.needed((column,), column) for column in ("id", "sequence", "base_pairs"))
    found = []
    for row, cells in enumerate(table.rows):
        text = letters(cells[sequence], table.where(row))
        places = [(left - 1, right - 1) for left, right in json.loads(cells[pairs])]
        target = pair_map(len(text), places, table.where(row))
        found.append(Record(cells[name], text, target))
    return found
