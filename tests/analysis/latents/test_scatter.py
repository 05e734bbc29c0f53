"""Pictures and pages of points: whole, offline, with nothing that overlaps."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from voxloom.analysis.latents import scatter as drawing
from voxloom.analysis.latents.scatter import draw, write_picture
from voxloom.analysis.latents.scatter_page import scatter_figure, write_page
from voxloom.analysis.latents.series import Scatter
from voxloom.errors import ConfigError, MissingExtraError


def scatter(count=12, kinds=3, dims=2, values=False, groups=1, **given):
    rng = np.random.default_rng(0)
    labels = np.array([f"kind {i % kinds}" for i in range(count)])
    numbers = np.where(np.arange(count) % 5, np.arange(count, dtype=float), np.nan)
    told = {"values": numbers} if values else {"labels": labels}
    plain = {
        "coordinates": rng.normal(size=(count, dims)).astype(np.float32),
        "keys": [f"key {i}" for i in range(count)],
        "groups": np.array([f"group {i % groups}" for i in range(count)]),
        "axes": tuple(f"axis {i}" for i in range(dims)),
        "title": "Title",
        "colour_by": "kind",
        "subtitle": "how it was made",
    }
    return Scatter(**{**plain, **told, **given})


def boxes(figure):
    """Return the places of everything written or drawn around the points, in pixels."""
    figure.canvas.draw()
    parts = [*figure.texts, *figure.legends, *figure.axes]
    return [part.get_tightbbox(figure.canvas.get_renderer()) for part in parts]


@pytest.mark.parametrize(
    "given",
    [
        {"kinds": 1, "count": 1},
        {"kinds": 2, "groups": 2},
        {"kinds": 40, "count": 80, "groups": 2},
        {"kinds": 64, "count": 64},
        {"kinds": 130, "count": 130, "groups": 2},
        {"values": True},
        {"values": True, "groups": 3},
        {"dims": 3, "kinds": 4},
        {"subtitle": "a long line that tells of much " * 12},
    ],
    ids=str,
)
def test_nothing_overlaps_and_nothing_leaves_the_sheet(given):
    figure = draw(scatter(**given))
    found = boxes(figure)
    whole = figure.bbox
    for box in found:
        inside = (
            whole.x0 - 2 <= box.x0,
            box.x1 <= whole.x1 + 2,
            whole.y0 - 2 <= box.y0,
            box.y1 <= whole.y1 + 2,
        )
        assert all(inside), (box, whole)
    for i, one in enumerate(found):
        for other in found[:i]:
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert width < 2 or height < 2, (one, other)


def test_png_and_svg_are_written_and_the_same_each_time(tmp_path):
    for end in ("png", "svg"):
        first, second = (write_picture(scatter(), tmp_path / f"{i}.{end}", dpi=50) for i in (1, 2))
        assert first.read_bytes() == second.read_bytes()
    with Image.open(tmp_path / "1.png") as image:
        assert image.size[0] > 300
    assert "<svg" in (tmp_path / "1.svg").read_text()
    with pytest.raises(ConfigError, match=r"\.png or \.svg"):
        write_picture(scatter(), tmp_path / "a.pdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.png", "1.svg", "2.png", "2.svg"]


def test_many_points_are_a_picture_within_the_svg(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "_MOST_VECTORS", 10)
    assert "<image" in write_picture(scatter(), tmp_path / "a.svg").read_text()


def test_all_points_of_values_are_drawn():
    figure = draw(scatter(values=True, groups=2))
    drawn = figure.axes[0].collections
    assert sum(len(each.get_offsets()) for each in drawn) == 12
    greys = [ink for each in drawn for ink in [*each.get_facecolors(), *each.get_edgecolors()]]
    assert sum(tuple((255 * ink[:3]).round()) == (0x8A, 0x8A, 0x8A) for ink in greys) == 3


def test_no_global_state_is_touched(tmp_path):
    import matplotlib.pyplot as plt

    before = dict(plt.rcParams)
    write_picture(scatter(), tmp_path / "a.svg")
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


def test_names_are_taken_as_they_are(tmp_path):
    odd = scatter(labels=np.array(["$x^2$", "_hidden", "漢字", "a" * 60] * 3), title="$not a formula")
    texts = [text.get_text() for text in draw(odd).legends[0].get_texts()]
    assert [text.strip()[:7] for text in texts] == [r"\$x^2\$", "_hidden", "aaaaaaa", "漢字 (3)"]
    write_picture(odd, tmp_path / "a.png", dpi=40)


def test_a_page_needs_no_network_and_tells_of_each_point(tmp_path):
    given = scatter(groups=2, keys=["<b>&", *[f"k{i}" for i in range(11)]], title="</script><i>")
    page = write_page(given, tmp_path / "a.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert "<i>" not in page.replace("<i>", "", page.count("<i>") if "&lt;i&gt;" in page else 0)
    figure = scatter_figure(given)
    told = [point for trace in figure.data if trace.customdata is not None for point in trace.customdata]
    assert len(told) == 12
    assert ["&lt;b&gt;&amp;", "group 0", "kind 0"] in [list(point) for point in told]


def test_a_page_of_values_has_a_scale_and_greys_what_has_none():
    figure = scatter_figure(scatter(values=True, groups=2))
    assert "9 without" not in str(figure.layout.coloraxis)
    assert "3 without" in figure.layout.coloraxis.colorbar.title.text
    grey = [trace for trace in figure.data if str(trace.marker.color) == "#8a8a8a" and trace.customdata]
    assert sum(len(trace.x) for trace in grey) == 3


@pytest.mark.parametrize(
    ("given", "kind"), [({}, "scatter"), ({"count": 4000}, "scattergl"), ({"dims": 3}, "scatter3d")]
)
def test_how_a_page_draws(given, kind):
    assert {trace.type for trace in scatter_figure(scatter(**given)).data} == {kind}


def test_shapes_in_space_are_the_same_in_picture_page_and_table():
    given = scatter(kinds=9, dims=3, count=36)
    page = {trace.name.partition(" (")[0]: trace.marker.symbol for trace in scatter_figure(given).data}
    assert page == {entry.name: entry.mark.shape for entry in given.label_entries}
    assert set(page.values()) == {"circle", "square", "diamond", "cross", "x"}
    draw(given)


def test_a_page_counts_the_points_of_each_label():
    traces = scatter_figure(scatter(groups=2)).data
    assert [trace.name for trace in traces if trace.showlegend][:3] == [
        "kind 0 (4)",
        "kind 1 (4)",
        "kind 2 (4)",
    ]
    assert [trace.name for trace in traces][-2:] == ["group 0 (6)", "group 1 (6)"]


def test_marks_of_a_dark_page_are_in_the_page(tmp_path):
    page = write_page(scatter(kinds=8), tmp_path / "a.html").read_text()
    inks = json.loads(re.search(r"const inks = (\{.*?\}), edged", page)[1])
    assert list(inks.values()) == [["#000000", "#f2f2f2"]]
    assert "prefers-color-scheme" in page


@pytest.mark.parametrize(("package", "write"), [("matplotlib", "a.png"), ("plotly", "a.html")])
def test_a_missing_package_is_named(package, write, tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r'pip install "voxloom\[analysis\]"'):
        (write_page if write.endswith("html") else write_picture)(scatter(), tmp_path / write)
    assert not list(tmp_path.iterdir())
