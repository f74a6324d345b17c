"""Drawing the map of a run, part by part."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bioprune_core.embedding.config import MapConfig
from bioprune_core.embedding.fitted_map import FittedMap, Placer, fit_map
from bioprune_core.embedding.landmarks import choose_landmarks
from bioprune_core.embedding.source import EmbeddedPool, Part
from bioprune_core.errors import ConflictError, InputError
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.storage import atomic_path, read_json, remove_leftovers, write_json

__all__ = ["run_map"]

_FITTED, _IDENTITY = "landmarks.npz", "map.json"


def run_map(
    embeddings_dir: Path,
    scores_dir: Path,
    output_dir: Path,
    config: MapConfig,
    report: Reporter = discard,
) -> None:
    """Draw the map of a scored pool: a place and a cluster for every sequence.

    The layout is fitted on landmarks from all levels of influence; every other sequence is placed between
    its nearest landmarks. Only the landmarks are in memory at once. Killed anywhere, the same call goes on
    with the parts that are missing; the result depends on the inputs and the seed alone.

    Args:
        embeddings_dir: Parts with position and embedding.
        scores_dir: Parts of the same names with hash and influence.
        output_dir: The map's own: receives parts of the same names, with position, x, y (float32) and
            cluster (int32, by falling number of landmarks, 0 first), and the fitted map.
        config: Landmarks, layout, clusters and seed.
        report: Told of the stages "map-landmarks", "map-fit" and "map".

    Raises:
        InputError: Embeddings or influences are NaN or infinite, absent, or do not belong together.
        ConflictError: The directory holds a map of other inputs or settings.
        StorageError: A file cannot be read or written.
    """
    pool = EmbeddedPool.open(embeddings_dir, scores_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output_dir)
    fitted = _fitted(pool, output_dir, config, report)
    placer = Placer(fitted, config.placing_neighbours)
    done, placed, began = 0, 0, time.monotonic()
    for part in pool.parts:
        path = output_dir / part.name
        if not path.is_file():
            _write(path, *_place(pool, part, placer))
            placed += part.rows
        done += part.rows
        rate = placed / max(time.monotonic() - began, 1e-9)
        report(Progress("map", done, len(pool), "sequences", {"sequences_per_s": rate}))


def _fitted(pool: EmbeddedPool, output_dir: Path, config: MapConfig, report: Reporter) -> FittedMap:
    influence, hashes = pool.influence(), pool.hashes()
    inputs = hashlib.sha256(influence.tobytes())
    inputs.update(hashes.tobytes())
    identity = {"config": config.to_json(), "inputs": inputs.hexdigest(), "width": pool.width}
    if (output_dir / _FITTED).is_file():
        if read_json(output_dir / _IDENTITY) != json.loads(json.dumps(identity)):
            raise ConflictError(
                f"{output_dir} holds a map of other scores or settings. Choose another folder or "
                "remove this one."
            )
        return FittedMap.load(output_dir / _FITTED)
    rows = choose_landmarks(influence, hashes, config.landmarks, config.strata, config.seed)
    embeddings = _gather(pool, rows, report)
    report(Progress("map-fit", 0, len(rows), "landmarks"))
    fitted = fit_map(rows, embeddings, config)
    write_json(output_dir / _IDENTITY, identity)
    fitted.save(output_dir / _FITTED)
    report(Progress("map-fit", len(rows), len(rows), "landmarks"))
    return fitted


def _gather(pool: EmbeddedPool, rows: NDArray[np.int64], report: Reporter) -> NDArray[np.float32]:
    """The embeddings of the landmarks, shape (m, width); every embedding is checked on the way."""
    gathered = np.empty((len(rows), pool.width), dtype=np.float32)
    broken, examples = 0, list[int]()
    for part in pool.parts:
        start = part.start
        for positions, embeddings in pool.chunks(part):
            bad = ~np.isfinite(embeddings).all(axis=1)
            broken += int(np.count_nonzero(bad))
            examples += positions[bad][: 3 - len(examples)].tolist()
            first, last = np.searchsorted(rows, [start, start + len(embeddings)])
            gathered[first:last] = embeddings[rows[first:last] - start]
            start += len(embeddings)
        report(Progress("map-landmarks", start, len(pool), "sequences"))
    if broken:
        raise InputError(
            f"{broken} of the {len(pool)} embeddings in {pool.embeddings} are NaN or infinite (the first at "
            f"positions {', '.join(map(str, examples))}). Score the pool again in float32."
        )
    return gathered


def _place(
    pool: EmbeddedPool, part: Part, placer: Placer
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]:
    # Of a part without any rows, since none of its sequences has a score, there are no chunks.
    positions, places = [np.empty(0, np.int64)], [np.empty((0, 2), np.float32)]
    clusters = [np.empty(0, np.int32)]
    start = part.start
    for chunk, embeddings in pool.chunks(part):
        place, cluster = placer.place(start, embeddings)
        positions.append(chunk)
        places.append(place)
        clusters.append(cluster)
        start += len(chunk)
    return np.concatenate(positions), np.concatenate(places), np.concatenate(clusters)


def _write(
    path: Path, positions: NDArray[np.int64], places: NDArray[np.float32], clusters: NDArray[np.int32]
) -> None:
    table = pa.table({"position": positions, "x": places[:, 0], "y": places[:, 1], "cluster": clusters})
    with atomic_path(path) as part:
        pq.write_table(table, part, compression="zstd")
