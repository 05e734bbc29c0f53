"""A scatter of points as a picture: PNG or SVG, by matplotlib, without a display."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from voxloom.analysis.latents.palette import MISSING_COLOUR, Mark
from voxloom.analysis.latents.series import MOST_ENTRIES, Entry, Scatter, Series
from voxloom.atomic import replacing
from voxloom.errors import ConfigError, MissingExtraError

__all__ = ["draw", "limits", "scale_name", "write_picture"]

_PLOT = 6.4  # inches, of the square of points
_SHAPES = {
    "circle": "o", "square": "s", "triangle-up": "^", "diamond": "D", "triangle-down": "v",
    "pentagon": "p", "star": "*", "cross": "P", "x": "X",
}  # fmt: skip
_SIZES = {"star": 1.6, "diamond": 0.8, "pentagon": 1.15}  # shapes of equal area look equal
_INK, _FAINT, _GRID = "#1a1a1a", "#555555", "#e3e3e3"
_BESIDE = 26  # entries that fit beside the plot in one column
_MOST_VECTORS = 20_000  # points that an SVG holds as shapes; more become a picture within it
_LONGEST = 28  # letters of a name in a legend


def write_picture(scatter: Scatter, path: str | Path, *, dpi: int = 300) -> Path:
    """Write a scatter as PNG or SVG, by the name's end, whole or not at all, and return its path.

    Parameters
    ----------
    scatter
        What to draw.
    path
        Where to; a file that is there is replaced.
    dpi
        Dots an inch: a picture is about 8 x 7 inches large.

    Raises
    ------
    ConfigError
        When the name ends in neither ``.png`` nor ``.svg``.
    MissingExtraError
        When matplotlib is not installed.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise ConfigError(f"{path.name}: expected a name that ends in .png or .svg.")
    figure = draw(scatter)
    from matplotlib import rc_context

    settings = {"svg.hashsalt": "voxloom", "svg.fonttype": "path"}
    with rc_context(settings), warnings.catch_warnings(), replacing(path) as file:
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn in its place
        facts = {"Date": None} if kind == "svg" else {}
        figure.savefig(file, format=kind, dpi=dpi, metadata=facts, facecolor="white")
    return path


