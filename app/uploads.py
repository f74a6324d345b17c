"""Chunked uploads on disk: they survive a closed browser, a killed server and a power cut.

A folder a file: `upload.json` says what is coming, `accepted` how many bytes are on disk and verified,
`file/<name>` is the finished file, and `manifest.json`, written last, says that it is complete.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from app.formatting import byte_size
from app.upload_chunks import ChunkWriter, OffsetError, TooLargeError
from bioprune_core.errors import ConflictError, InputError, NotFoundError, StorageError
from bioprune_core.storage import atomic_path, read_json, remove_directory, storage_error, write_json
from bioprune_core.workspace.locks import hold

__all__ = ["Upload", "UploadStore"]

_RESERVE_BYTES = 256 << 20
_NAME_BYTES = 200
_BEGIN_S = 10.0
"""How long to wait for another upload that begins, which takes a moment."""
_GONE = "This upload is no longer there. Choose the file again to start anew."


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way or arrived.

    Args:
        id: Made from project, name, size and time of change: choosing the same file again finds it.
        project: Id of the project it belongs to.
        name: File name.
        size: Bytes in all.
        accepted: Bytes on disk and verified.
        created: When it was begun.
        touched: When the newest of its bytes arrived, or else it was begun; seconds since the epoch.
        path: Where the finished file is, or will be.
        complete: Whether all of it is there.
    """

    id: str
    project: str
    name: str
    size: int
    accepted: int
    created: datetime
    touched: float
    path: Path
    complete: bool


