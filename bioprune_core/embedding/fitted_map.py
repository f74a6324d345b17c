"""A map fitted on landmarks: places and clusters of any sequence follow from it."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bioprune_core.embedding.config import MapConfig
from bioprune_core.embedding.layout import find_clusters, lay_out
from bioprune_core.embedding.projection import Projection, fit_projection
from bioprune_core.errors import StorageError
from bioprune_core.storage import atomic_path

__all__ = ["FittedMap", "Placer", "fit_map"]


@dataclass(frozen=True, slots=True, eq=False)
class FittedMap:
    """What places a sequence on the map.

    Args:
        rows: Rows of the landmarks in the pool, int64, ascending, shape (m,).
        mean: Mean embedding of the landmarks, float32, shape (width,).
        axes: Principal axes, float32, shape (width, components).
        points: Principal components of the landmarks, float32, shape (m, components).
        plane: Their places on the map, float32, shape (m, 2).
        centres: Centres of the clusters, float32, shape (clusters, components).
    """

    rows: NDArray[np.int64]
    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    points: NDArray[np.float32]
    plane: NDArray[np.float32]
    centres: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the map atomically."""
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        with atomic_path(path) as part, part.open("wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, path: Path) -> "FittedMap":
        """Read what `save` wrote.

        Raises:
            StorageError: The file is damaged.
        """
        try:
            # Opened here: of a damaged file numpy would leave its own open.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                return cls(**{name: stored[name] for name in cls.__dataclass_fields__})
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise StorageError(
                f"Could not read {path}: it is damaged. Remove its folder to draw the map again.",
                detail=str(error),
            ) from error


class Placer:
    """Places sequences on a fitted map.

    Args:
        fitted: The map.
        neighbours: Landmarks between which a sequence is placed.
    """

    def __init__(self, fitted: FittedMap, neighbours: int) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._fitted = fitted
        self._projection = Projection(fitted.mean, fitted.axes)
        self._landmarks = NearestNeighbors(
            n_neighbors=min(neighbours, len(fitted.points)), algorithm="brute"
        ).fit(fitted.points)
        self._centres = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(fitted.centres)

    def place(
        self, start: int, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Place the sequences of the rows start.. on the map.

        A landmark keeps its own place. Any other sequence comes to lie at the mean of its nearest landmarks,
        weighted by the inverse square of the distance in principal components: close to a landmark it lies
        at that landmark, and a far second one pulls little.

        Args:
            start: Row of the first sequence in the pool.
            embeddings: Shape (n, width).

        Returns:
            Places, float32, shape (n, 2), and clusters, int32, shape (n,).
        """
        points = self._projection.apply(embeddings)
        distances, nearest = self._landmarks.kneighbors(points)
        squares = distances.astype(np.float64) ** 2
        # Relative to the nearest, so that the weights neither overflow nor depend on the embeddings' scale.
        least = np.maximum(squares[:, :1], np.finfo(np.float32).tiny)
        weights = least / np.maximum(squares, least)
        weights /= weights.sum(axis=1, keepdims=True)
        places = np.einsum("nk,nkc->nc", weights, self._fitted.plane[nearest])
        first, last = np.searchsorted(self._fitted.rows, [start, start + len(points)])
        places[self._fitted.rows[first:last] - start] = self._fitted.plane[first:last]
        clusters = self._centres.kneighbors(points, return_distance=False)[:, 0]
        return places.astype(np.float32), clusters.astype(np.int32)


def fit_map(rows: NDArray[np.int64], embeddings: NDArray[np.float32], config: MapConfig) -> FittedMap:
    """Fit the map on its landmarks.

    Args:
        rows: Rows of the landmarks in the pool, ascending, shape (m,).
        embeddings: Their embeddings, shape (m, width).
        config: Components, layout, clusters and seed.
    """
    projection = fit_projection(embeddings, config.components)
    points = projection.apply(embeddings)
    return FittedMap(
        rows=rows,
        mean=projection.mean,
        axes=projection.axes,
        points=points,
        plane=lay_out(points, config),
        centres=find_clusters(points, config),
    )