def draw(scatter: Scatter) -> Any:
    """Return a scatter as a matplotlib figure that no global state knows of.

    Raises
    ------
    MissingExtraError
        When matplotlib is not installed.

    Examples
    --------
    >>> figure = draw(
    ...     Scatter(coordinates=np.eye(2), keys=["a", "b"], groups=np.array(["x", "x"]),
    ...             labels=np.array(["x", "x"]))
    ... )
    >>> len(figure.axes)
    1
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            'pictures need matplotlib, which is not installed: pip install "voxloom[analysis]".'
        ) from error
    sheet = _Sheet.of(scatter)
    figure = Figure(figsize=(sheet.width, sheet.height), layout=None)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(sheet.place, projection="3d" if scatter.dims == 3 else None)
    _frame(axes, scatter)
    for series in scatter.drawn:
        _plot(axes, scatter, series)
    _head(figure, scatter, sheet)
    if scatter.values is not None:
        _bar(figure, scatter, sheet)
    _legends(figure, scatter, sheet)
    return figure


class _Sheet:
    """Inches: how large the picture is, where the points are, and where the legend goes."""

    def __init__(self, *, columns: int, rows: int, below: bool, head: float, names: int) -> None:
        self.columns, self.rows, self.is_below = columns, rows, below
        self.head = head
        letters = 0.078 * min(names, _LONGEST + 8) + 0.45
        self.beside = columns * letters + 0.1 if columns and not below else 0.0
        self.foot = rows * 0.19 + 0.35 if columns and below else 0.0
        self.left, self.right, self.bottom = 0.75, 0.3, 0.6
        self.width = self.left + _PLOT + self.right + self.beside
        if below:
            self.width = max(self.width, 9.0)
        self.height = head + _PLOT * 0.92 + self.bottom + self.foot

    @classmethod
    def of(cls, scatter: Scatter) -> _Sheet:
        entries = (*scatter.label_entries, *scatter.group_entries)
        count = len(entries) if len(entries) > 1 or scatter.values is None else 1
        names = [*map(_entry_text, entries), _short(scatter.colour_by)]
        longest = max(map(len, names)) if entries else 12
        lines = len(_subtitle_lines(scatter.subtitle)) + len(_title_lines(scatter.title)) * 1.4
        head = 0.3 + 0.19 * lines
        if len(scatter.label_entries) > MOST_ENTRIES:
            return cls(columns=1, rows=4, below=False, head=head, names=_LONGEST)
        if count <= _BESIDE:
            alone = len(scatter.label_entries) == 1 and count == 1
            return cls(columns=int(not alone), rows=count, below=False, head=head, names=max(longest, 8))
        columns = max(2, int(8.2 // (0.078 * min(longest, _LONGEST + 8) + 0.45)))
        return cls(columns=columns, rows=math.ceil(count / columns) + 2, below=True, head=head, names=longest)

    @property
    def place(self) -> tuple[float, float, float, float]:
        """Of the axes: left, bottom, width and height, in shares of the figure."""
        bottom = self.bottom + self.foot
        wide = self.width - self.left - self.right - self.beside
        return (
            self.left / self.width,
            bottom / self.height,
            wide / self.width,
            (self.height - self.head - bottom) / self.height,
        )


def _frame(axes: Any, scatter: Scatter) -> None:
    """Name the axes and draw a faint grid behind the points."""
    axes.set_xlabel(_plain(scatter.axes[0]), color=_FAINT)
    axes.set_ylabel(_plain(scatter.axes[1]), color=_FAINT)
    axes.tick_params(labelsize=8, labelcolor=_FAINT, color=_GRID)
    axes.grid(True, color=_GRID, linewidth=0.7)
    axes.margins(0.05)
    if scatter.dims == 3:
        axes.set_zlabel(_plain(scatter.axes[2]), color=_FAINT)
        axes.set_box_aspect(None, zoom=0.92)
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_pane_color((1, 1, 1, 0))
        return
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color("#c8c8c8")


def _plot(axes: Any, scatter: Scatter, series: Series) -> None:
    """Draw the points of one series."""
    count = len(scatter.coordinates)
    options: dict[str, Any] = {
        "marker": _SHAPES[series.mark.shape],
        "s": _size(count) * _SIZES.get(series.mark.shape, 1.0),
        "alpha": 0.9 if count <= 2000 else 0.6,
        "rasterized": count > _MOST_VECTORS,
        "zorder": 3,
    }
    xyz = scatter.coordinates[series.rows].T
    inks = _inked(series.mark, count) if scatter.values is None else _valued(scatter, series)
    axes.scatter(*xyz, **options, **inks)


def _size(count: int) -> float:
    """Return the area of a point, in square points: 36 for a few, 2 for very many."""
    return float(np.clip(36 * math.sqrt(150 / max(count, 1)), 2, 36))


def _inked(mark: Mark, count: int) -> dict[str, Any]:
    if not mark.is_filled:
        return {"facecolors": "none", "edgecolors": mark.colour, "linewidths": 1.4 if count <= 2000 else 0.8}
    # A fine dark edge, so that yellow is seen on white and points that touch are told apart.
    return {"facecolors": mark.colour, "edgecolors": "#333333", "linewidths": 0.4 if count <= 2000 else 0.0}


def _valued(scatter: Scatter, series: Series) -> dict[str, Any]:
    """Colour by number, points without one in grey."""
    from matplotlib import colormaps

    assert scatter.values is not None
    low, high = limits(scatter)
    shares = (scatter.values[series.rows] - low) / (high - low)
    inks = colormaps["viridis"].with_extremes(bad=MISSING_COLOUR)(shares)
    if series.mark.is_filled:
        return {"facecolors": inks, "edgecolors": "#333333", "linewidths": 0.3}
    return {"facecolors": "none", "edgecolors": inks, "linewidths": 1.4}


def limits(scatter: Scatter) -> tuple[float, float]:
    """Return the ends of the scale of the numbers."""
    assert scatter.values is not None
    known = scatter.values[np.isfinite(scatter.values)]
    if not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def scale_name(scatter: Scatter) -> str:
    """Return what the scale of the numbers is called, and how many points have none."""
    assert scatter.values is not None
    unknown = int((~np.isfinite(scatter.values)).sum())
    return scatter.colour_by + (f"   (grey: {unknown} without)" if unknown else "")


def _bar(figure: Any, scatter: Scatter, sheet: _Sheet) -> None:
    """Draw the scale of the numbers beside the points, below what the legend takes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    left, bottom, width, height = sheet.place
    lines = len(scatter.group_entries)
    top = 0.24 * (lines + 2) / sheet.height if lines else 0.0
    place = (left + width + 0.2 / sheet.width, bottom, 0.16 / sheet.width, height - top)
    bar = figure.colorbar(ScalarMappable(Normalize(*limits(scatter)), "viridis"), cax=figure.add_axes(place))
    bar.set_label(_plain(scale_name(scatter)), color=_FAINT)
    bar.outline.set_edgecolor("#c8c8c8")
    bar.ax.tick_params(labelsize=8, labelcolor=_FAINT, color=_GRID)


