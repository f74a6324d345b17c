"""The one family of errors. Each carries a sentence for the user and, apart from it, a detail for the log."""

__all__ = [
    "BioPruneError",
    "ConflictError",
    "DiskFullError",
    "InputError",
    "MissingFileError",
    "ModelError",
    "NotFoundError",
    "SelectionError",
    "StageError",
    "StorageError",
    "UnknownModelError",
]


class BioPruneError(Exception):
    """An error that a person can act on.

    Args:
        message: A sentence for the user: what (file, record, value), which bound, what to do about it.
        detail: What only the log needs, such as the text of the underlying exception.
    """

    exit_code = 1

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InputError(BioPruneError):
    """A file, record or parameter given by the user is not acceptable."""

    exit_code = 2


class MissingFileError(InputError):
    """A file or folder that was named does not exist."""

    exit_code = 3


class NotFoundError(BioPruneError):
    """A named project, dataset, run, coreset, model or job does not exist, or the workspace itself."""

    exit_code = 3


class ConflictError(BioPruneError):
    """A name is taken, or another process works on the same thing."""

    exit_code = 4


class SelectionError(InputError):
    """Scores or selection parameters do not allow a selection."""


class ModelError(InputError):
    """A model cannot be found, converted or loaded, or does not fit the data."""


class UnknownModelError(ModelError):
    """A model that was named is none of the workspace, of the known ones or of this machine's."""

    exit_code = 3


class StorageError(BioPruneError):
    """The disk is full, unreadable or holds a damaged file."""

    exit_code = 5


class DiskFullError(StorageError):
    """No space is left on a disk."""


class StageError(BioPruneError):
    """A stage of a run ended without finishing its work."""

    exit_code = 6
