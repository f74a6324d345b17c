"""Whatever ends an ingest, its directory holds a whole dataset or none."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bioprune_core.errors import StorageError
from bioprune_core.progress import Progress
from bioprune_core.sequences import Pool, ingest


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    letters = np.frombuffer(b"ACGU", np.uint8)[np.random.default_rng(0).integers(0, 4, (20_000, 200))]
    path = tmp_path / "in.fa"
    path.write_bytes(b"".join(b">r%d\n%s\n" % (row, line.tobytes()) for row, line in enumerate(letters)))
    return path


CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from bioprune_core.sequences import ingest
    print("ready", flush=True)
    ingest(Path(sys.argv[1]), Path(sys.argv[2]))
    print("done", flush=True)
    """
)


@pytest.mark.faults
def test_a_killed_ingest_is_invisible_and_a_rerun_completes_it(pool_file: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    started = time.monotonic()
    ingest(pool_file, reference)
    seconds = time.monotonic() - started
    output = tmp_path / "dataset"
    output.mkdir()
    # What a stage keeps in its directory stays.
    (output / "config.json").write_text("{}")
    for share in (0.2, 0.5, 0.8, 0.95, 1.1):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(pool_file), str(output)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(share * seconds)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if (output / "manifest.json").exists():
            assert len(Pool.open(output)) == 20_000
    report = ingest(pool_file, output)
    assert report.sequences == 20_000
    assert sorted(entry.name for entry in output.iterdir()) == [
        "config.json",
        "manifest.json",
        "report.json",
        "sequences",
    ]
    assert [part.read_bytes() for part in sorted((output / "sequences").iterdir())] == [
        part.read_bytes() for part in sorted((reference / "sequences").iterdir())
    ]


@pytest.mark.faults
def test_a_full_disk_ends_with_a_sentence_and_leaves_nothing(pool_file: Path, tmp_path: Path) -> None:
    """On a real, small file system where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(StorageError, match=r"No space left on the disk that holds .*Free some space"):
            ingest(pool_file, disk / "dataset")
        assert list((disk / "dataset").iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.faults
def test_a_file_size_limit_ends_with_a_sentence_and_leaves_nothing(pool_file: Path, tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import json, resource, signal, sys
        from pathlib import Path
        from bioprune_core.errors import StorageError
        from bioprune_core.sequences import ingest
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        try:
            ingest(Path(sys.argv[1]), Path(sys.argv[2]))
        except StorageError as error:
            print(json.dumps(error.message))
        """
    )
    output = tmp_path / "dataset"
    child = subprocess.run(
        [sys.executable, "-c", code, str(pool_file), str(output)], capture_output=True, text=True, check=True
    )
    assert json.loads(child.stdout).startswith(f"Could not write {output}")
    assert list(output.iterdir()) == []


@pytest.mark.parametrize(
    "place", ["spool.Spool.add", "parts.PartWriter._write_group", "spill.Partitions._spill"]
)
def test_no_space_at_any_writer_ends_with_a_sentence_and_leaves_nothing(
    pool_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bioprune_core.sequences.spill._HELD_BYTES", 1000)
    monkeypatch.setattr(f"bioprune_core.sequences.{place}", full)
    with pytest.raises(StorageError, match="No space left on the disk"):
        ingest(pool_file, tmp_path / "dataset")
    assert list((tmp_path / "dataset").iterdir()) == []


def test_an_interrupt_leaves_nothing(pool_file: Path, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.stage == "write":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(pool_file, tmp_path / "dataset", report=interrupt)
    assert list((tmp_path / "dataset").iterdir()) == []


def test_progress_runs_to_its_total_in_both_stages(pool_file: Path, tmp_path: Path) -> None:
    messages: list[Progress] = []
    ingest(pool_file, tmp_path / "dataset", report=messages.append)
    for stage, unit, total in (("ingest", "bytes", pool_file.stat().st_size), ("write", "sequences", 20_000)):
        done = [message.done for message in messages if message.stage == stage]
        assert done == sorted(done)
        assert done[-1] == total
        assert {(message.unit, message.total) for message in messages if message.stage == stage} == {
            (unit, total)
        }


def test_a_damaged_part_is_told(pool_file: Path, tmp_path: Path) -> None:
    ingest(pool_file, tmp_path / "dataset")
    part = tmp_path / "dataset" / "sequences" / "part-00000.parquet"
    data = part.read_bytes()
    part.write_bytes(data[: len(data) // 2])
    with pytest.raises(StorageError, match=r"missing or damaged\. Ingest the dataset again"):
        Pool.open(tmp_path / "dataset")
    shutil.rmtree(tmp_path / "dataset" / "sequences")
    with pytest.raises(StorageError, match="holds 0 sequences where its manifest says 20,000"):
        Pool.open(tmp_path / "dataset")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Three times the file, the same memory: measured in processes of their own."""
    code = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from bioprune_core.sequences import ingest
        ingest(Path(sys.argv[1]), Path(sys.argv[2]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """
    )
    peaks = []
    generator = np.random.default_rng(0)
    for copies in (1, 3):
        path = tmp_path / f"{copies}.fa"
        with path.open("wb") as stream:
            for copy in range(copies * 2):
                letters = np.frombuffer(b"ACGU", np.uint8)[generator.integers(0, 4, (20_000, 400))]
                lines = (b">r%d_%d\n%s\n" % (copy, row, line.tobytes()) for row, line in enumerate(letters))
                stream.write(b"".join(lines))
        child = subprocess.run(
            [sys.executable, "-c", code, str(path), str(tmp_path / f"dataset{copies}")],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(child.stdout) / 1024)
    assert peaks[1] < peaks[0] + 40, f"{peaks} MB"
