"""Opening the pool that a computation was planned for."""

from bioprune_core.errors import ConflictError
from bioprune_core.jobs.context import StageContext
from bioprune_core.sequences import Pool

__all__ = ["open_pool"]


def open_pool(context: StageContext, dataset_id: str, content_hash: str) -> Pool:
    """The pool that a configuration names.

    Raises:
        StorageError: It is missing or damaged.
        ConflictError: It is not the pool that the configuration was made for.
    """
    pool = Pool.open(context.layout.dataset(dataset_id))
    if pool.content_hash != content_hash:
        raise ConflictError(
            f"The dataset {dataset_id} has changed since this was planned (content {pool.content_hash[:12]} "
            f"instead of {content_hash[:12]}). Plan it again."
        )
    return pool
