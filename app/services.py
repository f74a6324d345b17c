"""What the web process opens once: settings, workspace, job client, tokens, uploads. Knows no Streamlit."""

from functools import cache
from typing import TYPE_CHECKING

from app.tokens import Tokens
from app.uploads import UploadStore
from bioprune_core.settings import Settings
from bioprune_core.workspace import Workspace

if TYPE_CHECKING:
    from bioprune_core.jobs import JobClient

__all__ = ["jobs", "settings", "tokens", "uploads", "workspace"]


@cache
def settings() -> Settings:
    """The settings of this installation."""
    return Settings.from_environment()


@cache
def workspace() -> Workspace:
    """The workspace of this installation."""
    return Workspace.open(settings().workspace, settings())


@cache
def jobs() -> "JobClient":
    """The client through which pages enqueue and follow jobs."""
    # The job library is only needed where there are jobs; importing it would delay the start of the server.
    from bioprune_core.jobs import JobClient

    return JobClient(workspace())


@cache
def tokens() -> Tokens:
    """What signs the addresses of uploads and downloads."""
    return Tokens(workspace().root)


@cache
def uploads() -> UploadStore:
    """The chunked uploads of the workspace."""
    return UploadStore(workspace().layout.uploads, settings().upload_limit_bytes)
