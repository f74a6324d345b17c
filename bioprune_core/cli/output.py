"""What a person or a program sees of a command: results, progress and errors."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from bioprune_core.errors import BioPruneError, ConflictError
from bioprune_core.progress import Progress, Reporter

__all__ = [
    "ForceOption",
    "JsonOption",
    "print_error",
    "print_result",
    "print_table",
    "progress_bars",
    "refuse_existing",
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output and no progress.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]

# Where standard error is a file or a pipe, one line a stage every this many seconds.
_PLAIN_INTERVAL_S = 10.0


def print_result(result: Mapping[str, Any], as_json: bool, sentence: str) -> None:
    """Print a command's outcome: the mapping as JSON, or the sentence for a person."""
    print(json.dumps(result, indent=2, ensure_ascii=False, default=str) if as_json else sentence)


def print_table(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str) -> None:
    """Print rows of one shape as a JSON list or an aligned table; `empty` says what to do about none."""
    if as_json:
        print(json.dumps(list(rows), indent=2, ensure_ascii=False, default=str))
    elif not rows:
        print(empty)
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in rows[0]:
            is_number = isinstance(rows[0][name], int | float)
            table.add_column(
                name.replace("_", " "), justify="right" if is_number else "left", overflow="fold"
            )
        for row in rows:
            # As text: a name in square brackets would be taken for markup and not be shown.
            table.add_row(*(Text(f"{v:,}" if isinstance(v, int) else str(v)) for v in row.values()))
        # A pipe gets whole rows: rich would fold them to 80 columns.
        Console(width=None if sys.stdout.isatty() else 200).print(table)


def print_error(error: BioPruneError, as_json: bool) -> None:
    """Print an error's sentence on standard error; as JSON with its kind, exit code and detail."""
    if as_json:
        document = {
            "error": error.message,
            "kind": type(error).__name__,
            "exit_code": error.exit_code,
            "detail": error.detail,
        }
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"Error: {error.message}", file=sys.stderr)


def refuse_existing(files: Sequence[Path], force: bool) -> None:
    """Refuse to write over files, unless told to; folders and devices are refused where files are written.

    Raises:
        ConflictError: One of the files exists.
    """
    existing = next((file for file in files if file.is_file()), None)
    if existing is not None and not force:
        raise ConflictError(f"{existing} exists. Give --output another name, or --force to replace it.")


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Reporter]:
    """A reporter that draws one bar a stage on a terminal, plain lines elsewhere, nothing when quiet."""
    console = Console(stderr=True)
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[count]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[dim]{task.fields[metrics]}"),
        )
        with Bars(*columns, console=console) as bars:
            yield _BarReporter(bars)
    else:
        yield _LineReporter(console)


class _BarReporter:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(
                progress.stage, total=None, count="", metrics=""
            )
        self._bars.update(
            self._tasks[progress.stage],
            completed=progress.done,
            total=progress.total,
            count=_count(progress),
            metrics=_metrics(progress),
        )


class _LineReporter:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        finished = progress.total is not None and progress.done >= progress.total
        if finished or now - self._last.get(progress.stage, -_PLAIN_INTERVAL_S) >= _PLAIN_INTERVAL_S:
            self._last[progress.stage] = now
            line = f"{progress.stage}: {_count(progress)}  {_metrics(progress)}".rstrip()
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _count(progress: Progress) -> str:
    total = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.done:,}{total} {progress.unit}"


def _metrics(progress: Progress) -> str:
    return "  ".join(
        f"{name.replace('_per_s', '/s').replace('_', ' ')} {value:,.4g}"
        if abs(value) < 1000
        else f"{name.replace('_per_s', '/s').replace('_', ' ')} {value:,.0f}"
        for name, value in progress.metrics.items()
    )
