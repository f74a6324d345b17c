"""What a browser says was drawn is checked before it becomes a brush; the chart library is served packed."""

import gzip

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.library_route import LIBRARY_PATH, library_routes
from app.linked_chart import Gesture, GestureKind, read_gesture


def test_box_is_ordered_and_has_corners() -> None:
    gesture = read_gesture({"kind": "box", "x": [3, 1], "y": [0, 2]})
    assert gesture == Gesture(
        GestureKind.BOX, (1.0, 3.0), (0.0, 2.0), ((1.0, 0.0), (3.0, 0.0), (3.0, 2.0), (1.0, 2.0))
    )


def test_long_lasso_is_simplified() -> None:
    vertices = [[float(step % 50), float(step * step % 37)] for step in range(900)]
    gesture = read_gesture({"kind": "lasso", "vertices": vertices})
    assert gesture is not None
    assert len(gesture.vertices) == 48


def test_point_and_clear() -> None:
    assert read_gesture({"kind": "point", "data": [7, 1.5, 80]}) == Gesture(
        GestureKind.POINT, data=(7.0, 1.5, 80.0)
    )
    assert read_gesture({"kind": "clear"}) == Gesture(GestureKind.CLEAR)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "box",
        {},
        {"kind": "drop table"},
        {"kind": "box", "x": [1, 2]},
        {"kind": "box", "x": [1, float("nan")], "y": [0, 1]},
        {"kind": "box", "x": [1, 2, 3], "y": [0, 1]},
        {"kind": "lasso", "vertices": [[0, 0], [1, 1]]},
        {"kind": "lasso", "vertices": [["a", 0], [1, 1], [2, 0]]},
        {"kind": "lasso", "vertices": 5},
        {"kind": "point", "data": ["x"]},
    ],
)
def test_nonsense_is_no_gesture(value: object) -> None:
    assert read_gesture(value) is None


def test_library_comes_packed_to_who_can_unpack_it() -> None:
    client = TestClient(Starlette(routes=library_routes()))
    plain = client.get(LIBRARY_PATH, headers={"accept-encoding": "identity"})
    with client.stream("GET", LIBRARY_PATH, headers={"accept-encoding": "gzip"}) as packed:
        body = b"".join(packed.iter_raw())
        assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == plain.content
    assert len(body) < len(plain.content) / 2
    assert "immutable" in plain.headers["cache-control"]
