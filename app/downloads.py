"""What can be downloaded, under which name, and its signed, short-lived address."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from app.services import tokens
from app.tokens import Action, Grant
from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.experiments import report_csv, report_json, report_latex, report_markdown
from bioprune_core.laboratory import CellStore, gather, read_planned, was_fine_tuned
from bioprune_core.storage import read_json
from bioprune_core.workspace import Workspace, export_manifest, stream_coreset, stream_scores

__all__ = ["DOWNLOAD_PATH", "Download", "DownloadKind", "download_url", "open_download"]

DOWNLOAD_PATH = "/api/downloads"


class DownloadKind(StrEnum):
    """What a download holds."""

    CORESET = "coreset"
    """The members of a coreset; format: fasta, fasta.gz, csv, parquet, ids or json (the manifest)."""
    SCORES = "scores"
    """The scores of a run; format: parquet or csv."""
    RUN = "run"
    """The manifest of a run; format: json."""
    REPORT = "report"
    """The quality report of a dataset; format: json."""
    EXPERIMENT = "experiment"
    """The report of an experiment so far; format: md, tex, csv or json."""


_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "fasta": "text/x-fasta; charset=us-ascii",
    "fasta.gz": "application/gzip",
    "ids": "text/plain; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "tex": "application/x-tex",
}
_ENDINGS = {"ids": "txt"}
_RENDERINGS = {"md": report_markdown, "tex": report_latex, "csv": report_csv, "json": report_json}


@dataclass(frozen=True, slots=True)
class Download:
    """A body on its way.

    Args:
        file_name: What the browser calls it.
        media_type: Its content type.
        pieces: The bytes, made while they are sent.
    """

    file_name: str
    media_type: str
    pieces: Iterator[bytes]


def download_url(project: str, kind: DownloadKind, identifier: str, file_format: str, name: str) -> str:
    """The address of a download.

    Args:
        project: Id of the project it belongs to; the route checks it again.
        kind: What is downloaded.
        identifier: Id of the coreset, run, dataset or experiment.
        file_format: One that the kind has.
        name: Name of the coreset, run or dataset, for the file name.
    """
    if file_format not in _MEDIA_TYPES:
        raise InputError(f"There is no download as {file_format!r}; choose one of {', '.join(_MEDIA_TYPES)}.")
    token = tokens().issue(Grant(Action.DOWNLOAD, project, f"{kind.value}/{identifier}/{file_format}"))
    return f"{DOWNLOAD_PATH}/{quote(_file_name(kind, name, file_format))}?token={token}"


def open_download(workspace: Workspace, grant: Grant, file_name: str) -> Download:
    """Start the download that a token grants.

    Raises:
        NotFoundError: What it is of does not exist, or belongs to another project.
        ConflictError: It is not finished.
    """
    kind, identifier, file_format = grant.target.split("/", 2)
    pieces = _pieces(workspace, grant.project, DownloadKind(kind), identifier, file_format)
    return Download(file_name, _MEDIA_TYPES[file_format], pieces)


def _pieces(
    workspace: Workspace, project: str, kind: DownloadKind, identifier: str, file_format: str
) -> Iterator[bytes]:
    match kind:
        case DownloadKind.CORESET:
            coreset = workspace.coreset(identifier)
            _check_project(coreset.project_id, project)
            if file_format == "json":
                return iter([export_manifest(workspace, coreset)])
            return stream_coreset(workspace, coreset, file_format)
        case DownloadKind.SCORES | DownloadKind.RUN:
            run = workspace.run(identifier)
            _check_project(run.project_id, project)
            if kind is DownloadKind.RUN:
                return iter([_json(workspace.manifest(run))])
            return stream_scores(workspace, run, file_format)
        case DownloadKind.REPORT:
            dataset = workspace.dataset(identifier)
            _check_project(dataset.project_id, project)
            return iter([_json(read_json(workspace.directory(dataset) / "report.json"))])
        case DownloadKind.EXPERIMENT:
            experiment = workspace.experiment(identifier)
            _check_project(experiment.project_id, project)
            plan = read_planned(workspace.directory(experiment))
            if plan is None:
                raise ConflictError(
                    f'The experiment "{experiment.name}" is not planned yet. Wait for its job.'
                )
            fine_tuned = was_fine_tuned(workspace, plan.config, experiment)
            report = gather(CellStore.of(workspace), plan, fine_tuned)
            return iter([_RENDERINGS[file_format](report).encode()])


def _check_project(owner: str, project: str) -> None:
    if owner != project:
        raise NotFoundError("This download does not belong to the project of its link.")


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _file_name(kind: DownloadKind, name: str, file_format: str) -> str:
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or kind.value
    what = {
        (DownloadKind.CORESET, "json"): "-manifest",
        (DownloadKind.CORESET, "ids"): "-ids",
        (DownloadKind.RUN, "json"): "-manifest",
        (DownloadKind.SCORES, file_format): "-scores",
        (DownloadKind.REPORT, file_format): "-quality-report",
        (DownloadKind.EXPERIMENT, "csv"): "-measurements",
    }.get((kind, file_format), "")
    return f"{plain}{what}.{_ENDINGS.get(file_format, file_format)}"
