"""Names that people give and identifiers that the program gives."""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain, count

from bioprune_core.errors import InputError

__all__ = ["NAME_LIMIT", "check_name", "clipped", "free_name", "name_key", "new_id", "timestamp"]

NAME_LIMIT = 100
"""Longest name in characters, and half the longest in bytes of UTF-8: file names of exports are made from
names, with endings such as "-quality-report.json", and must stay below 255 bytes."""

_FORBIDDEN = set('/\\<>:"|?*')
_IDENTIFIER = re.compile(r"(project|dataset|model|run|coreset|experiment|job)-\d{8}-\d{6}-[0-9a-f]{6}")


def check_name(name: str, what: str = "name") -> str:
    """Check a name given by a person and return it without surrounding blanks, in Unicode form NFC.

    Args:
        name: The name as typed.
        what: What is named, for the message: "project", "dataset", ...

    Raises:
        InputError: Empty, too long, with characters that file names cannot hold, or formed like an id.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not cleaned:
        raise InputError(f"The {what} name is empty. Give it between 1 and {NAME_LIMIT} characters.")
    if len(cleaned) > NAME_LIMIT:
        raise InputError(
            f'The {what} name "{cleaned[:30]}..." has {len(cleaned)} characters; at most {NAME_LIMIT} are '
            "possible. Shorten it."
        )
    wrong = sorted({letter for letter in cleaned if letter in _FORBIDDEN or not letter.isprintable()})
    if wrong:
        shown = " ".join(letter if letter.isprintable() else f"U+{ord(letter):04X}" for letter in wrong)
        raise InputError(
            f'The {what} name "{cleaned}" contains {shown}, which file names cannot hold. '
            "Use letters, digits, blanks and . _ - ( ) + instead."
        )
    size = len(cleaned.encode())
    if size > 2 * NAME_LIMIT:
        raise InputError(
            f'The {what} name "{cleaned[:30]}..." takes {size} bytes; at most {2 * NAME_LIMIT} are possible, '
            "because file names are made from it. Shorten it."
        )
    if cleaned[0] in ".-":
        raise InputError(
            f'The {what} name "{cleaned}" begins with "{cleaned[0]}". Begin it with a letter or digit, so '
            "that neither a shell nor a file list misreads it."
        )
    if _IDENTIFIER.fullmatch(cleaned):
        raise InputError(f'The {what} name "{cleaned}" looks like an identifier. Choose another name.')
    return cleaned


def clipped(name: str, limit: int) -> str:
    """The beginning of a name: at most `limit` characters, and at most twice as many bytes of UTF-8."""
    return name[:limit].encode()[: 2 * limit].decode(errors="ignore")


def name_key(name: str) -> str:
    """The form in which two names are compared: "Rfam" and "rfam" are the same name."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """A name that nothing has yet: the wanted one, numbered from 2 where something has it already."""
    known = {name_key(name) for name in taken}
    candidates = chain([wanted], (f"{clipped(wanted, NAME_LIMIT - 10)} {number}" for number in count(2)))
    return next(candidate for candidate in candidates if name_key(candidate) not in known)


def new_id(kind: str) -> str:
    """A new identifier such as "run-20261123-141502-4f2a9c": sorts by time; 24 random bits."""
    return f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def timestamp() -> str:
    """The current time in UTC as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
