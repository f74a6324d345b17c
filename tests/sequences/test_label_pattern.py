"""A label pattern finds what Python's finds, in bounded time and memory, in an ingest as in its preview."""

import re
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pyarrow.parquet as pq
import pytest
import regex

from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions, ingest, preview
from bioprune_core.sequences.bytestrings import ByteStrings
from bioprune_core.sequences.label_pattern import LabelPattern
from bioprune_core.sequences.records import RecordBlock

SLOW = r"^((?:\w{1,9} ?){1,40})[;:]"
"""Exponential in the words of a header that has neither sign."""

HEADERS = (
    "RF00005;tRNA;AB003409.1/96-167 Thermus thermophilus",
    "AB003409.1/96-167 family=RF00005 {strain} a{e}",
    "sp|P12345|NAME_HUMAN Some protein OS=Homo sapiens OX=9606 GN=ABC PE=1 SV=2",
    "x",
    "été de Caen; Ärger",
)
WORDS = "word " * 40


def block(*headers: str) -> RecordBlock:
    empty = ByteStrings.empty(len(headers))
    ids = ByteStrings.from_list([header.encode() for header in headers])
    return RecordBlock(np.arange(1, len(headers) + 1), ids, empty, None, empty)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.parametrize(
    "pattern",
    [
        r"^(\w+);",
        r"^(RF\d{5});",
        r"(\S+)$",
        r"family=(\S+)",
        r"(?i)os=([a-z]+)",
        r"OS=(.+?)(?: OX=|$)",
        r"^[^|]*\|([^|]+)\|",
        r"(?P<family>R[A-F]{1,2}\d{,5})",
        r"(\d+)?;",
        r"\{(\w+)\}",
        r"a{e}|({strain})",
        r"([{]e})",
        r"(\N{LATIN SMALL LETTER E WITH ACUTE}.)",
        r"(?<=GN=)(\w+)\b",
        r"(?:tRNA|(rRNA));",
        r"([[:]+)",
        r"([[:Mn:][]{3}])",
        "(?x)([{\x85}]\x85?e)",
        "(?x)# \\\n)\n(e})\\\n?",
        r"(?#\))(e})",
    ],
)
def test_a_pattern_finds_what_it_finds_in_python(pattern: str) -> None:
    found = [re.search(pattern, header) for header in HEADERS]
    expected = [(match[1] or "").encode() if match else b"" for match in found]
    assert LabelPattern(pattern).find(block(*HEADERS), "in.fa").tolist() == expected


def test_only_four_control_signs_are_white_space_in_python_alone() -> None:
    every = "".join(map(chr, range(0x110000)))
    assert set(re.findall(r"\s", every)) ^ set(regex.findall(r"\s", every)) == set("\x1c\x1d\x1e\x1f")


@pytest.mark.parametrize(
    "pattern",
    [
        r"^.{11}(.{40}).{30}",
        r"^(\d{4})-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z_[A-F]{8}_\w{12}",
        r"^(?:\w{20}|\d{30})_(\w{40})(?=;{50})",
        r"(?:a{100}){100}(b)",
        r"([{9999}]{9999})",
        r"([[:alpha:]]{9}_[[:^digit:][:space:]]{9})",
        r"(\{99999}a)",
        "(?x)(a) # {99999}",
        r"(a)|" + "b{2}c+" * 1000,
        "(a" + "[bc]*?" * 1600 + ")",
    ],
)
def test_counts_side_by_side_are_no_large_count(pattern: str) -> None:
    IngestOptions(label_pattern=pattern)


def test_a_pattern_that_takes_all_memory_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "compile", Mock(side_effect=MemoryError))
    with pytest.raises(InputError, match="too large"):
        LabelPattern("(a)")


def test_a_posix_class_is_a_set_of_its_signs() -> None:
    assert LabelPattern(r"^([[:alpha:]]{2}[[:digit:]]+);").find(block(*HEADERS), "in.fa").tolist() == [
        b"RF00005", b"", b"", b"", b""
    ]  # fmt: skip


