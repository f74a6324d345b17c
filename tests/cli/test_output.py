import pytest

from bioprune_core.cli.output import print_table, progress_bars
from bioprune_core.progress import Progress


def test_a_table_shows_names_in_square_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        [{"name": "rnas [v2]", "sequences": 1200}, {"name": "[bold]", "sequences": 3}], False, "None."
    )
    printed = capsys.readouterr().out
    assert "rnas [v2]" in printed
    assert "[bold]" in printed
    assert "1,200" in printed


def test_a_line_of_progress_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(quiet=False) as report:
        report(Progress("read", 3, 3, "files [new]"))
    assert "3 of 3 files [new]" in capsys.readouterr().err
