"""Contact and distance maps: BEACON's tables and matrices, and SPOT-RNA-2D's."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioprune_core.errors import InputError
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.places import Folder, read_text
from bioprune_core.tasks.readers.tabular import part_files
from bioprune_core.tasks.records import Found, Record
from bioprune_core.tasks.tables import read_table
from bioprune_core.tasks.task import Part, TargetKind, Task

__all__ = ["beacon_maps", "load_matrix", "spot_rna_2d", "symmetric_pairs"]

_SPOT_PARTS = {"TR": Part.TRAIN, "VL": Part.VALIDATION, "TS1": Part.TEST, "TS2": Part.TEST, "TS3": Part.TEST}


def load_matrix(path: Path, length: int) -> NDArray[np.floating]:
    """An L x L matrix of a .npy file.

    Raises:
        InputError: It is missing, no matrix, or of another size than the sequence.
    """
    try:
        matrix: NDArray[np.floating] = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(
            f"The matrix {path} cannot be read. Put it there, as saved by numpy.", str(error)
        ) from error
    if matrix.shape != (length, length):
        raise InputError(
            f"The matrix {path.name} has the shape {matrix.shape}; for its sequence of {length:,} letters it "
            f"must be {(length, length)}."
        )
    return matrix


def symmetric_pairs(matrix: NDArray[np.floating], name: str) -> NDArray[np.int8]:
    """A binary map, int8, from the upper triangle of a matrix of 0, 1 and -1 (not scored).

    The diagonal is that of the matrix.

    Raises:
        InputError: It has other values, or a 1 in the lower triangle alone.
    """
    if strange := sorted(set(np.unique(matrix).tolist()) - {-1.0, 0.0, 1.0}):
        raise InputError(
            f"The matrix {name} has the value {strange[0]}; it may have 0, 1 and -1 for unknown."
        )
    upper = np.triu(matrix).astype(np.int8)
    if ((np.tril(matrix, -1).T == 1) & (upper != 1)).any():
        raise InputError(
            f"The matrix {name} has a 1 in its lower triangle that the upper one has not. Fill both alike."
        )
    return upper + np.triu(upper, 1).T


def beacon_maps(folder: Folder, task: Task, letters: Normaliser) -> Found | None:
    """train, val and test as .csv (id, sequence) beside contact_map or distance_map with ID.npy."""
    matrices = folder.folder("contact_map" if task.target is TargetKind.PAIRS else "distance_map")
    if matrices is None:
        return None
    parts: dict[Part, list[Record]] = {}
    for part, path in folder.parts(part_files("csv")).items():
        table = read_table(path)
        name, sequence = table.needed(("id",), "the id"), table.needed(("sequence", "seq"), "the sequence")
        parts[part] = []
        for row, cells in enumerate(table.rows):
            text = letters(cells[sequence], table.where(row))
            matrix = load_matrix(matrices / f"{cells[name]}.npy", len(text))
            if task.target is TargetKind.PAIRS:
                target: NDArray[np.generic] = symmetric_pairs(matrix, cells[name])
            else:
                known = np.isfinite(matrix) & (matrix >= 0)
                target = np.where(known, matrix, np.nan).astype(np.float32)
            parts[part].append(Record(cells[name], text, target))
    return Found(parts, "BEACON's tables and matrices") if parts else None


def spot_rna_2d(folder: Folder, task: Task, letters: Normaliser) -> Found | None:
    """The id lists TR_ids, VL_ids and TS1_ids to TS3_ids, the sequences, and one .true matrix each."""
    lists = {name: folder.file(f"{name}_ids") for name in _SPOT_PARTS}
    if task.target is not TargetKind.PAIRS or any(path is None for path in lists.values()):
        return None
    sequences = dict(_fasta(name, text) for name, text in folder.members("all_sequences", ""))
    matrices = {
        name: _matrix(name, text) for name, text in folder.members("distance_contact_labels", ".true")
    }
    parts: dict[Part, list[Record]] = {}
    missing = []
    for list_name, path in lists.items():
        assert path is not None
        for name in read_text(path).split():
            if name not in matrices or name not in sequences:
                missing.append(name)
                continue
            text = letters(sequences[name], name)
            matrix = matrices[name]
            if matrix.shape != (len(text), len(text)):
                raise InputError(
                    f"{name}: the matrix has the shape {matrix.shape}, the sequence {len(text):,} letters. "
                    "They must agree."
                )
            target = symmetric_pairs(np.triu(matrix), name)
            # No residue is in contact with itself; the files have 0 there, others 1.
            np.fill_diagonal(target, -1)
            parts.setdefault(_SPOT_PARTS[list_name], []).append(Record(name, text, target))
    notes: tuple[str, ...] = ("The test part is TS1, TS2 and TS3 together.",)
    if missing:
        notes += (f"Without a map or sequence, left out: {', '.join(missing)}.",)
    return Found(
        parts, "SPOT-RNA-2D", notes, "BEACON's contact maps, whose selection of the same data differs"
    )


def _fasta(name: str, text: str) -> tuple[str, str]:
    header, _, letters = text.strip().partition("\n")
    words = header.removeprefix(">").split()
    if not header.startswith(">") or not words:
        raise InputError(f"{name} of all_sequences is no FASTA with an id. Correct it or leave it out.")
    return words[0], "".join(letters.split())


def _matrix(name: str, text: str) -> NDArray[np.floating]:
    rows = [line.split() for line in text.splitlines() if line.strip()]
    if any(len(row) != len(rows) for row in rows):
        return np.zeros((len(rows), 0))  # refused by its shape, with the name
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{name}.true is no matrix of numbers. Fetch it again.", str(error)) from error
