import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bioprune_core.embedding import MapConfig, run_map
from bioprune_core.embedding.fitted_map import FittedMap
from bioprune_core.errors import ConflictError, InputError, StorageError
from bioprune_core.progress import Progress

CONFIG = MapConfig(landmarks=150, clusters=4, components=10)


def families(count: int, width: int = 64, groups: int = 4, seed: int = 0) -> tuple[Any, Any]:
    """Points around well separated centres, and the centre of each."""
    random = np.random.default_rng(seed)
    centres = random.normal(scale=10, size=(groups, width))
    group = random.integers(0, groups, count)
    return centres[group] + random.normal(size=(count, width)), group


def draw(files: Any, config: MapConfig = CONFIG) -> None:
    run_map(files.embeddings, files.scores, files.output, config)


def test_every_sequence_gets_a_place_beside_its_like(run_files: Any) -> None:
    embeddings, group = families(420)
    run_files.write(embeddings)
    messages: list[Progress] = []
    run_map(run_files.embeddings, run_files.scores, run_files.output, CONFIG, messages.append)
    table = run_files.read()
    assert table["position"].to_pylist() == list(range(420))
    assert [str(field.type) for field in table.schema] == ["int64", "float", "float", "int32"]
    places = run_files.places()
    assert np.isfinite(places).all()
    # The nearest other point on the map is of the same family, landmark or not.
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (group[distances.argmin(axis=1)] == group).all()
    clusters = table["cluster"].to_numpy()
    assert len(set(zip(clusters.tolist(), group.tolist(), strict=True))) == 4
    assert list(dict.fromkeys(message.stage for message in messages)) == ["map-landmarks", "map-fit", "map"]
    assert messages[-1].done == messages[-1].total == 420


def test_the_map_is_a_function_of_inputs_and_seed(run_files: Any, tmp_path: Path) -> None:
    embeddings, _ = families(300)
    run_files.write(embeddings)
    draw(run_files)
    first = run_files.read()
    for seed, same in ((0, True), (1, False)):
        run_files.output = tmp_path / f"again-{seed}"
        draw(run_files, replace(CONFIG, seed=seed))
        assert run_files.read().equals(first) is same


def test_an_interrupted_map_goes_on_with_the_missing_parts(run_files: Any, tmp_path: Path) -> None:
    embeddings, _ = families(420)
    run_files.write(embeddings)
    draw(run_files)
    whole, whole_output = run_files.read(), run_files.output
    run_files.output = tmp_path / "broken"

    for stage, done in (("map-landmarks", 200), ("map-fit", 0), ("map", 200)):

        def interrupt(progress: Progress, stage: str = stage, done: int = done) -> None:
            if (progress.stage, progress.done) == (stage, done):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_map(run_files.embeddings, run_files.scores, run_files.output, CONFIG, interrupt)
    finished = run_files.output / "part-00000.parquet"
    written = finished.stat().st_mtime_ns
    (run_files.output / ".part-00003.parquet.1.part").write_bytes(b"half")
    draw(run_files)
    assert run_files.read().equals(whole)
    assert finished.stat().st_mtime_ns == written
    assert {path.name for path in run_files.output.iterdir()} == {
        path.name for path in whole_output.iterdir()
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16])
def test_few_sequences(run_files: Any, count: int) -> None:
    embeddings, _ = families(count)
    run_files.write(embeddings)
    draw(run_files)
    places = run_files.places()
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == count


@pytest.mark.parametrize("count", [1, 3, 300])
def test_equal_embeddings_share_one_place(run_files: Any, count: int) -> None:
    run_files.write(np.ones((count, 64)))
    draw(run_files)
    assert not run_files.places().any()
    assert set(run_files.read()["cluster"].to_pylist()) == {0}


@pytest.mark.parametrize("different", [2, 3, 4, 5, 20])
def test_many_copies_of_few_embeddings(run_files: Any, different: int) -> None:
    embeddings, _ = families(different)
    copies = np.arange(300) % different
    run_files.write(embeddings[copies])
    draw(run_files)
    places = run_files.places()
    assert np.isfinite(places).all()
    clusters = run_files.read()["cluster"].to_numpy()
    for value in range(different):
        assert len(set(clusters[copies == value])) == 1


@pytest.mark.parametrize("width", [1, 2, 9])
def test_narrow_embeddings(run_files: Any, width: int) -> None:
    embeddings, _ = families(200, width=width)
    run_files.write(embeddings)
    draw(run_files)
    assert np.isfinite(run_files.places()).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused_with_their_count(run_files: Any, value: float) -> None:
    embeddings, _ = families(250)
    embeddings[[7, 130, 131, 249], 3] = value
    run_files.write(embeddings)
    with pytest.raises(InputError, match=r"^4 of the 250 embeddings .* positions 7, 130, 131\)"):
        draw(run_files)
    assert not list(run_files.output.glob("part-*"))


def test_influences_that_are_not_finite_are_refused_with_their_count(run_files: Any) -> None:
    embeddings, _ = families(20)
    influence: NDArray[np.float64] = np.ones(20)
    influence[3] = np.nan
    run_files.write(embeddings, influence)
    with pytest.raises(InputError, match=r"^1 of the 20 influences"):
        draw(run_files)


def test_files_that_do_not_belong_together_are_refused(run_files: Any) -> None:
    with pytest.raises(InputError, match="no embeddings"):
        draw(run_files)
    embeddings, _ = families(120)
    run_files.write(embeddings)
    (run_files.scores / "part-00001.parquet").unlink()
    with pytest.raises(StorageError, match=r"part-00001\.parquet"):
        draw(run_files)
    run_files.write(embeddings[:110])
    run_files.embeddings.joinpath("part-00001.parquet").write_bytes(
        run_files.embeddings.joinpath("part-00000.parquet").read_bytes()
    )
    with pytest.raises(InputError, match=r"100 rows but .* has 10"):
        draw(run_files)


@pytest.mark.parametrize("kept", [0, 400])
def test_a_fitted_map_that_was_cut_off_gets_a_sentence(tmp_path: Path, kept: int) -> None:
    path, few = tmp_path / "landmarks.npz", np.zeros(3, np.float32)
    FittedMap(few.astype(np.int64), few, few, few, few, few).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StorageError, match=r"landmarks\.npz: it is damaged"):
        FittedMap.load(path)


def test_a_directory_of_another_map_is_refused(run_files: Any) -> None:
    embeddings, _ = families(120)
    run_files.write(embeddings)
    draw(run_files)
    with pytest.raises(ConflictError, match="other scores or settings"):
        draw(run_files, replace(CONFIG, seed=1))


@pytest.mark.parametrize(
    ("name", "value"),
    [("landmarks", 3), ("neighbours", 1), ("clusters", 0), ("minimum_distance", -1.0), ("seed", -1)],
)
def test_a_setting_out_of_bounds_is_named(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        MapConfig(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Unknown map settings: colour"):
        MapConfig.from_json({"colour": 1})
    assert MapConfig.from_json(CONFIG.to_json()) == CONFIG


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys; import bioprune_core.embedding; "
        "assert not {'torch', 'umap', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
