import math
import xml.etree.ElementTree as ElementTree

import pytest

from voxloom.analysis import loss_curves
from voxloom.analysis.figures import _Axis, _label, _thinned

SVG = "{http://www.w3.org/2000/svg}"


def rows(count: int, **values: float) -> list[dict[str, object]]:
    return [{"step": s, "epoch": 0, "split": "train", "time": 0.1 * s, **values} for s in range(1, count + 1)]


def titles(svg: str) -> list[str]:
    texts = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return ["".join(text.itertext()) for text in texts if text.get("class") == "name"]


def test_one_chart_a_value_in_a_sensible_order() -> None:
    svg = loss_curves(rows(5, lr=0.1, kl=2.0, reconstruction=1.0, loss=3.0, images_per_second=9.0))
    assert titles(svg) == ["loss", "kl", "reconstruction", "lr", "images per second"]


def test_training_and_validation_are_two_lines() -> None:
    both = [*rows(9, loss=1.0), {"step": 9, "split": "validation", "loss": 2.0, "psnr": 20.0}]
    root = ElementTree.fromstring(loss_curves(both))
    charts = root.findall(f"{SVG}g")
    assert [[path.get("class") for path in chart.iter(f"{SVG}path")] for chart in charts] == [
        ["train", "val"],
        ["val"],
    ]
    assert "train 1 · validation 2" in "".join(charts[0].itertext())


def test_a_wide_range_is_logarithmic_and_a_sign_prevents_it() -> None:
    falling = [{"step": s, "split": "train", "loss": 10.0**-s} for s in range(4)]
    assert titles(loss_curves(falling)) == ["loss (log)"]
    assert titles(loss_curves([*falling, {"step": 4, "split": "train", "loss": -0.1}])) == ["loss"]


def test_what_cannot_be_drawn_is_left_out() -> None:
    odd = [
        {"step": 1, "split": "train", "loss": math.nan, "note": "text", "flag": None},
        {"step": 2, "split": "train", "loss": math.inf, "good": 1.0},
        {"split": "train", "loss": 3.0},
        {},
    ]
    assert titles(loss_curves(odd)) == ["good"]
    assert loss_curves(odd[:1]) == loss_curves([]) == ""


def test_a_name_cannot_inject() -> None:
    svg = loss_curves(rows(3, **{'<script>"&': 1.0}))
    assert "<script" not in svg
    assert titles(svg) == ['<script>"&']


def test_lines_stay_inside_the_chart_and_rise_upwards() -> None:
    rising = [{"step": s, "split": "train", "loss": float(s)} for s in range(1, 30)]
    path = next(ElementTree.fromstring(loss_curves(rising)).find(f"{SVG}g").iter(f"{SVG}path"))  # type: ignore[union-attr]
    places = [
        tuple(map(float, point.strip("ML").split()))
        for point in path.get("d", "").replace(" L", "\nL").split("\n")
    ]
    assert all(0 < x < 360 and 0 < y < 200 for x, y in places)
    assert places[0][1] > places[-1][1]
    assert places[0][0] < places[-1][0]


def test_long_lines_are_averaged() -> None:
    points = _thinned([(float(i), float(i % 2)) for i in range(10_000)])
    assert len(points) <= 240
    assert all(value == pytest.approx(0.5, abs=0.02) for _, value in points[:-1])


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (-3.0, 7.0), (1e-6, 3.0), (0.013, 0.0131), (5.0, 5.0), (0.0, 0.0), (1e3, 2e7)],
)
def test_axes_have_a_few_ticks(low: float, high: float) -> None:
    axis = _Axis.around([low, high], 0, 100)
    assert 1 <= len(axis.ticks()) <= 12
    assert 0 < axis.place(low) <= axis.place(high) < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (1500, "1500"), (20_000, "20k"), (3e6, "3M"), (1e-5, "1e-05")],
)
def test_labels(value: float, text: str) -> None:
    assert _label(value) == text
