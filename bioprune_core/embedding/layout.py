"""Where the landmarks lie on the map, and to which cluster they belong."""

import warnings

import numpy as np
from numpy.typing import NDArray

from bioprune_core.embedding.config import MapConfig

__all__ = ["find_clusters", "lay_out"]

# With fewer different points a neighbour graph says nothing that two principal components do not.
_LEAST_FOR_UMAP = 4


def lay_out(points: NDArray[np.float32], config: MapConfig) -> NDArray[np.float32]:
    """Lay points out in the plane by UMAP; the same on every call with the same seed.

    Args:
        points: Principal components, the largest first, shape (n, components).
        config: Neighbours, minimum distance and seed.

    Returns:
        Coordinates, float32, shape (n, 2), centred on the origin. Fewer than four different points are
        shown by their first two components.

    Source: McInnes, Healy and Melville, arXiv 1802.03426.
    """
    if len(np.unique(points, axis=0)) < _LEAST_FOR_UMAP:
        plane = np.zeros((len(points), 2), dtype=np.float32)
        plane[:, : points.shape[1]] = points[:, :2]
        return plane
    indices, distances = _nearest(points, min(config.neighbours, len(points) - 1))
    with warnings.catch_warnings():
        # Points far from all others are placed somewhere, which is all that a map needs of them; and neither
        # the library's neural network nor its transform, which does about 100 points/s, is used.
        for message in ("A few of your vertices", r"precomputed_knn\[2\]", "Tensorflow not installed"):
            warnings.filterwarnings("ignore", message=message)
        import umap  # compiles for seconds on import

        reducer = umap.UMAP(
            n_neighbors=indices.shape[1],
            precomputed_knn=(indices, distances, None),
            min_dist=config.minimum_distance,
            init=_initial_plane(points, config.seed),
            random_state=config.seed,
            n_jobs=1,
        )
        plane = reducer.fit_transform(points)
    return np.asarray(plane - plane.mean(axis=0), dtype=np.float32)


def _nearest(points: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Indices and distances of every point's neighbours, itself first, both of shape (n, count).

    Exact, and faster than UMAP's own approximate search, whose compilation alone takes half a minute.
    """
    from sklearn.neighbors import NearestNeighbors

    distances, indices = NearestNeighbors(n_neighbors=count - 1, algorithm="brute").fit(points).kneighbors()
    itself = np.arange(len(points))[:, None]
    return (
        np.hstack([itself, indices]).astype(np.int64),
        np.hstack([np.zeros_like(itself), distances]).astype(np.float32),
    )


def _initial_plane(points: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """The first two components with a little noise, which keeps equal points and empty axes apart.

    Spectral initialisation, UMAP's own, fails on graphs in many pieces, which families of duplicates make.
    """
    plane = np.zeros((len(points), 2))
    plane[:, : points.shape[1]] = points[:, :2]
    plane *= 10 / np.abs(plane).max()
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=plane.shape)
    return np.asarray(plane + noise, dtype=np.float32)


def find_clusters(points: NDArray[np.float32], config: MapConfig) -> NDArray[np.float32]:
    """Centres of the clusters of points, the cluster with most points first.

    The points are landmarks, drawn evenly from all levels of influence: the first cluster need not be the
    largest in the pool.

    Args:
        points: Principal components, shape (n, components).
        config: Number of clusters and seed.

    Returns:
        Float32, shape (clusters, components); fewer than asked for where fewer points are different.
    """
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    clusters = min(config.clusters, len(np.unique(points, axis=0)))
    # One thread: the order in which threads add up would show in the last digits.
    with threadpool_limits(limits=1):
        model = MiniBatchKMeans(clusters, random_state=config.seed, n_init=3, batch_size=4096).fit(points)
    sizes = np.bincount(model.labels_, minlength=clusters)
    centres = model.cluster_centers_[np.argsort(-sizes, kind="stable")]
    return np.asarray(centres, dtype=np.float32)
