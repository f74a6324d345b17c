"""From which folders of the server people may take files: those the operator named, or any on a laptop."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bioprune_core.errors import InputError
from bioprune_core.sequences import is_within

__all__ = ["ImportFolders", "import_folders", "listen_on"]

_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")
"""Headers that a proxy in front of the server adds."""

_address: list[str] = []


def listen_on(address: str) -> None:
    """Note the address that this process listens on; whoever starts the server calls it."""
    _address[:] = [address]


@dataclass(frozen=True, slots=True)
class ImportFolders:
    """What may be imported.

    Args:
        folders: Folders to import from, links followed.
        anywhere: Whether every path may be read; `folders` is empty then.
    """

    folders: tuple[Path, ...] = ()
    anywhere: bool = False

    def __bool__(self) -> bool:
        return self.anywhere or bool(self.folders)

    def path(self, text: str) -> Path:
        """The path that a person typed, when it may be read.

        Raises:
            InputError: It is relative, leads elsewhere, or does not exist; says so.
        """
        try:
            path = Path(text.strip()).expanduser()
            if not path.is_absolute():
                raise InputError(
                    "The path must start with a slash: it is read by the server, not by your browser."
                )
            # Before asking whether it exists, so that nobody learns what lies elsewhere.
            if not self.anywhere and not (self.folders and is_within(path, self.folders)):
                raise InputError(f"{path} lies outside of the folders that may be imported from.")
            found = path.exists()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{text.strip()[:200]} is no path.", detail=str(error)) from error
        if not found:
            raise InputError(f"{path} does not exist on the server. Check the spelling.")
        return path if self.anywhere else path.resolve()


def import_folders(named: Sequence[Path], hosts: str, headers: Mapping[str, str]) -> ImportFolders:
    """What may be imported in this request.

    Args:
        named: The folders of the settings.
        hosts: Further host names that the server answers to, from the settings.
        headers: Of the request.
    """
    if named:
        return ImportFolders(tuple(named))
    # Behind a proxy a server listens on 127.0.0.1 too; then it has a further name, or the proxy tells.
    known = {name.lower() for name in headers}
    forwarded = any(name in known for name in _FORWARDED)
    local = bool(_address) and _is_loopback(_address[0])
    return ImportFolders(anywhere=local and not hosts.strip() and not forwarded)


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
