import math
import xml.etree.ElementTree as ElementTree

import pytest

from voxloom.analysis.figures import _thinned, loss_curves, run_curves

SVG = "{http://www.w3.org/2000/svg}"


def rows(count: int, **values: float) -> list[dict[str, object]]:
    return [{"step": s, "epoch": 0, "split": "train", "time": 0.1 * s, **values} for s in range(1, count + 1)]


def titles(svg: str) -> list[str]:
    texts = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return ["".join(text.itertext()) for text in texts if text.get("class") == "name"]


def lines(chart: ElementTree.Element) -> list[str | None]:
    return [path.get("class") for path in chart.iter(f"{SVG}path") if path.get("class") != "grid"]


def test_one_chart_a_value_in_a_sensible_order() -> None:
    svg = loss_curves(rows(5, lr=0.1, kl=2.0, reconstruction=1.0, loss=3.0, images_per_second=9.0))
    assert titles(svg) == ["loss", "kl", "reconstruction", "lr", "images per second"]


def test_training_and_validation_are_two_lines() -> None:
    both = [*rows(9, loss=1.0), {"step": 9, "split": "validation", "loss": 2.0, "psnr": 20.0}]
    root = ElementTree.fromstring(loss_curves(both))
    charts = root.findall(f"{SVG}g")
    assert [lines(chart) for chart in charts] == [
        ["c0", "c1"],
        ["c1"],
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
    chart = ElementTree.fromstring(loss_curves(rising)).find(f"{SVG}g")
    assert chart is not None
    path = next(path for path in chart.iter(f"{SVG}path") if path.get("class") == "c0")
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


def test_runs_lie_over_each_other_in_a_colour_and_a_dash_each() -> None:
    one = [*rows(9, loss=1.0, kl=2.0), {"step": 9, "split": "validation", "loss": 2.0}]
    two = [*rows(9, loss=3.0), {"step": 9, "split": "validation", "loss": 2.5}]
    svg = run_curves({"first": one, "second": two})
    assert titles(svg) == ["loss · validation", "loss · train"]
    chart = ElementTree.fromstring(svg).findall(f"{SVG}g")[1]
    paths = [path for path in chart.iter(f"{SVG}path") if path.get("class") != "grid"]
    assert [path.get("class") for path in paths] == ["c0", "c1"]
    assert len({path.get("stroke-dasharray") for path in paths}) == 2


def test_of_runs_only_shared_and_wanted_values_are_drawn() -> None:
    both = {"a": rows(3, loss=1.0, psnr=2.0), "b": rows(3, loss=1.0, psnr=2.0, odd=1.0)}
    assert titles(run_curves(both, only=["psnr"])) == ["psnr · train"]
    assert run_curves({"a": rows(3, loss=1.0), "b": []}) == ""


def test_many_runs_with_long_names_keep_their_legend_inside() -> None:
    runs = {f"{'long_name_' * 9}{i}": rows(3, loss=1.0 + i) for i in range(9)}
    svg = run_curves(runs)
    width = float(ElementTree.fromstring(svg).get("viewBox", "").split()[2])
    notes = [text for text in ElementTree.fromstring(svg).findall(f"{SVG}text")]
    assert len(notes) == 9
    assert all(float(text.get("x", "0")) < width for text in notes)
    assert all("…" in (text.text or "") for text in notes)
