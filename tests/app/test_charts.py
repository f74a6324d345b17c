"""Charts keep their axes, draw what they are given, and are valid figures in light and dark."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.io import to_json

from app.charts.axis import influence_axis, on_axis
from app.charts.composition import category_chart, length_chart, letter_chart
from app.charts.coverage import coverage_chart, influence_coverage_chart, length_coverage_chart
from app.charts.distribution import bins_table, cumulative_chart, influence_histogram
from app.charts.embedding import ColourBy, MapLayers, map_chart, strata_maps
from app.charts.selection import StrataBudget, overlap_chart, strata_chart
from app.charts.training import loss_chart
from app.queries.composition import CategoryShares
from app.queries.coverage import Overlap
from app.queries.distribution import Axis, Histogram
from app.queries.embedding_map import Density, MapExtent
from app.strata import Strata
from app.theme import DARK, LIGHT, NUCLEOTIDES, Palette

STRATA = Strata((0.5, 1.0, 2.0, 8.0), has_removed=True)
EXTENT = MapExtent(-1.0, 1.0, -2.0, 2.0)


def _histogram(axis: Axis = Axis.LOG, scale: int = 1) -> Histogram:
    edges = np.linspace(-1, 2, 31) if axis is Axis.LOG else np.linspace(0.1, 100, 31)
    return Histogram(axis, edges, scale * np.arange(30, dtype=np.int64), zeros=2)


def _points(count: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "position": np.arange(count),
            "x": random.uniform(-1, 1, count),
            "y": random.uniform(-2, 2, count),
            "influence": random.lognormal(0, 1, count),
            "loss": random.uniform(1, 2, count),
            "length": random.integers(20, 400, count),
            "label": [None if index % 7 == 0 else f"RF{index % 12:05d}" for index in range(count)],
            "cluster": random.integers(0, 5, count),
        }
    )


def _every_figure(palette: Palette) -> dict[str, go.Figure]:
    points = _points(500)
    density = Density(np.linspace(-1, 1, 4), np.linspace(-2, 2, 4), np.arange(16).reshape(4, 4))
    layers = MapLayers(
        EXTENT,
        points,
        10_000,
        density,
        points.head(20),
        ((0, 0), (1, 0), (0, 1)),
        (0.1, 0.2),
        np.zeros((3, 2)),
    )
    counts = np.array([5, 0, 3, 1])
    quantiles = pd.DataFrame(
        {"stratum": [0, 2], "count": [5, 3], "low": [1, 2], "quarter": [2, 3], "median": [3, 4]}
        | {"three_quarters": [4, 5], "high": [5, 6]}
    )
    coverage = pd.DataFrame({"category": ["a", "b"], "pool": [10, 5], "chosen": [4, 0], "random": [2, 1]})
    budget = StrataBudget(
        np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([9, 0]), np.array([4, 0]), 2.5, 3
    )
    lengths = {name: np.array([1, 2]) for name in ("pool", "chosen", "random")}
    figures = {
        "histogram": influence_histogram(_histogram(), STRATA, palette),
        "histogram, brushed": influence_histogram(
            _histogram(), STRATA, palette, selected=_histogram(scale=0), brush=(0.5, 2.0)
        ),
        "histogram, linear": influence_histogram(_histogram(Axis.LINEAR), STRATA, palette),
        "cumulative": cumulative_chart(_histogram(), STRATA, palette, selected=_histogram(scale=0)),
        "strata maps": strata_maps(layers, STRATA, counts, palette),
        "categories": category_chart(
            CategoryShares(("x", None), np.array([[1, 2], [0, 0], [3, 0], [0, 1]]), np.array([0, 0, 2, 0])),
            STRATA,
            palette,
            name="Label",
        ),
        "letters": letter_chart(np.full((4, 4), 0.25), "ACGU", STRATA, NUCLEOTIDES, counts, palette),
        "lengths": length_chart(quantiles, STRATA, palette, unit="nt"),
        "strata": strata_chart(budget, palette),
        "coverage": coverage_chart(coverage, "chosen", "random", palette, name="Label"),
        "length coverage": length_coverage_chart(
            np.array([20.0, 30.0, 40.0]), lengths, {name: name for name in lengths}, palette, unit="nt"
        ),
        "influence coverage": influence_coverage_chart(
            np.array([0.0, 1.0, 2.0]),
            {name: np.array([5, 0]) for name in ("pool", "chosen")},
            "chosen",
            palette,
        ),
        "overlap": overlap_chart(Overlap(3, 1, 0), "this", "that", palette),
        "loss": loss_chart([1, 2, 3], [1.5, 1.2, 1.1], palette, total=10),
    }
    for colour in ColourBy:
        figures[f"map by {colour}"] = map_chart(
            layers, colour, STRATA, palette, span=(0.5, 8.0), categories=("RF00001", "RF00002")
        )
    return figures


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_figure_is_valid_and_named(palette: Palette) -> None:
    for name, figure in _every_figure(palette).items():
        json.loads(to_json(figure))
        assert figure.layout.title.text, name
        assert figure.layout.uirevision, name
        if name not in ("strata maps", "overlap"):
            assert figure.layout.xaxis.title.text, name


def test_brush_leaves_axes_where_they_were() -> None:
    whole, brushed = _histogram(), _histogram(scale=0)
    before = influence_histogram(whole, STRATA, LIGHT).layout
    after = influence_histogram(whole, STRATA, LIGHT, selected=brushed, brush=(0.3, 3.0)).layout
    for axis in ("xaxis", "yaxis", "yaxis2"):
        assert before[axis].to_plotly_json() == after[axis].to_plotly_json()
    assert before.uirevision == after.uirevision


def test_removed_bins_are_hatched_and_only_those() -> None:
    whole = _histogram()
    bars = influence_histogram(whole, STRATA, LIGHT).data[0]
    beyond = np.array(bars.x) > np.log10(8.0)
    assert [shape == "/" for shape in bars.marker.pattern.shape] == beyond.tolist()


def test_cumulative_share_counts_zeros_first() -> None:
    line = cumulative_chart(_histogram(), STRATA, LIGHT).data[0]
    assert line.y[0] == pytest.approx(2 / (2 + 435))
    assert line.y[-1] == 1


def test_category_points_are_all_drawn_once() -> None:
    layers = MapLayers(EXTENT, _points(300), 300)
    figure = map_chart(layers, ColourBy.LABEL, STRATA, LIGHT, categories=("RF00001", "RF00002"))
    assert sum(len(trace.x) for trace in figure.data) == 300
    assert [trace.name for trace in figure.data] == ["all others", "RF00001", "RF00002"]


def test_labels_that_are_called_like_a_group_are_drawn_apart_from_it() -> None:
    points = _points(300)
    points["label"] = points["label"].replace(
        {"RF00001": "other", "RF00002": "no label", "RF00003": "all others"}
    )
    named = ("other", "no label", None, "all others")
    traces = map_chart(MapLayers(EXTENT, points, 300), ColourBy.LABEL, STRATA, LIGHT, categories=named).data
    assert [trace.name for trace in traces] == [
        "all others",
        "other",
        '"no label"',
        "no label",
        '"all others"',
    ]
    sizes = [
        int(points["label"].isna().sum() if name is None else (points["label"] == name).sum())
        for name in named
    ]
    assert [len(trace.x) for trace in traces] == [300 - sum(sizes), *sizes]
    assert len({trace.marker.color for trace in traces}) == 5
    shares = CategoryShares(named, np.ones((4, 4), dtype=np.int64), np.ones(4, dtype=np.int64))
    bars = category_chart(shares, STRATA, LIGHT, name="Labels").data
    assert [bar.name for bar in bars] == ["other", '"no label"', "no label", '"all others"', "all others"]
    assert all(share == pytest.approx(0.2) for bar in bars for share in bar.y)


@pytest.mark.parametrize(
    ("count", "removed", "shown"),
    [
        (3, True, ["1", "2", "3", "removed"]),
        (50, True, ["5", "40", "45", "removed"]),
        (50, False, ["5", "40", "45", "50"]),
    ],
)
def test_no_stratum_is_named_where_the_removed_ones_are(count: int, removed: bool, shown: list[str]) -> None:
    strata = Strata(tuple(map(float, range(count + 1))), removed)
    shares = CategoryShares(
        ("x",), np.ones((strata.buckets, 1), dtype=int), np.zeros(strata.buckets, dtype=int)
    )
    named = list(category_chart(shares, strata, LIGHT, name="Labels").layout.xaxis.tickvals)
    assert (named[:1] + named[-3:] if count > 4 else named) == shown


def test_categories_with_one_beginning_are_rows_of_their_own() -> None:
    names = [f"a family with a long name, {number}" for number in range(3)]
    counts = pd.DataFrame({"category": [*names, None], "pool": [4, 3, 2, 1], "chosen": [4, 0, 2, 1]})
    figure = coverage_chart(counts.assign(random=1), "chosen", "random", LIGHT, name="Labels")
    assert sorted(figure.data[-1].y) == [0, 1, 2, 3]
    assert [row[0] for row in figure.data[-1].customdata] == ["no label", *reversed(names)]


def test_a_point_says_the_whole_name_of_its_category_and_not_by_colour_alone() -> None:
    points = _points(40)
    names = [f"a family with a long name, {number}" for number in range(2)]
    points["label"] = [*names * 15, *["another"] * 10]
    layers = MapLayers(EXTENT, points, 40)
    traces = map_chart(layers, ColourBy.LABEL, STRATA, LIGHT, categories=tuple(names)).data
    assert [trace.meta for trace in traces] == ["all others", *names]
    assert all(trace.hovertemplate.startswith("%{meta}<br>") for trace in traces)


def test_points_above_the_cut_are_grey_by_stratum() -> None:
    points = _points(300)
    figure = map_chart(MapLayers(EXTENT, points, 300), ColourBy.STRATUM, STRATA, LIGHT)
    assert figure.data[0].marker.color == LIGHT.removed
    assert len(figure.data[0].x) == (points["influence"] > 8.0).sum()


def test_positions_survive_beyond_single_precision() -> None:
    points = _points(2)
    points["position"] = [16_777_217, 23_000_001]
    trace = map_chart(MapLayers(EXTENT, points, 2), ColourBy.LOSS, STRATA, LIGHT, span=(1.0, 2.0)).data[0]
    assert [int(row[0]) for row in trace.customdata] == [16_777_217, 23_000_001]


def test_empty_selection_is_drawn() -> None:
    empty = _points(0)
    for colour in ColourBy:
        map_chart(MapLayers(EXTENT, empty, 0, context=_points(5)), colour, STRATA, LIGHT, span=(0.5, 8.0))


@pytest.mark.parametrize("colour", [ColourBy.INFLUENCE, ColourBy.LOSS, ColourBy.LENGTH])
def test_brush_leaves_the_colour_of_a_point_as_it_was(colour: ColourBy) -> None:
    points = _points(300)
    span = (float(points[colour].min()), float(points[colour].max()))
    whole, brushed = (
        map_chart(MapLayers(EXTENT, drawn, 300), colour, STRATA, LIGHT, span=span).data[0]
        for drawn in (points, points[100:120])
    )
    assert brushed.marker.color.tolist() == whole.marker.color[100:120].tolist()
    for setting in ("cmin", "cmax", "colorscale", "colorbar"):
        assert brushed.marker[setting] == whole.marker[setting]
    assert (whole.marker.color >= np.float32(whole.marker.cmin)).all()
    assert (whole.marker.color <= np.float32(whole.marker.cmax)).all()


def test_small_maps_show_what_is_not_selected_and_the_outline_in_every_panel() -> None:
    selected, rest = _points(300), _points(40)
    rest["x"] += 0.5
    region = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    figure = strata_maps(
        MapLayers(EXTENT, selected, 300, context=rest, region=region),
        STRATA,
        np.array([9, 9, 9, 9]),
        LIGHT,
    )
    behind = [trace for trace in figure.data if trace.name == "not selected"]
    assert len(behind) == STRATA.buckets
    for trace in behind:
        assert trace.x.tolist() == rest["x"].to_numpy(np.float32).tolist()
    axes = [(shape.xref, shape.yref) for shape in figure.layout.shapes]
    assert axes == [("x", "y"), ("x2", "y2"), ("x3", "y3"), ("x4", "y4")]
    assert axes == [(trace.xaxis, trace.yaxis) for trace in behind]
    assert figure.layout.dragmode == "lasso"


@pytest.mark.parametrize("axis", Axis)
def test_table_of_the_distribution_holds_every_sequence_with_its_stratum(axis: Axis) -> None:
    whole, selected = _histogram(axis), _histogram(axis, scale=0)
    table = bins_table(whole, STRATA, selected)
    assert table["sequences"].sum() == whole.total
    assert table["selected"].sum() == selected.total
    assert table.iloc[0].tolist() == [0.0, 0.0, "1", 2, 2]
    bins = table.iloc[1:]
    assert (bins["to"].to_numpy()[:-1] == bins["from"].to_numpy()[1:]).all()
    assert bins["from"].iloc[0] == pytest.approx(0.1)
    assert bins["to"].iloc[-1] == pytest.approx(100)
    kept = bins[bins["stratum"] != "removed"]
    assert (kept["from"] < 8).all()
    assert (bins[bins["stratum"] == "removed"]["to"] > 8).all()
    assert set(kept["stratum"]) <= {"1", "2", "3"}
    assert "selected" not in bins_table(whole, STRATA)


@pytest.mark.parametrize(("low", "high"), [(-3.2, 5.1), (0.2, 0.9), (0.0, 1.0), (-9.0, 9.0)])
def test_log_ticks_lie_in_range_and_are_few(low: float, high: float) -> None:
    ticks = influence_axis(Axis.LOG, low, high)["tickvals"]
    assert 1 <= len(ticks) <= 10
    assert all(low <= tick <= high for tick in ticks)


def test_zero_influence_sits_at_the_start_of_a_log_axis() -> None:
    assert on_axis(0.0, Axis.LOG, -2.0) == -2.0
    assert on_axis(100.0, Axis.LOG, -2.0) == 2.0


def test_strata_know_their_buckets() -> None:
    assert STRATA.buckets == 4
    assert STRATA.names == ["1", "2", "3", "removed"]
    inner = STRATA.inner_edges
    assert np.searchsorted(inner, [0.5, 1.0, 8.0, 8.000001], side="right").tolist() == [0, 1, 2, 3]
    assert Strata.merged(tuple(range(51)), 11).edges == tuple(range(0, 51, 5))
    with pytest.raises(ValueError, match="ascending"):
        Strata((1.0, 0.5))
