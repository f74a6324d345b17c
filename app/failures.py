"""What a person sees of an error: a sentence. What the log gets: everything."""

import logging
import secrets

import streamlit as st

from app.components import note, show_error
from app.context import place
from app.navigation import PageName, link
from bioprune_core.errors import BioPruneError, NotFoundError

__all__ = ["show_failure"]

_LOG = logging.getLogger("bioprune.app")


def show_failure(error: Exception) -> bool:
    """Show an error that a page or fragment let through, in place of Streamlit's own box.

    Args:
        error: What was raised.

    Returns:
        True: the error has been shown.
    """
    if isinstance(error, BioPruneError):
        _LOG.warning("%s (%s)", error.message, error.detail, exc_info=error)
        show_error(error)
        if isinstance(error, NotFoundError) and place().project is not None:
            link(PageName.PROJECTS, "Go to the projects", project=None)
        return True
    mark = secrets.token_hex(3)
    _LOG.error("Unexpected error %s", mark, exc_info=error)
    st.error("Something went wrong here that should not have. Nothing of your data has been changed by it.")
    note(f"Reload the page to try again. The server's log has the details under {mark}.")
    return True
