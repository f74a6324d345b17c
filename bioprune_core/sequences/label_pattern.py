"""The pattern that finds the label of a record in its header, kept from searching for ever."""

import re
import time
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import regex

from bioprune_core.errors import InputError
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.records import RecordBlock

__all__ = ["LabelPattern"]

_MOST_LETTERS, _MOST_COPIES, _MOST_WRITTEN = 10_000, 10_000, 250_000
"""Characters of a pattern, copies that its counts ask for, and characters that these copies may have.

`regex` writes out what is to occur so many times: (a{99999}){9999} took all memory there is. Of patterns
within these bounds those of many small repeats, such as (?:a++a++...){25}, cost the most: 0.2 s of processor
time and 91 MB with regex 2026.11 and Python 3.11.
"""

_RECORD_S, _MEAN_S, _LEAST_S = 1.0, 1e-3, 1e-4
"""Processor time that one record may take, that records may take on average, and the least to grant: a usual
pattern takes 5 µs a record. For one search, `regex` counts the time of all threads of the process."""

_POSIX = "alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit"
_SIGN = re.compile(
    r"(?P<line_end>\\\n)|(?P<escape>\\N\{[\w -]*\}|\\.)"
    rf"|(?P<posix>\[:\^?(?:{_POSIX}):\])"
    r"|(?P<alone>(?<=\[):|[^\S \t\n\r\v\f]|\{(?!(?:[0-9]+(?:,[0-9]*)?|,[0-9]*)\}))",
    re.DOTALL,
)

_REPEATS = {_parser.MAX_REPEAT, _parser.MIN_REPEAT, _parser.POSSESSIVE_REPEAT}


class LabelPattern:
    """A regular expression of Python's with one group, which is the label where it is found.

    Searched with `regex`, which can be told to give up: with ^((?:\\w{1,9} ?){1,40})[;:] it tries more ways
    than there is time for, as `re` does. That reads a pattern alike, but for:

    - braces that begin no count, and what else `_for_regex` names, which are seen to here;
    - POSIX classes such as [[:alpha:]], which it takes for a set of these signs;
    - \\w and \\b, for which accents apart from their letters, signs that join and letters in circles are part
      of words, and numbers such as ² are not;
    - \\s, which leaves out the control signs \\x1c to \\x1f;
    - \\w and \\d, for which it may know a newer Unicode than Python does;
    - (?i), for which i and the dotless ı differ.

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
            # `re` knows no POSIX classes, and would let them end another class early.
            read = _SIGN.sub(lambda found: r"\w" if found["posix"] else found[0], text)
            re.compile(read)
            copies, deepest = _copies(_parser.parse(read))
            if copies > _MOST_COPIES or deepest * len(text) > _MOST_WRITTEN:
                raise InputError(
                    f"The counts in the label pattern {self._shown} are too large: they write out over "
                    f"{_MOST_COPIES:,} copies or {_MOST_WRITTEN:,} characters. Make them smaller, or write + "
                    "instead."
                )
            return regex.compile(_SIGN.sub(_for_regex, text), regex.V0)
        except (re.error, regex.error) as error:
            raise InputError(
                f"The label pattern {self._shown} is not a regular expression: {error}."
            ) from error
        except (MemoryError, OverflowError, RecursionError, ValueError) as error:
            raise InputError(
                f"The label pattern {self._shown} is too large: its parentheses are nested too deeply, or a "
                "count is too large. Write it shorter.",
                str(error),
            ) from error


def _for_regex(found: re.Match[str]) -> str:
    """What `_SIGN` found, so that `regex` sees the same groups and counts in a pattern as `re`.

    Else a count that stands beside another in the tree of `re` could stand around it in `regex`. An escaped
    line end would end a comment there. These would not stand for themselves: the colon of [: where no POSIX
    class begins, white space that (?x) does not leave out, and a brace that begins no count.
    """
    if found["line_end"]:
        return r"\n"
    return f"\\{found[0]}" if found["alone"] else found[0]


def _copies(items: Any) -> tuple[int, int]:
    """The copies that the counts in a part of `re`'s tree ask for: in all, and of one sign at most.

    Counts multiply when nested and add up side by side. All copies have at most as many characters as the
    pattern has, times those of one sign; the tree cannot tell, as it leaves out what is repeated in a class.
    """
    copies, deepest = 0, 1
    for operation, value in items:
        parts = value[1] if operation is _parser.BRANCH else value if isinstance(value, tuple) else (value,)
        inside = [_copies(part) for part in parts if isinstance(part, _parser.SubPattern)]
        count = max(1, value[0]) if operation in _REPEATS else 1
        within = sum(each for each, _ in inside)
        copies += count * max(1, within) if count > 1 else within
        deepest = max([deepest, count, *(count * each for _, each in inside)])
    return copies, deepest
