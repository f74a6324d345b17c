"""The real sets are read with the sizes that are known of them."""

from pathlib import Path

import numpy as np
import pytest

from bioprune_core.errors import InputError
from bioprune_core.tasks import Part, TargetKind, read_task

SETS = {
    "rna-type": "nrc13",
    "crispr-on-target": "crispr_ontarget",
    "rna-structure": ".",
    "contact-map": "contact_map_spotrna2d",
    "m6a": "m6a_yeast",
    "localisation": ".",
    "protein-structure": ".",
    "ppi-affinity": "ppi_affinity",
}


@pytest.mark.parametrize(("name", "folder"), SETS.items())
def test_a_real_set_is_a_task(shared_data: Path, name: str, folder: str) -> None:
    data = read_task(name, shared_data / folder)
    known = {
        "rna-type": 2600,
        "rna-structure": 1304,
        "contact-map": 147,
        "m6a": 2 * (2751 + 2194),
        "localisation": 2768,
        "protein-structure": 511,
    }
    assert all(len(data.parts[part]) > 5 for part in Part)
    assert len(data.parts[Part.TEST]) in (known.get(name), known.get(name, 0) - 1) or name not in known
    if name == "rna-type":
        assert len(data.task.classes) == 13
        tested = set(data.parts[Part.TEST].sequences)
        assert not tested & set(data.parts[Part.TRAIN].sequences)
    if name == "crispr-on-target":
        assert sum(len(examples) for examples in data.parts.values()) == 2076
        assert {len(sequence) for sequence in data.parts[Part.TRAIN].sequences} == {23}
    if data.task.target is TargetKind.PAIRS:
        for sequence, target in zip(
            data.parts[Part.TEST].sequences, data.parts[Part.TEST].targets, strict=True
        ):
            assert target.shape == (len(sequence), len(sequence))
            np.testing.assert_array_equal(target, target.T)


def test_the_sites_of_one_protein_are_a_task(shared_data: Path, tmp_path: Path) -> None:
    for path in (shared_data / "rbp_clip31").glob("24_PARCLIP_QKI_hg19.*"):
        (tmp_path / path.name).symlink_to(path)
    data = read_task("rbp", tmp_path, limit=1000)
    assert data.task.classes == ("unbound", "bound")
    assert 0.1 < data.parts[Part.TEST].targets.mean() < 0.3
    assert len(data.parts[Part.TRAIN]) == 1000
    with pytest.raises(InputError, match="binding sites of 10 proteins"):
        read_task("rbp", shared_data / "rbp_clip31")