class UploadStore:
    """The uploads of a workspace.

    Args:
        folder: The workspace's `uploads` folder.
        limit: Largest file, in bytes.
        reserve: Bytes of the disk that uploads leave free.
    """

    def __init__(self, folder: Path, limit: int, reserve: int = _RESERVE_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.limit = limit
        self._reserve = reserve

    def free_bytes(self) -> int:
        """Bytes that may still be uploaded before the disk is full."""
        return max(0, shutil.disk_usage(self.folder).free - self._reserve)

    def begin(self, project: str, name: str, size: int, modified: int) -> Upload:
        """Start an upload, or find the one that the same file began earlier.

        Args:
            project: Id of the project.
            name: File name as the browser gives it.
            size: Bytes.
            modified: Time of last change in milliseconds, as the browser gives it.

        Raises:
            InputError: Empty file, or a name that cannot be used.
            TooLargeError: Larger than the limit.
            StorageError: Not enough room on the disk.
            ConflictError: Another upload begins, and takes long; or another tab finishes this one.
        """
        name = _checked_name(name)
        if size <= 0:
            raise InputError(f"{name} is empty. Choose a file with at least one record.")
        if size > self.limit:
            raise TooLargeError(
                f"{name} has {byte_size(size)}; at most {byte_size(self.limit)} may be uploaded. "
                "Compress it, or put it in a folder of the server and import it from there."
            )
        key = "\n".join((project, name, str(size), str(modified)))
        identifier = f"upload-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
        description = self.folder / identifier / "upload.json"
        if not description.is_file():
            # Of two tabs that begin with the same file the second finds what the first has made.
            with hold(self.folder / ".begin.lock", f"the upload of {name}", wait_s=_BEGIN_S):
                if not description.is_file():
                    self._make(identifier, project, name, size)
        return self._checked_room(self.resume(identifier))

    def _make(self, identifier: str, project: str, name: str, size: int) -> None:
        folder = self.folder / identifier
        if folder.exists():
            # Rests without a description count for nothing: the bytes that they call accepted may be gone.
            remove_directory(folder)
        description = {
            "kind": "upload",
            "project": project,
            "name": name,
            "bytes": size,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._checked_room(self._upload(identifier, description))
        write_json(folder / "upload.json", description)

    def get(self, identifier: str) -> Upload:
        """The upload of that id.

        Raises:
            NotFoundError: There is none; it was discarded.
        """
        description = self.folder / identifier / "upload.json"
        if Path(identifier).name != identifier or not description.is_file():
            raise NotFoundError(_GONE)
        try:
            return self._upload(identifier, read_json(description))
        except (StorageError, FileNotFoundError) as error:
            if description.is_file():
                raise
            # Discarded by somebody else while it was read.
            raise NotFoundError(_GONE) from error

    def resume(self, identifier: str) -> Upload:
        """The upload of that id; finishes one whose server was killed between last chunk and promotion."""
        upload = self.get(identifier)
        if upload.accepted == upload.size and not upload.complete:
            with _locked(self.folder / identifier / "lock", upload.name):
                self._finish(upload)
        return self.get(identifier)

    def of_project(self, project: str) -> list[Upload]:
        """All uploads of a project, the newest first."""
        uploads = []
        for path in self.folder.glob("upload-*/upload.json"):
            # Somebody else may discard one while they are listed.
            with suppress(NotFoundError):
                uploads.append(self.get(path.parent.name))
        return sorted(
            (upload for upload in uploads if upload.project == project),
            key=lambda upload: (upload.created, upload.id),
            reverse=True,
        )

    @contextmanager
    def chunk(self, identifier: str, offset: int) -> Iterator[ChunkWriter]:
        """Open the file for its next chunk; two writers of one file never meet.

        Raises:
            OffsetError: The file on disk ends elsewhere; carries where.
            ConflictError: Another tab is sending a chunk of the same file.
        """
        upload = self.get(identifier)
        folder = self.folder / identifier
        with _locked(folder / "lock", upload.name):
            upload = self.get(identifier)
            if upload.complete or offset != upload.accepted:
                raise OffsetError(
                    f"{upload.name}: the next part must start at byte {upload.accepted:,}, not {offset:,}.",
                    upload.accepted,
                )
            self._checked_room(upload)
            try:
                with _opened(folder / "content.part") as stream:
                    yield ChunkWriter(stream, offset, upload.size - offset)
            except OSError as error:
                raise storage_error(error, upload.path) from error

    def accept(self, identifier: str, offset: int, written: int) -> Upload:
        """Count a committed chunk; when it was the last, promote the file. Called inside `chunk`."""
        folder = self.folder / identifier
        with atomic_path(folder / "accepted") as part:
            part.write_text(str(offset + written), encoding="ascii")
        upload = self.get(identifier)
        if upload.accepted == upload.size:
            self._finish(upload)
        return self.get(identifier)

    def remove(self, identifier: str) -> None:
        """Discard an upload and what of it is on disk."""
        upload = self.get(identifier)
        with _locked(self.folder / identifier / "lock", upload.name):
            remove_directory(self.folder / identifier)

    def _finish(self, upload: Upload) -> None:
        folder = self.folder / upload.id
        if not upload.path.exists():
            with _opened(folder / "content.part") as stream:
                # A chunk that was refused may have left letters behind the end.
                stream.truncate(upload.size)
                os.fsync(stream.fileno())
            upload.path.parent.mkdir(exist_ok=True)
            (folder / "content.part").replace(upload.path)
        write_json(
            folder / "manifest.json",
            {
                "kind": "upload",
                "project": upload.project,
                "name": upload.name,
                "bytes": upload.size,
                "created": upload.created.isoformat(),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    def _upload(self, identifier: str, description: dict[str, Any]) -> Upload:
        folder = self.folder / identifier
        accepted = folder / "accepted"
        created = datetime.fromisoformat(description["created"])
        return Upload(
            id=identifier,
            project=description["project"],
            name=description["name"],
            size=description["bytes"],
            accepted=int(accepted.read_text(encoding="ascii")) if accepted.is_file() else 0,
            created=created,
            touched=accepted.stat().st_mtime if accepted.is_file() else created.timestamp(),
            path=folder / "file" / description["name"],
            complete=(folder / "manifest.json").is_file(),
        )

    def _checked_room(self, upload: Upload) -> Upload:
        missing, free = upload.size - upload.accepted, self.free_bytes()
        if missing > free:
            raise StorageError(
                f"{upload.name} needs {byte_size(missing)} more on the server's disk and {byte_size(free)} "
                "can be used. Free some space, or remove datasets and uploads that are no longer needed."
            )
        return upload


def _checked_name(name: str) -> str:
    last = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not last or last.startswith(".") or not last.isprintable() or len(last.encode()) > _NAME_BYTES:
        raise InputError(
            f"The file name {name[:80]!r} cannot be used: it must have 1 to {_NAME_BYTES} bytes of printable "
            "characters and not start with a dot. Rename the file."
        )
    return last


def _opened(path: Path) -> BinaryIO:
    """The file for reading and writing in place, made when it is not there."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    try:
        lock = path.open("a")
    except FileNotFoundError as error:
        raise NotFoundError(_GONE) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConflictError(
                f"{name} is being uploaded in another tab. Wait for it, or close it."
            ) from error
        yield
