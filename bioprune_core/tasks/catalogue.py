"""The tasks that are known by name, and how their data are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import InputError, NotFoundError
from bioprune_core.tasks.assembling import assemble
from bioprune_core.tasks.letters import Normaliser
from bioprune_core.tasks.places import Folder
from bioprune_core.tasks.readers.matrices import beacon_maps, spot_rna_2d
from bioprune_core.tasks.readers.protein import compartments, complexes, deeploc, flip_structure
from bioprune_core.tasks.readers.rna import clip_sites, deep_crispr, labelled_fasta, nrc_families, yeast_m6a
from bioprune_core.tasks.readers.structure import beacon_structure, bprna, structure_files
from bioprune_core.tasks.readers.tabular import tabular
from bioprune_core.tasks.records import Reader
from bioprune_core.tasks.splits import limit_training
from bioprune_core.tasks.task import TargetKind, Task, TaskData

__all__ = ["read_task", "shipped_tasks"]

_RNA, _PROTEIN = Alphabet.RNA, Alphabet.PROTEIN
_CONTACTS = ("contact_precision_l", "contact_precision_l2", "contact_precision_l5")
# In the order of BEACON's label vectors (MultiRM).
_MODIFICATIONS = ("Am", "Cm", "Gm", "Um", "m1A", "m5C", "m5U", "m6A", "m6Am", "m7G", "Psi", "AtoI")


@dataclass(frozen=True, slots=True)
class _Shipped:
    task: Task
    readers: tuple[Reader, ...]


def shipped_tasks() -> Mapping[str, Task]:
    """The known tasks by name, as declared: classes that depend on the data are not named yet."""
    return MappingProxyType({name: shipped.task for name, shipped in _SHIPPED.items()})


def read_task(name: str, folder: Path, limit: int | None = None, seed: int = 0) -> TaskData:
    """The data of a known task.

    The layouts of the originals are looked for first, then those of other sets, which the task then names as
    stand-ins.

    Args:
        name: One of `shipped_tasks`.
        folder: Where its files are, packed or not, or one folder deeper.
        limit: Most training examples, drawn by seed; None for all.
        seed: Of parts that the data do not define, and of the limit.

    Raises:
        NotFoundError: There is no such task.
        InputError: The folder has none of its layouts, or a file is faulty; names file and record.
    """
    if name not in _SHIPPED:
        raise NotFoundError(
            f"There is no task {name}. Known are {', '.join(_SHIPPED)}; or bring your own table."
        )
    shipped = _SHIPPED[name]
    places = Folder(folder)
    for reader in shipped.readers:
        letters = Normaliser(shipped.task.alphabet, shipped.task.target.is_ragged)
        found = reader(places, shipped.task, letters)
        if found is not None:
            return limit_training(assemble(shipped.task, found, letters, seed), limit, seed)
    looked = " ".join(
        f"({number}) {(reader.__doc__ or '').strip()}" for number, reader in enumerate(shipped.readers, 1)
    )
    raise InputError(f"{folder} has no data of the task {name}. Looked for: {looked}")


def _class_task(
    name: str, title: str, alphabet: Alphabet, metrics: tuple[str, ...], classes: tuple[str, ...] = ()
) -> Task:
    return Task(name, title, alphabet, TargetKind.CLASS, metrics, classes)


_SHIPPED: Mapping[str, _Shipped] = {
    shipped.task.name: shipped
    for shipped in (
        _Shipped(
            _class_task("rna-type", "RNA type", _RNA, ("accuracy", "macro_f1")),
            (tabular, labelled_fasta, nrc_families),
        ),
        _Shipped(
            Task("modification", "RNA modification", _RNA, TargetKind.LABELS, ("mean_auc",), _MODIFICATIONS),
            (tabular,),
        ),
        _Shipped(
            _class_task("m6a", "m6A sites", _RNA, ("auc", "accuracy"), ("unmodified", "m6A")),
            (tabular, yeast_m6a),
        ),
        _Shipped(
            Task("crispr-on-target", "CRISPR on-target", _RNA, TargetKind.VALUE, ("spearman", "mse")),
            (tabular, deep_crispr),
        ),
        _Shipped(
            Task(
                "rna-structure",
                "RNA secondary structure",
                _RNA,
                TargetKind.PAIRS,
                ("f1", "precision", "recall"),
            ),
            (beacon_structure, structure_files, tabular, bprna),
        ),
        _Shipped(
            Task("contact-map", "RNA contact map", _RNA, TargetKind.PAIRS, _CONTACTS),
            (beacon_maps, spot_rna_2d),
        ),
        _Shipped(
            Task("distance-map", "RNA distance map", _RNA, TargetKind.PAIR_VALUES, ("r2", "spearman", "mse")),
            (beacon_maps,),
        ),
        _Shipped(
            _class_task(
                "rbp", "RBP interaction", _RNA, ("auc", "accuracy", "balanced_accuracy"), ("unbound", "bound")
            ),
            (tabular, clip_sites),
        ),
        _Shipped(
            _class_task("localisation", "Protein localisation", _PROTEIN, ("accuracy", "balanced_accuracy")),
            (tabular, compartments, deeploc),
        ),
        _Shipped(
            Task(
                "protein-structure",
                "Protein secondary structure",
                _PROTEIN,
                TargetKind.RESIDUE_CLASS,
                ("q3", "q3_per_protein"),
                ("H", "E", "C"),
            ),
            (tabular, flip_structure),
        ),
        _Shipped(
            Task(
                "ppi-affinity",
                "Protein affinity",
                _PROTEIN,
                TargetKind.VALUE,
                ("mae", "rmse", "spearman"),
                partners=True,
            ),
            (tabular, complexes),
        ),
    )
}
