import errno
import json
import os
from pathlib import Path

import pytest

from bioprune_core.errors import StorageError
from bioprune_core.storage import atomic_path, read_json, write_json


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    write_json(target, {"run": 1})
    with pytest.raises(RuntimeError), atomic_path(target) as part:
        part.write_text("half")
        raise RuntimeError("interrupted")
    assert read_json(target) == {"run": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_two_writers_of_one_file_do_not_share_a_part(tmp_path: Path) -> None:
    """Not even with the same process id, as in two containers."""
    target = tmp_path / "scores.json"
    with atomic_path(target) as one, atomic_path(target) as other:
        one.write_text("whole")
        other.write_text("ha")
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(StorageError, match="pipe is no file that can be replaced"),
        atomic_path(tmp_path / "pipe"),
    ):
        pass
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_full_disk_is_told_with_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"No space left .* Free some space"), atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_nan_is_refused_rather_than_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "manifest.json", {"loss": float("nan")})
    assert not (tmp_path / "manifest.json").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StorageError, match=r"manifest\.json"):
        read_json(tmp_path / "manifest.json")


def test_json_is_written_with_sorted_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["a", "b"]
