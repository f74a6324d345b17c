"""What a map can be told; written with the run, so that it can be replayed."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bioprune_core.errors import InputError
from bioprune_core.fields import refuse_unknown_fields

__all__ = ["MapConfig"]


@dataclass(frozen=True, slots=True)
class MapConfig:
    """Settings of the two-dimensional map of a pool's embeddings.

    Args:
        seed: Of the choice of landmarks, the layout and the clusters.
        landmarks: Sequences that the layout is fitted on; all where the pool has fewer.
        neighbours: Landmarks that count as near in the layout: few show detail, many the whole.
        minimum_distance: How close the layout may put points, in units of the map.
        clusters: Clusters of the embeddings; fewer where there are not as many different ones.
        strata: Classes of influence, equally wide on a log scale, from which landmarks are drawn evenly.
        components: Principal components that the embeddings are reduced to first.
        placing_neighbours: Landmarks between which any other sequence is placed.

    Raises:
        InputError: A value is out of its bounds; names it and the bound.
    """

    seed: int = 0
    landmarks: int = 20_000
    neighbours: int = 15
    minimum_distance: float = 0.1
    clusters: int = 24
    strata: int = 50
    components: int = 50
    placing_neighbours: int = 5

    def __post_init__(self) -> None:
        least = {"landmarks": 4, "neighbours": 2, "clusters": 1, "strata": 1, "components": 2}
        for name, bound in {**least, "placing_neighbours": 1, "seed": 0}.items():
            value = getattr(self, name)
            if value < bound:
                raise InputError(f"The map setting {name} is {value}; it must be at least {bound}.")
        if self.seed >= 1 << 32:
            raise InputError(f"The map setting seed is {self.seed}; it must be below 2^32.")
        if not (math.isfinite(self.minimum_distance) and 0 <= self.minimum_distance <= 1):
            raise InputError(
                f"The map setting minimum_distance is {self.minimum_distance}; it must be in [0, 1]."
            )

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "MapConfig":
        """The configuration that `to_json` wrote; absent fields take their defaults.

        Raises:
            InputError: A field is unknown or out of its bounds.
        """
        refuse_unknown_fields(cls, value, "map settings")
        return cls(**value)
