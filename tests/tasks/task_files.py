"""Small folders of task data, as tests write them."""

from pathlib import Path

import numpy as np

__all__ = ["RNAS", "write_structures", "write_table"]

RNAS = ("GGGAAACCC", "GCGCAAAAGCGC", "AUAUAGCGAUAU", "CCCUUUGGGA", "GGAUACC", "UUUACGAAA")


def write_table(path: Path, header: str, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def write_structures(folder: Path) -> None:
    """BEACON's layout: a table beside one matrix a sequence."""
    rows = []
    for data_name, sequence in zip(("TR0", "TR0", "VL0", "TS0"), RNAS, strict=False):
        name = f"rna{len(rows)}"
        matrix = np.zeros((len(sequence), len(sequence)))
        matrix[0, len(sequence) - 1] = matrix[len(sequence) - 1, 0] = 1
        (folder / data_name).mkdir(parents=True, exist_ok=True)
        np.save(folder / data_name / f"{name}.npy", matrix)
        rows.append(f"{sequence},{name},{data_name}")
    write_table(folder / "bpRNA.csv", "seq,file_name,data_name", *rows)
