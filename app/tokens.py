"""Signed, short-lived tokens: each lets its holder do one thing to one file of one project."""

import os
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from bioprune_core.errors import BioPruneError, StorageError

__all__ = ["Action", "Grant", "TokenError", "Tokens"]

_SECRET_FILE = "web-secret"
_LIFETIME_S = 900


class TokenError(BioPruneError):
    """A route was called with a token that is missing, forged, expired or for something else."""


class Action(StrEnum):
    """What a token allows."""

    BEGIN_UPLOAD = "begin-upload"
    UPLOAD = "upload"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says.

    Args:
        action: What is allowed.
        project: Id of the project it is allowed in.
        target: What it is allowed on: an upload's id, or kind, id and format of a download.
    """

    action: Action
    project: str
    target: str = ""


class Tokens:
    """Issues and checks tokens with the workspace's own secret, so that they outlive a server restart.

    Args:
        folder: The workspace folder; the secret is made there on first use, readable by its owner only.
        lifetime_s: Seconds for which a token is accepted.
    """

    def __init__(self, folder: Path, lifetime_s: int = _LIFETIME_S) -> None:
        self._serializer = URLSafeTimedSerializer(_secret(folder / _SECRET_FILE), salt="bioprune.web")
        self._lifetime_s = lifetime_s

    def issue(self, grant: Grant) -> str:
        """A token for `grant`, safe in an address."""
        return self._serializer.dumps([grant.action.value, grant.project, grant.target])

    def check(self, token: str, action: Action) -> Grant:
        """What the token grants.

        Raises:
            TokenError: Not signed here, too old, or for another action.
        """
        try:
            name, project, target = self._serializer.loads(token, max_age=self._lifetime_s)
        except SignatureExpired as error:
            minutes = self._lifetime_s // 60
            raise TokenError(
                f"This link was good for {minutes} minutes and has expired. Reload the page and try again."
            ) from error
        except (BadSignature, ValueError, TypeError) as error:
            raise TokenError("This link is not valid here. Reload the page and try again.") from error
        if name != action.value:
            raise TokenError("This link is for something else. Reload the page and try again.")
        return Grant(Action(name), project, target)


def _secret(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        if not path.exists():
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(32))
            try:
                # A link, not a rename: of two servers starting together the first one's secret stays.
                path.hardlink_to(part)
            except FileExistsError:
                pass
            finally:
                part.unlink()
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"Could not read or make the secret of this workspace at {path}. Make the folder writable.",
            detail=str(error),
        ) from error
