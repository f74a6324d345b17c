"""Chunked uploads: what is accepted is on disk and right, whatever happens in between."""

import os
import time
import zlib
from pathlib import Path

import pytest

from app.upload_chunks import ChunkError, OffsetError, TooLargeError
from app.uploads import Upload, UploadStore
from bioprune_core.errors import ConflictError, InputError, NotFoundError, StorageError

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    return UploadStore(tmp_path / "uploads", limit=1 << 20, reserve=0)


def begin(store: UploadStore, size: int = len(CONTENT), name: str = "pool.fasta") -> Upload:
    return store.begin("project-1", name, size, 1_700_000_000_000)


def send(
    store: UploadStore, upload: Upload, content: bytes, offset: int, checksum: int | None = None
) -> Upload:
    with store.chunk(upload.id, offset) as chunk:
        for start in range(0, len(content), 777):
            chunk.write(content[start : start + 777])
        written = chunk.commit(zlib.crc32(content) if checksum is None else checksum)
        return store.accept(upload.id, offset, written)


def test_the_file_is_whole_and_visible_only_after_the_last_chunk(store: UploadStore) -> None:
    upload = begin(store)
    upload = send(store, upload, CONTENT[:5000], 0)
    assert (upload.accepted, upload.complete, upload.path.exists()) == (5000, False, False)
    upload = send(store, upload, CONTENT[5000:], 5000)
    assert upload.complete
    assert upload.path.read_bytes() == CONTENT
    assert upload.path.name == "pool.fasta"


def test_choosing_the_same_file_again_continues_where_it_stopped(store: UploadStore, tmp_path: Path) -> None:
    send(store, begin(store), CONTENT[:3000], 0)
    # Another process: nothing is remembered but what is on disk.
    again = UploadStore(tmp_path / "uploads", limit=1 << 20, reserve=0)
    assert begin(again).accepted == 3000


def test_an_upload_tells_when_the_newest_of_it_arrived(store: UploadStore) -> None:
    upload = begin(store)
    assert upload.touched == upload.created.timestamp()
    send(store, upload, CONTENT[:1000], 0)
    os.utime(store.folder / upload.id / "accepted", (1_700_000_000, 1_700_000_000))
    assert begin(store).touched == 1_700_000_000
    assert send(store, upload, CONTENT[1000:2000], 1000).touched == pytest.approx(time.time(), abs=60)


def test_a_damaged_chunk_leaves_nothing_behind(store: UploadStore) -> None:
    upload = send(store, begin(store), CONTENT[:1000], 0)
    with pytest.raises(ChunkError, match="checksum"):
        send(store, upload, CONTENT[1000:9000], 1000, checksum=1)
    assert store.get(upload.id).accepted == 1000
    assert send(store, upload, CONTENT[1000:], 1000).path.read_bytes() == CONTENT


def test_what_a_refused_chunk_wrote_behind_the_end_is_cut_off(store: UploadStore) -> None:
    upload = begin(store, size=100)
    (store.folder / upload.id / "content.part").write_bytes(b"x" * 5000)
    assert send(store, upload, CONTENT[:100], 0).path.read_bytes() == CONTENT[:100]


@pytest.mark.parametrize("offset", [0, 999, 1001, len(CONTENT)])
def test_a_chunk_must_continue_where_the_file_ends(store: UploadStore, offset: int) -> None:
    upload = send(store, begin(store), CONTENT[:1000], 0)
    with pytest.raises(OffsetError) as caught, store.chunk(upload.id, offset):
        pass
    assert caught.value.accepted == 1000


def test_two_tabs_cannot_write_the_same_file(store: UploadStore) -> None:
    upload = begin(store)
    with (
        store.chunk(upload.id, 0),
        pytest.raises(ConflictError, match="another tab"),
        store.chunk(upload.id, 0),
    ):
        pass


def test_a_chunk_cannot_run_past_the_end(store: UploadStore) -> None:
    upload = begin(store, size=100)
    with pytest.raises(TooLargeError):
        send(store, upload, CONTENT[:101], 0)


def test_killed_between_the_last_chunk_and_the_promotion_it_is_finished_on_return(store: UploadStore) -> None:
    upload = begin(store)
    folder = store.folder / upload.id
    (folder / "content.part").write_bytes(CONTENT)
    (folder / "accepted").write_text(str(len(CONTENT)))
    assert not store.get(upload.id).complete
    upload = begin(store)
    assert upload.complete
    assert upload.path.read_bytes() == CONTENT


