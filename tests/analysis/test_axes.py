import xml.etree.ElementTree as ElementTree

import pytest

from voxloom.analysis.axes import COLOURS, Axis, dash_of, drawing, grid, line, note, tick_label


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (-3.0, 7.0), (1e-6, 3.0), (0.013, 0.0131), (5.0, 5.0), (0.0, 0.0), (1e3, 2e7)],
)
def test_axes_have_a_few_ticks(low: float, high: float) -> None:
    axis = Axis.around([low, high], 0, 100)
    assert 1 <= len(axis.ticks()) <= 12
    assert 0 < axis.place(low) <= axis.place(high) < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (1500, "1500"), (20_000, "20k"), (3e6, "3M"), (1e-5, "1e-05")],
)
def test_labels(value: float, text: str) -> None:
    assert tick_label(value) == text


def test_colours_and_dashes_together_tell_many_lines_apart() -> None:
    styles = {(number % COLOURS, dash_of(number)) for number in range(49)}
    assert len(styles) == 49


def test_a_drawing_is_well_formed_and_nothing_injects() -> None:
    x, y = Axis(0, 1, 0, 100), Axis(0, 1, 100, 0)
    parts = [
        grid(x, y, upright=True),
        line([(0, 0), (1, 1)], x, y, 3, dots=True, dash="1 2"),
        note(0, 0, "<b>"),
    ]
    svg = drawing(parts, width=100, height=100, label='a "label" <')
    assert ElementTree.fromstring(svg).get("aria-label") == 'a "label" <'
    assert "<b>" not in svg
    for media in ("prefers-color-scheme:dark", "@media print"):
        assert media in svg
