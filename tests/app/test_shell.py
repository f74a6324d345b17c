"""What holds for the whole web process: no torch, one theme, absent instead of unfinished pages."""

import ast
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app import components, theme
from app.formatting import amount, byte_size, count, duration, exact_time, percent, relative_time, time_html
from app.navigation import PageName, available

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted((REPOSITORY / "pages").glob("*.py"))
NOW = datetime(2026, 11, 23, 14, 5, 9, tzinfo=UTC)


def test_the_web_process_never_imports_torch() -> None:
    code = f"""
import importlib.util, pkgutil, sys
import app, app.server
for module in pkgutil.walk_packages(app.__path__, "app."):
    __import__(module.name)
for number, path in enumerate({[str(path) for path in PAGES]!r}):
    specification = importlib.util.spec_from_file_location(f"page{{number}}", path)
    specification.loader.exec_module(importlib.util.module_from_spec(specification))
from bioprune_core.jobs import JobClient
print(sorted(name for name in ("torch", "transformers", "umap", "sklearn") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_the_engine_never_imports_the_web() -> None:
    for path in (REPOSITORY / "bioprune_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "streamlit" for name in names), path


def test_every_page_draws_only_when_it_is_run() -> None:
    for path in PAGES:
        last = path.read_text(encoding="utf-8").rstrip().splitlines()[-2:]
        assert last == ['if __name__ == "__main__":', "    render()"], path.name


def test_a_page_is_in_the_navigation_exactly_when_its_file_is_there() -> None:
    assert {name.value for name in available()} == {path.stem for path in PAGES}
    assert available() == tuple(name for name in PageName if name in available())


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_charts_and_widgets_have_the_same_colours(palette: theme.Palette) -> None:
    configured = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())["theme"][palette.mode]
    assert configured["primaryColor"] == palette.accent
    assert configured["backgroundColor"] == palette.background
    assert configured["secondaryBackgroundColor"] == palette.surface
    assert configured["textColor"] == palette.text
    assert configured["borderColor"] == palette.line
    assert configured["redColor"] == palette.negative


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["text", "muted", "negative", "positive", "warning"])
def test_text_can_be_read_on_page_and_panel(palette: theme.Palette, name: str) -> None:
    for ground in (palette.background, palette.surface):
        assert contrast(getattr(palette, name), ground) >= 4.5


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_what_is_selected_stands_out_from_what_is_not(palette: theme.Palette) -> None:
    assert contrast(palette.accent, palette.background) >= 3
    assert contrast(palette.context, palette.background) >= 1.3


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_words_on_a_primary_button_can_be_read(palette: theme.Palette) -> None:
    assert contrast(palette.accent, palette.background) >= 4.5
    assert contrast(palette.accent_hover, palette.background) >= 4.5
    assert contrast(palette.accent_hover, palette.accent) >= 1.3
    assert f"--bp-on-accent: {palette.background};" in components._variables(palette)
    style = (REPOSITORY / "app" / "style.css").read_text()
    assert '[data-testid^="stBaseButton-primary"]:not(:disabled) { color: var(--bp-on-accent); }' in style


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2.2 between two colours, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_strata_are_the_steps_of_the_influence_scale() -> None:
    assert len(theme.strata_colours(50)) == 50
    assert theme.strata_colours(5)[::4] == theme.strata_colours(2)
    assert len(theme.strata_colours(1)) == 1


def test_categories_beyond_the_eighth_share_one_grey() -> None:
    colours = theme.category_colours([f"family {number}" for number in range(12)], theme.LIGHT)
    assert len(set(list(colours.values())[:8])) == 8
    assert set(list(colours.values())[8:]) == {theme.LIGHT.context}


def test_the_server_answers_on_its_own_names_only() -> None:
    from app.server import app, configuration

    assert configuration()["server.address"] == "127.0.0.1"
    assert configuration("0.0.0.0", 9000)["server.port"] == 9000
    client = TestClient(app, base_url="http://127.0.0.1:8501")
    assert client.post("/api/uploads", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (1.5, "1.5"),
        (12.34, "12.3"),
        (1234.5, "1,230"),
        (123456, "123,000"),
        (1.234e-7, "1.23 × 10⁻⁷"),
        (-2.5e9, "-2.50 × 10⁹"),
        (999.6, "1,000"),
    ],
)
def test_amounts(number: float, text: str) -> None:
    assert amount(number) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (842, "842 B"),
        (1_234, "1.2 kB"),
        (999_600, "1.0 MB"),
        (150_000_000, "150 MB"),
        (1 << 40, "1.1 TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert byte_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.2 s"),
        (45, "45 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "just now"),
        (50, "1 minute ago"),
        (240, "4 minutes ago"),
        (3_700, "1 hour ago"),
        (100_000, "yesterday"),
        (12 * 86_400, "12 days ago"),
        (100 * 86_400, "15 Aug 2026"),
    ],
)
def test_relative_times(seconds: int, text: str) -> None:
    assert relative_time(NOW - timedelta(seconds=seconds), NOW) == text


def test_times_show_the_exact_moment_on_hover() -> None:
    assert exact_time("2026-11-03T14:05:09+00:00") == "3 Nov 2026, 14:05:09 UTC"
    assert 'title="23 Nov 2026, 14:05:09 UTC"' in time_html(NOW, NOW)


def test_counts_agree_with_their_nouns() -> None:
    assert count(1, "sequence") == "1 sequence"
    assert count(12_345, "sequence") == "12,345 sequences"
    assert count(2, "family", "families") == "2 families"
    assert percent(0.1234) == "12.3 %"
