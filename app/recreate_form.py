"""Making a coreset again from the manifest that came with it."""

import streamlit as st

from app.components import field_error, note
from app.one_click import made_once
from app.services import workspace
from bioprune_core.errors import BioPruneError
from bioprune_core.workspace import Coreset, Project, free_name, read_coreset_manifest

__all__ = ["recreate_form"]

_LIMIT_MB = 16


def recreate_form(project: Project) -> Coreset | None:
    """Draw the form. Gives the coreset in the run in which it was made again."""
    file = st.file_uploader(
        "Manifest of a coreset", type="json", max_upload_size=_LIMIT_MB, key="recreate-file"
    )
    if file is None:
        note(
            'The file that a coreset\'s page offers as "Manifest". The run that it was selected from, or one '
            "with the same scores, must be in this project; the coreset is then the same to the byte."
        )
        return None
    try:
        found = read_coreset_manifest(file.getvalue())
        taken = (coreset.name for coreset in workspace().coresets(project))
        suggested = free_name(found.name or "Re-created", taken)
        name = st.text_input("Name", value=suggested, max_chars=100, key=f"recreate-{file.file_id}")
        clicked = st.button("Re-create the coreset", type="primary", key="recreate-go", width="stretch")

        def make() -> Coreset:
            with st.spinner("Selecting again"):
                return workspace().recreate_coreset(found.coreset, name, project)

        return made_once("recreate", clicked, make)
    except BioPruneError as error:
        field_error(error.message)
        return None
