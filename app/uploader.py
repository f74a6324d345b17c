"""The uploader: a small component that sends files of any size through the app's own chunked route."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from app.formatting import byte_size
from app.services import tokens, uploads
from app.tokens import Action, Grant
from app.upload_routes import UPLOAD_PATH

__all__ = ["uploader"]

_RECENT_S = 60.0
"""An upload of which something arrived within so long may still be sent; a part takes about a second."""

_HERE = Path(__file__).parent
_HTML = """
<div class="root">
  <div class="zone" role="group" aria-label="Upload files">
    <button type="button" class="choose">Choose files</button>
    <input type="file" multiple tabindex="-1" aria-hidden="true">
    <div><p>or drop them here</p><p class="limit"></p></div>
  </div>
  <ul class="sending" aria-label="Files being uploaded"></ul>
  <ul class="earlier" aria-label="Interrupted uploads"></ul>
  <div class="hidden" aria-live="polite"></div>
</div>
"""


@cache
def _component() -> Any:
    return st.components.v2.component(
        "bioprune.uploader",
        html=_HTML,
        css=(_HERE / "uploader.css").read_text(encoding="utf-8"),
        js=(_HERE / "uploader.js").read_text(encoding="utf-8"),
    )


def uploader(project: str, key: str) -> Sequence[str]:
    """Draw the uploader of a project. The run repeats when a file has arrived or was discarded.

    Args:
        project: Id of the project that files go to.
        key: Key of the component in the page.

    Returns:
        In the run that repeats: ids of all uploads that this browser's tab has finished.
    """
    store = uploads()
    drawn = _component()(
        key=key,
        data={
            "project": project,
            "endpoint": UPLOAD_PATH,
            "token": tokens().issue(Grant(Action.BEGIN_UPLOAD, project)),
            "limit": f"Up to {byte_size(min(store.limit, store.free_bytes()))} a file. "
            "FASTA, FASTQ, CSV, TSV, Parquet, Stockholm or one sequence per line; plain, gz, bz2, xz or zst. "
            "An interrupted upload continues when the same file is chosen again.",
            "unfinished": [
                {
                    "id": upload.id,
                    "name": upload.name,
                    "size": upload.size,
                    "accepted": upload.accepted,
                    "recent": time.time() - upload.touched < _RECENT_S,
                    "token": tokens().issue(Grant(Action.UPLOAD, project, upload.id)),
                }
                for upload in store.of_project(project)
                if not upload.complete
            ],
        },
        on_changed_change=_again,
        on_renew_change=_again,
    )
    return () if drawn.changed is None else tuple(drawn.changed["finished"])


def _again() -> None:
    """The run that follows the callback draws what is new; there is nothing else to do."""
