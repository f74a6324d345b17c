"""Names and contents of files are shown letter by letter, though Streamlit reads Markdown."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from app.components import plain

NAMES = [
    r"seq *A* _B_ $x^2$ :red[hi] [link](http://x)",
    "_odd_name_.txt",
    "root:x:0:0",
    "_x_ __bold__ - 1",
    "1. `one` <b>two</b> ~~three~~ &amp; \\ ![four](five)",
    "# :material/home: :streamlit: www.example.org me@example.org",
    "a -> b -- c >= d <-> e",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_sign_of_markdown_is_escaped_and_no_other(name: str) -> None:
    escaped = plain(name)
    assert re.sub(r"\\(.)", r"\1", escaped).replace("\u2060", "") == name
    assert not re.search(r"(?<!\\)[*_$:\[\]<>`~&#!]", re.sub(r"\\.", "", escaped))


@pytest.mark.parametrize(
    "name", ["http://x.org", "www.x.org", "me@x.org", ":material/home:", "a -> b", "a -- b"]
)
def test_what_is_replaced_after_escaping_is_parted(name: str) -> None:
    assert plain(name).count("\u2060") == 1


def test_lines_become_one_and_nothing_a_block() -> None:
    assert plain("one\n\n    two") == "one two"


@pytest.mark.parametrize("name", NAMES)
def test_errors_and_titles_are_plain_text(name: str) -> None:
    def page(name: str) -> None:
        from app.components import page_header, show_error
        from bioprune_core.errors import InputError

        page_header(name)
        show_error(InputError(name))

    shown = AppTest.from_function(page, args=(name,)).run()
    assert not shown.exception
    assert [shown.title[0].value, shown.error[0].value] == [plain(name), plain(name)]


@pytest.mark.usefixtures("served")
def test_a_link_is_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def page() -> None:
        from app.navigation import PageName, link

        link(PageName.DATA, "_x_ __bold__ - 1")

    drawn: list[str] = []
    monkeypatch.setattr("streamlit.page_link", lambda *_, label, **__: drawn.append(label))
    assert not AppTest.from_function(page).run().exception
    assert drawn == [r"\_x\_ \_\_bold\_\_ \- 1"]
