"""The pattern that finds the label of a record in its header, kept from searching for ever."""

import re
import time
from math import prod
from typing import Any

import regex

from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.records import RecordBlock

__all__ = ["LabelPattern"]

_MOST_LETTERS, _MOST_COPIES = 10_000, 10_000
_RECORD_S, _MEAN_S, _LEAST_S = 1.0, 1e-3, 1e-4
"""Processor time that one record may take, that records may take on average, and the least to grant: a usual
pattern takes 5 µs a record. For one search, `regex` counts the time of all threads of the process."""

_COUNT = re.compile(r"\{(\d{1,6})")
_BRACE = re.compile(r"(\\N\{[^}]*\}|\\.)|\{(?!\d+(?:,\d*)?\}|,\d*\})", re.DOTALL)
"""An escape, or a brace that begins no count and so stands for itself."""


class LabelPattern:
    """A regular expression of Python's with one group, which is the label where it is found.

    Searched with `regex`, which can be told to give up: with ^((?:\\w{1,9} ?){1,40})[;:] it tries more ways
    than there is time for, as `re` does. That reads a pattern alike, but for braces that begin no count,
    which are seen to here; for POSIX classes such as [[:alpha:]], which it takes for a set of these signs;
    and for \\w, which here includes accents apart from their letters and leaves out numbers such as ².

    Args:
        text: The pattern.

    Raises:
        InputError: It is no regular expression, has no group or several, or would take too much memory.
    """

    def __init__(self, text: str) -> None:
        self._shown = repr(text if len(text) <= 200 else f"{text[:199]}…")
        self._pattern = self._compiled(text)
        if (groups := self._pattern.groups) != 1:
            raise InputError(
                f"The label pattern {self._shown} has {groups} groups; put exactly one pair of parentheses "
                "around the label."
            )

    def find(self, block: RecordBlock, file: str, seconds: float | None = None) -> ByteStrings:
        """The label of each record, empty where the pattern is not found.

        Args:
            block: n records.
            file: Name of their file, for the message.
            seconds: Processor time that they may take; by default a second for any record, and a millisecond
                for each.

        Raises:
            InputError: The search took longer; names the record.
        """
        seconds = _RECORD_S + _MEAN_S * len(block) if seconds is None else seconds
        end = time.thread_time() + seconds
        labels = []
        headers = zip(block.ids.tolist(), block.descriptions.tolist(), strict=True)
        for row, header in enumerate(headers):
            left = max(_LEAST_S, end - time.thread_time())
            try:
                found = self._pattern.search(
                    b" ".join(header).decode().rstrip(), timeout=min(left, _RECORD_S)
                )
            except TimeoutError as error:
                raise InputError(
                    f"{file}, record {block.numbers[row]}: searching its header for the label pattern "
                    f"{self._shown} takes too long. Write the pattern without a repeat inside a repeat, such "
                    "as ^([^;]+); for all that stands before the first semicolon.",
                    detail=b" ".join(header)[:1000].decode(errors="replace"),
                ) from error
            labels.append((found[1] or "").encode() if found else b"")
        return ByteStrings.from_list(labels)

    def _compiled(self, text: str) -> Any:
        if len(text) > _MOST_LETTERS:
            raise InputError(
                f"The label pattern {self._shown} has {len(text):,} characters; write it in at most "
                f"{_MOST_LETTERS:,}."
            )
        try:
            # So that a pattern is what Python's documentation says of them, and none of what `regex` adds.
            re.compile(text)
            # `regex` writes out what is to occur so many times: (a{99999}){9999} took all memory there is.
            if prod(max(1, int(count)) for count in _COUNT.findall(text)) > _MOST_COPIES:
                raise InputError(
                    f"The counts in the label pattern {self._shown} are too large: multiplied they may give "
                    f"{_MOST_COPIES:,}. Make them smaller, or write + instead."
                )
            return regex.compile(_BRACE.sub(lambda found: found[1] or r"\{", text), regex.V0)
        except (re.error, regex.error) as error:
            raise InputError(
                f"The label pattern {self._shown} is not a regular expression: {error}."
            ) from error
        except (OverflowError, RecursionError) as error:
            raise InputError(
                f"The label pattern {self._shown} is too large: its parentheses are nested too deeply, or a "
                "count is too large. Write it shorter.",
                str(error),
            ) from error
