"""The ingest: sequence files in, a dataset directory out."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import bioprune_core
from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ConflictError, InputError
from bioprune_core.progress import Progress, Reporter, discard
from bioprune_core.sequences.alphabets import detect_alphabet
from bioprune_core.sequences.assemble import Assembler
from bioprune_core.sequences.changes import has_changed
from bioprune_core.sequences.file_names import readable
from bioprune_core.sequences.inputs import InputFile, check_label_column, find_files
from bioprune_core.sequences.intake import Intake
from bioprune_core.sequences.notes import notes_on, notes_on_columns, notes_on_labels
from bioprune_core.sequences.options import IngestOptions
from bioprune_core.sequences.report import DropReason, QualityReport
from bioprune_core.storage import flush, read_json, storage_error, write_json

__all__ = ["ingest"]

_REPORT_SECONDS = 0.25


def ingest(
    paths: str | Path | Sequence[str | Path],
    output: Path,
    options: IngestOptions = IngestOptions(),  # noqa: B008 - frozen
    report: Reporter = discard,
    *,
    within: Sequence[Path] = (),
) -> QualityReport:
    """Read sequence files into a dataset directory.

    Everything is written to a hidden folder in `output` and moved into place at the end, the manifest last: a
    directory without a manifest holds no dataset, and an ingest that was killed is simply started again.
    Temporary room on disk: about that of the unpacked text.

    Args:
        paths: Files and folders; folders are read with all they hold, in order of name.
        output: Directory of the dataset; made if it is missing.
        options: Alphabet and policies.
        report: Listener for progress, in the stages "ingest" (bytes of the files) and "write" (sequences).
        within: Folders that no file may lead out of, also not by a link; empty for anywhere.

    Returns:
        What became of every record. If `output` already holds the dataset of these files and options, that
        dataset's report.

    Raises:
        InputError: A file cannot be read, or no record is kept.
        ConflictError: `output` holds another dataset.
        StorageError: The disk is full or not writable.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    started = time.monotonic()
    files, notes = find_files(given, options, within)
    if (output / "manifest.json").exists():
        return _finished(output, files, options)
    check_label_column(files, options)
    alphabet = options.alphabet
    if alphabet is None:
        alphabet, note = detect_alphabet(np.sum([file.letters for file in files], axis=0))
        notes.insert(0, note)
    notes += notes_on_columns(files)
    try:
        with _hidden_folder(output) as folder:
            parts = folder / "sequences"
            parts.mkdir()
            intake = Intake(alphabet, options, folder)
            _read(intake, files, report)
            assembler = Assembler(alphabet, [file.name for file in files], intake.tally, parts, folder)
            ticker = _Ticker(report, "write", intake.spool.rows)
            assembler.run(intake.spool, intake.finder, intake.ids, ticker)
            quality = _quality(intake, assembler, alphabet, options, notes)
            _publish(parts, output, quality)
    except OSError as error:
        raise storage_error(error, output) from error
    manifest = _manifest(files, intake.checksums, options, quality, assembler.content_hash)
    manifest["seconds"] = round(time.monotonic() - started, 3)
    write_json(output / "manifest.json", manifest)
    return quality


class _Ticker:
    """Passes progress on a few times a second."""

    def __init__(self, report: Reporter, stage: str, total: int, unit: str = "sequences") -> None:
        self._report, self._stage, self._total, self._unit = report, stage, total, unit
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, metrics: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        if done >= self._total or now - self._last >= _REPORT_SECONDS:
            self._last = now
            self._report(Progress(self._stage, done, self._total, self._unit, metrics or {}))