def test_killed_between_the_promotion_and_the_manifest_it_is_finished_on_return(store: UploadStore) -> None:
    upload = send(store, begin(store), CONTENT, 0)
    (store.folder / upload.id / "manifest.json").unlink()
    assert not store.get(upload.id).complete
    assert store.resume(upload.id).complete


def test_too_large_files_are_refused_with_the_limit(store: UploadStore) -> None:
    with pytest.raises(TooLargeError, match=r"1\.0 MB may be uploaded"):
        begin(store, size=(1 << 20) + 1)


def test_a_full_disk_is_found_before_the_first_byte(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads", limit=1 << 62, reserve=0)
    with pytest.raises(StorageError, match="Free some space"):
        begin(store, size=1 << 61)
    assert store.of_project("project-1") == []


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a\nb.fasta", "x" * 300, "folder/"])
def test_names_that_cannot_be_files_are_refused(store: UploadStore, name: str) -> None:
    with pytest.raises(InputError, match="file name"):
        begin(store, name=name)


def test_a_path_in_the_name_stays_outside(store: UploadStore) -> None:
    assert begin(store, name="../../etc/passwd").path.parent.parent.parent == store.folder
    assert begin(store, name="C:\\data\\pool.fa").name == "pool.fa"


def test_empty_files_are_refused(store: UploadStore) -> None:
    with pytest.raises(InputError, match="empty"):
        begin(store, size=0)


def test_uploads_are_listed_by_project_and_removed(store: UploadStore) -> None:
    first = begin(store)
    second = store.begin("project-2", "pool.fasta", 10, 0)
    assert [upload.id for upload in store.of_project("project-1")] == [first.id]
    assert first.id != second.id
    store.remove(first.id)
    assert store.of_project("project-1") == []
    with pytest.raises(NotFoundError):
        store.get(first.id)


@pytest.mark.parametrize(
    ("asked", "file"), [("glob", ""), ("is_file", "upload.json"), ("is_file", "accepted")]
)
def test_an_upload_that_vanishes_while_they_are_listed_is_passed_over(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch, asked: str, file: str
) -> None:
    gone, kept = begin(store), begin(store, name="kept.fasta")
    for upload in (gone, kept):
        send(store, upload, CONTENT[:1000], 0)
    path = store.folder / gone.id / file if file else store.folder
    original = getattr(Path, asked)

    def and_then_discarded(self: Path, *arguments: str) -> object:
        """What the file system says, just before somebody else discards the upload."""
        found = original(self, *arguments)
        if self == path and (store.folder / gone.id).exists():
            found = list(found) if asked == "glob" else found
            (store.folder / gone.id).rename(store.folder / ".deleted-1")
        return found

    monkeypatch.setattr(Path, asked, and_then_discarded)
    assert [upload.id for upload in store.of_project("project-1")] == [kept.id]


def _killed(_: Path) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("accepted", [3000, len(CONTENT)])
def test_a_file_whose_discard_was_killed_is_sent_anew(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch, accepted: int
) -> None:
    upload = send(store, begin(store), CONTENT[:accepted], 0)
    with monkeypatch.context() as patched:
        patched.setattr("bioprune_core.storage.shutil.rmtree", _killed)
        with pytest.raises(KeyboardInterrupt):
            store.remove(upload.id)
    assert store.of_project("project-1") == []
    again = begin(store)
    assert (again.accepted, again.complete) == (0, False)
    assert send(store, again, CONTENT, 0).path.read_bytes() == CONTENT
    # A second discard does not stumble over the rests of the first.
    store.remove(upload.id)
    assert not (store.folder / upload.id).exists()


@pytest.mark.parametrize("accepted", [3000, len(CONTENT)])
def test_rests_without_a_description_count_for_nothing(store: UploadStore, accepted: int) -> None:
    upload = send(store, begin(store), CONTENT[:accepted], 0)
    folder = store.folder / upload.id
    for name in ("upload.json", "content.part", "file/pool.fasta"):
        (folder / name).unlink(missing_ok=True)
    again = begin(store)
    assert (again.accepted, again.complete) == (0, False)
    assert send(store, again, CONTENT, 0).path.read_bytes() == CONTENT


def test_a_chunk_for_a_file_that_was_just_discarded_is_refused_as_such(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(store)
    store.remove(upload.id)
    monkeypatch.setattr(store, "get", lambda _: upload)
    with pytest.raises(NotFoundError, match="Choose the file again"), store.chunk(upload.id, 0):
        pass


@pytest.mark.parametrize("identifier", ["..", "upload-0/../x", "", "/etc"])
def test_ids_cannot_leave_the_folder(store: UploadStore, identifier: str) -> None:
    with pytest.raises(NotFoundError):
        store.get(identifier)
