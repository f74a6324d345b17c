"""`bioprune doctor`: what is installed, which devices, disk and database there are, and what to fix."""

import importlib.metadata
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil
import sqlalchemy

from bioprune_core.errors import StorageError
from bioprune_core.settings import Settings
from bioprune_core.workspace.catalogue import database_engine

__all__ = ["Finding", "Verdict", "examine"]

_PACKAGES = ("torch", "transformers", "streamlit", "duckdb", "pyarrow", "dbos", "umap-learn", "plotly")
_GIB = 1 << 30
# Measured: an RNA-FM-sized model in float32, its activations and the worker need about 2 GiB.
_LITTLE_MEMORY = 4 * _GIB
_LITTLE_DISK = 5 * _GIB


class Verdict(StrEnum):
    """How a finding bears on the use of BioPrune."""

    GOOD = "good"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination; `remedy` is empty where there is nothing to fix."""

    what: str
    value: str
    verdict: Verdict = Verdict.GOOD
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at this installation. Every check ends in a finding; none of them changes anything."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _devices,
        _memory,
        _workspace,
        _database,
        _port,
    )
    return [finding for check in checks for finding in check(settings)]


def _python(_: Settings) -> Iterator[Finding]:
    yield Finding("Python", sys.version.split()[0])


def _packages(_: Settings) -> Iterator[Finding]:
    for name in _PACKAGES:
        try:
            yield Finding(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "missing", Verdict.PROBLEM, "Run: pip install -r requirements.txt")


def _devices(_: Settings) -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield Finding("compute", str(error), Verdict.PROBLEM, "Run: pip install -r requirements.txt")
        return
    yield Finding("CPU", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for tensor work")
    if not torch.cuda.is_available():
        yield Finding("GPU", "none; models run on the CPU")
    for index in range(torch.cuda.device_count()):
        yield _gpu(index)


def _gpu(index: int) -> Finding:
    import torch

    properties = torch.cuda.get_device_properties(index)
    name, value = f"GPU {index}", f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB"
    try:
        # Late: it loads transformers, for seconds, which is for nothing where there is no GPU.
        from bioprune_core.models.packed import gpu_kernels

        compiled = gpu_kernels(torch.device("cuda", index)) is not None
    except ImportError as error:
        return Finding(name, f"{value}, {error}", Verdict.PROBLEM, "Run: pip install -r requirements.txt")
    except torch.OutOfMemoryError:
        return Finding(name, f"{value}, no memory free", Verdict.WARNING, "See what else uses it.")
    if compiled:
        return Finding(name, value)
    return Finding(
        name,
        f"{value}, without compiled kernels: scoring in bf16 is slower",
        Verdict.WARNING,
        "Install a C compiler and Python's headers (on Debian and Ubuntu: gcc and python3-dev).",
    )


def _memory(_: Settings) -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    value = f"{memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB free"
    if memory.available < _LITTLE_MEMORY:
        yield Finding("memory", value, Verdict.WARNING, "Close other programs, or choose a small model.")
    else:
        yield Finding("memory", value)


def _workspace(settings: Settings) -> Iterator[Finding]:
    folder = settings.workspace.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        remedy = f"Make {existing} writable, or set BIOPRUNE_WORKSPACE to another folder."
        yield Finding("workspace", f"{folder}, not writable", Verdict.PROBLEM, remedy)
        return
    yield Finding("workspace", f"{folder}" + ("" if folder.exists() else ", made on first use"))
    free = shutil.disk_usage(existing).free
    value = f"{free / _GIB:.1f} GiB free"
    if free < _LITTLE_DISK:
        yield Finding("disk", value, Verdict.WARNING, f"Free some space on the disk of {existing}.")
    else:
        yield Finding("disk", value)


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None:
        yield from _sqlite(settings.workspace.absolute())
        return
    try:
        engine = database_engine(settings.database_url)
    except StorageError as error:
        yield Finding("database", error.message, Verdict.PROBLEM, "Correct or unset BIOPRUNE_DATABASE_URL.")
        return
    if engine.dialect.name == "sqlite":
        # Connecting would make the file.
        yield from _sqlite(Path(engine.url.database or "").absolute().parent)
        return
    shown = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        engine.dispose()
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        remedy = "Start the server or correct BIOPRUNE_DATABASE_URL."
        yield Finding("database", f"{shown} does not answer: {reason}", Verdict.PROBLEM, remedy)
        return
    yield Finding("database", shown)


def _sqlite(folder: Path) -> Iterator[Finding]:
    file_system = _file_system(folder)
    if file_system.startswith(("nfs", "cifs", "smb", "fuse.sshfs", "lustre", "gpfs", "beegfs")):
        remedy = "SQLite needs a local disk: set BIOPRUNE_DATABASE_URL to a PostgreSQL server."
        yield Finding("database", f"SQLite on {file_system}", Verdict.PROBLEM, remedy)
    else:
        yield Finding("database", "SQLite, for workers on this machine alone")


def _file_system(folder: Path) -> str:
    """The type of the file system that `folder` is, or will be, on."""
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def _port(_: Settings) -> Iterator[Finding]:
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex(("127.0.0.1", 8501)) == 0
    yield Finding(
        "port 8501", "in use (by the app, or choose another: bioprune serve --port)" if taken else "free"
    )