def _read(intake: Intake, files: Sequence[InputFile], report: Reporter) -> None:
    ticker = _Ticker(report, "ingest", sum(file.bytes for file in files), "bytes")
    started, before = time.monotonic(), 0
    for file in files:

        def tick(consumed: int, before: int = before) -> None:
            read = intake.tally.read
            speed = read / max(1e-9, time.monotonic() - started)
            ticker(before + consumed, {"records": read, "records_per_s": speed})

        intake.read(file, tick)
        before += file.bytes
    intake.spool.close()
    if intake.spool.rows == 0:
        reasons = ", ".join(
            f"{count.count:,} {reason}" for reason, count in intake.tally.dropped.items() if count.count
        )
        raise InputError(
            f"No record is kept: of {intake.tally.read:,} records read, dropped were {reasons or 'none'}. "
            "Check the files, the alphabet and the length limits."
        )


def _quality(
    intake: Intake, assembler: Assembler, alphabet: Alphabet, options: IngestOptions, notes: list[str]
) -> QualityReport:
    tally, statistics = intake.tally, assembler.statistics
    passed = tally.read - sum(count.count for reason, count in tally.dropped.items() if reason != "duplicate")
    if passed > assembler.kept_records:
        tally.drop(DropReason.DUPLICATE).count = passed - assembler.kept_records
    labels = assembler.labels.count()
    if options.asks_for_labels:
        notes = [*notes, *notes_on_labels(labels, assembler.sequences, options)]
    return QualityReport(
        read=tally.read,
        kept=assembler.kept_records,
        sequences=assembler.sequences,
        dropped={reason: count for reason, count in tally.dropped.items() if count.count},
        changed={reason: count for reason, count in tally.changed.items() if count.count},
        duplicates=intake.spool.rows - assembler.sequences,
        alphabet=alphabet,
        alphabet_detected=options.alphabet is None,
        length_histogram=statistics.length_histogram(),
        lengths=statistics.lengths(),
        composition=statistics.composition(),
        ambiguous=statistics.ambiguous(),
        files=intake.files,
        notes=[*notes, *notes_on(intake, assembler, alphabet)],
        labels=labels if options.asks_for_labels or labels.sequences else None,
    )


@contextmanager
def _hidden_folder(output: Path) -> Iterator[Path]:
    """A fresh folder inside `output`; what an interrupted ingest left there is removed first."""
    folder = output / ".ingest.part"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(parts: Path, output: Path, quality: QualityReport) -> None:
    """Move the parts into place; those of an ingest that was killed before its manifest make way."""
    shutil.rmtree(output / "sequences", ignore_errors=True)
    flush(parts)
    parts.rename(output / "sequences")
    write_json(output / "report.json", quality.to_json())


def _manifest(
    files: Sequence[InputFile],
    checksums: Sequence[str],
    options: IngestOptions,
    quality: QualityReport,
    content_hash: str,
) -> dict[str, Any]:
    return {
        "kind": "dataset",
        "content_hash": content_hash,
        "alphabet": str(quality.alphabet),
        "sequences": quality.sequences,
        "letters": quality.lengths["total"],
        "minimum_length": quality.lengths["minimum"],
        "maximum_length": quality.lengths["maximum"],
        "options": options.to_json(),
        "inputs": [
            {"name": file.name, "bytes": file.bytes, "sha256": checksum}
            for file, checksum in zip(files, checksums, strict=True)
        ],
        "versions": {
            "bioprune": bioprune_core.__version__,
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _finished(output: Path, files: Sequence[InputFile], options: IngestOptions) -> QualityReport:
    manifest: dict[str, Any] = read_json(output / "manifest.json")
    inputs = [(entry["name"], entry["bytes"]) for entry in manifest.get("inputs", [])]
    if inputs != [(file.name, file.bytes) for file in files] or manifest.get("options") != options.to_json():
        raise ConflictError(
            f"{output} already holds a dataset of other files or options. Datasets do not change: choose "
            "another directory."
        )
    for file, entry in zip(files, manifest["inputs"], strict=True):
        if has_changed(file.path, entry, manifest):
            raise ConflictError(
                f"{readable(file.path)} has changed since the dataset in {output} was read from it. "
                "Datasets do not change: choose another directory."
            )
    return QualityReport.from_json(read_json(output / "report.json"))