def test_a_repeat_of_repeats_is_searched_in_a_moment() -> None:
    assert LabelPattern(r"^((?:\w+ ?)+);").find(block(WORDS), "in.fa").tolist() == [b""]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a{99999999999}(b)", "too large"),
        ("(?:" * 2000 + "a" + ")" * 2000, "too large"),
        ("(a{99999}){9999}", "counts in the label pattern"),
        ("(?:" * 12 + "a" + "){9}" * 12 + "(b)", "counts in the label pattern"),
        ("(a{0009999999})", "counts in the label pattern"),
        ("(a{9999999})", "counts in the label pattern"),
        ("(a{" + "0" * 5000 + "1})", "too large"),
        ("(a{6000}b{6000})", "counts in the label pattern"),
        ("(?:(?=a{10})|b{91}){100}(c)", "counts in the label pattern"),
        # Long parts that are written out often, in a class that `re` makes short and outside of any.
        ("([" + "x-z" * 3000 + "]{9999})", "counts in the label pattern"),
        ("(?:" + "[ab]c" * 1500 + "){9999}(d)", "counts in the label pattern"),
        # Behind the end of a class that ends earlier in `re`.
        ("([[:alpha:][]{99999}])", "counts in the label pattern"),
        ("(" + "a" * 20_000 + ")", "has 20,002 characters"),
        (r"(\p{Lu})", "not a regular expression"),
    ],
)
def test_patterns_that_cannot_be_searched_are_refused_in_a_sentence(pattern: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        IngestOptions(label_pattern=pattern)
    assert len(refused.value.message) < 500


def test_a_pattern_that_would_search_for_ever_ends_the_ingest_naming_the_record(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_text(f">a b; c\nACGU\n>{WORDS}\nACGUU\n")
    started = time.monotonic()
    with pytest.raises(InputError, match=r"in\.fa, record 2: .*label pattern .*without a repeat inside"):
        ingest(path, tmp_path / "dataset", IngestOptions(label_pattern=SLOW))
    assert time.monotonic() - started < 60


def test_records_that_are_each_just_fast_enough_do_not_add_up_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The first record takes all the time there is for both.
    clock, started = iter(range(100)), time.process_time()
    monkeypatch.setattr("bioprune_core.sequences.label_pattern.time.thread_time", lambda: next(clock))
    with pytest.raises(InputError, match="record 2:"):
        LabelPattern(SLOW).find(block("a;", WORDS), "in.fa", seconds=1.0)
    assert time.process_time() - started < 0.5


def test_a_preview_gives_up_well_below_a_second(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_text(f">{WORDS}\nACGU\n" * 30)
    started = time.thread_time()
    with pytest.raises(InputError, match=r"record 1: .*takes too long"):
        preview(path, options=IngestOptions(label_pattern=SLOW))
    assert time.thread_time() - started < 0.8


@pytest.mark.parametrize("records", [1, 3, 30])
@pytest.mark.parametrize(
    "options", [IngestOptions(label_pattern=r"^(\w+);"), IngestOptions(label_from_file_name=True)]
)
def test_a_preview_shows_the_labels_that_the_ingest_takes(
    tmp_path: Path, options: IngestOptions, records: int
) -> None:
    path = tmp_path / "my families.fa"
    path.write_text("".join(f">r{row};x y\n{'ACGU' * (row + 2)}\n" for row in range(records)))
    ingest(path, tmp_path / "dataset", options)
    shown = preview(path, options=options)
    assert len(shown.records) == min(20, records)
    labels = pq.read_table(tmp_path / "dataset" / "sequences").column("label").to_pylist()
    assert [record.label for record in shown.records] == labels[:20]
    assert not any("label" in note for note in shown.notes)


def test_a_preview_says_that_a_pattern_finds_no_label(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_text(">a\nACGU\n>b\nACGUU\n")
    shown = preview(path, options=IngestOptions(label_pattern=r"^(\w+);"))
    assert "finds no label in any of the first 2 headers" in shown.notes[-1]
