"""What a person sees of an error: a sentence. What the log gets: everything, of their own mistakes a line."""

import logging
import secrets

import streamlit as st

from app.components import note, show_error
from app.context import place
from app.navigation import PageName, link
from bioprune_core.errors import BioPruneError, ConflictError, InputError, NotFoundError

__all__ = ["show_failure"]

_LOG = logging.getLogger("bioprune.app")
_OF_PEOPLE = (InputError, NotFoundError, ConflictError)
"""What an address, a field or a name asked for, of which the sentence says all."""


def show_failure(error: Exception) -> bool:
    """Show an error that a page or fragment let through, in place of Streamlit's own box.

    Args:
        error: What was raised.

    Returns:
        True: the error has been shown.
    """
    if isinstance(error, BioPruneError):
        # Names and addresses are in it, which may hold line breaks and what moves a terminal's cursor.
        said = f"{error.message} ({error.detail})" if error.detail else error.message
        said = "".join(letter if letter.isprintable() else " " for letter in said)
        _LOG.warning("%s", " ".join(said.split()), exc_info=None if isinstance(error, _OF_PEOPLE) else error)
        show_error(error)
        if isinstance(error, NotFoundError) and place().project is not None:
            link(PageName.PROJECTS, "Go to the projects", project=None)
        return True
    mark = secrets.token_hex(3)
    _LOG.error("Unexpected error %s", mark, exc_info=error)
    st.error("Something went wrong here that should not have. Nothing of your data has been changed by it.")
    note(f"Reload the page to try again. The server's log has the details under {mark}.")
    return True