def _head(figure: Any, scatter: Scatter, sheet: _Sheet) -> None:
    """Write the title, and below it the subtitle, over the points."""
    left, y = sheet.left / sheet.width, sheet.height - 0.14
    for line in _title_lines(scatter.title):
        figure.text(left, y / sheet.height, _plain(line), fontsize=13, weight="bold", color=_INK, va="top")
        y -= 0.27
    for line in _subtitle_lines(scatter.subtitle):
        figure.text(left, y / sheet.height, _plain(line), fontsize=8.5, color=_FAINT, va="top")
        y -= 0.185


def _title_lines(title: str) -> Sequence[str]:
    return [line for part in title.splitlines() for line in wrap(part, 62)]


def _subtitle_lines(subtitle: str) -> Sequence[str]:
    return [line for part in subtitle.splitlines() for line in wrap(part, 104)]


def _legends(figure: Any, scatter: Scatter, sheet: _Sheet) -> None:
    """Explain colours, and marks where they tell something else."""
    labels, groups = scatter.label_entries, scatter.group_entries
    left, bottom, width, height = sheet.place
    x, y = (
        (sheet.left / sheet.width, (sheet.foot - 0.05) / sheet.height)
        if sheet.is_below
        else (left + width + 0.1 / sheet.width, bottom + height)
    )
    if len(labels) > MOST_ENTRIES:
        text = f"{len(labels)} labels of\n{_short(scatter.colour_by)}:\nsee legend.csv"
        figure.text(x, y, _plain(text), fontsize=8.5, color=_FAINT, va="top")
        labels, y = (), y - 0.7 / sheet.height
    columns = sheet.columns if sheet.is_below else 1
    if labels and (len(labels) > 1 or groups):
        _legend(figure, labels, (x, y), columns=columns, title=scatter.colour_by)
        rows = math.ceil(len(labels) / columns) + 1.6
        y -= 0.19 * rows / sheet.height
    if groups:
        _legend(figure, groups, (x, y), columns=columns, title="group")


def _legend(
    figure: Any, entries: Sequence[Entry], corner: tuple[float, float], *, columns: int, title: str
) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="", marker=_SHAPES[entry.mark.shape],
            markersize=6 * math.sqrt(_SIZES.get(entry.mark.shape, 1.0)),
            markerfacecolor=entry.mark.colour if entry.mark.is_filled else "none",
            markeredgecolor="#333333" if entry.mark.is_filled else entry.mark.colour,
            markeredgewidth=0.4 if entry.mark.is_filled else 1.4,
        )
        for entry in entries
    ]  # fmt: skip
    legend = figure.legend(
        handles, [_plain(_entry_text(entry)) for entry in entries], loc="upper left",
        bbox_to_anchor=corner, ncols=columns, title=_plain(_short(title)), fontsize=8, title_fontsize=9,
        frameon=False, alignment="left", borderaxespad=0, borderpad=0, labelspacing=0.35,
        handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip
    legend.get_title().set_color(_INK)


def _entry_text(entry: Entry) -> str:
    return f"{_short(entry.name)} ({entry.count})"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _plain(text: str) -> str:
    """Return text that matplotlib takes as it is: no formulas, and no hidden names."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
