"""A scatter of points as one HTML file: it needs no network, and tells of each point under the pointer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from voxloom.analysis.latents.palette import MISSING_COLOUR, Mark
from voxloom.analysis.latents.scatter import limits, scale_name
from voxloom.analysis.latents.series import MOST_ENTRIES, Scatter, Series
from voxloom.atomic import replacing
from voxloom.errors import MissingExtraError

__all__ = ["scatter_figure", "write_page"]

_MOST_SHAPES = 3000  # points that are drawn as shapes of the page; more are drawn by WebGL

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
html{{color-scheme:light dark;--ink:#18181b;--faint:#55555e;--page:#ffffff}}
@media (prefers-color-scheme:dark){{html{{--ink:#f4f4f5;--faint:#a9a9b2;--page:#16161a}}}}
*{{box-sizing:border-box}}
html,body{{height:100%;margin:0}}
body{{display:flex;flex-direction:column;background:var(--page);color:var(--ink);
font:14px/1.4 system-ui,sans-serif}}
header{{padding:10px 16px 2px}}
h1{{font-size:18px;margin:0}}
p{{margin:2px 0 0;color:var(--faint);font-size:12.5px;white-space:pre-line}}
main{{flex:1;min-height:360px}}
</style></head>
<body><header><h1>{title}</h1><p>{subtitle}</p></header>
<main>{plot}</main></body></html>
"""

_THEME = """
const plot = document.getElementById('{plot_id}');
const schemes = window.matchMedia('(prefers-color-scheme: dark)');
const inks = MARKS, edged = EDGED;
function dress() {
  const dark = schemes.matches;
  const ink = dark ? '#f4f4f5' : '#18181b', grid = dark ? '#34343b' : '#e4e4e7';
  const paper = dark ? '#16161a' : '#ffffff';
  const layout = {paper_bgcolor: paper, plot_bgcolor: paper, 'font.color': ink};
  const axes = plot.layout.scene
    ? ['scene.xaxis', 'scene.yaxis', 'scene.zaxis'] : ['xaxis', 'yaxis'];
  for (const axis of axes) {
    layout[axis + '.gridcolor'] = grid; layout[axis + '.zerolinecolor'] = grid;
    layout[axis + '.linecolor'] = grid; layout[axis + '.backgroundcolor'] = paper;
  }
  Plotly.relayout(plot, layout);
  const traces = Object.keys(inks).map(Number);
  if (traces.length) {
    Plotly.restyle(plot, {'marker.color': traces.map(i => inks[i][dark ? 1 : 0])}, traces);
  }
  if (edged.length) {
    Plotly.restyle(plot, {'marker.line.color': dark ? '#b4b4bd' : '#555555'}, edged);
  }
  window.dressed = dark ? 'dark' : 'light';
}
schemes.addEventListener('change', dress);
dress();
"""


def write_page(scatter: Scatter, path: str | Path) -> Path:
    """Write a scatter as one self-contained HTML file, whole or not at all, and return its path.

    It follows the reader's light or dark scheme. A point under the pointer tells its key, group and label.

    Raises
    ------
    MissingExtraError
        When plotly is not installed.
    """
    path = Path(path)
    figure = scatter_figure(scatter)
    told = scatter.subtitle
    if len(scatter.label_entries) > MOST_ENTRIES:
        told += f"\n{len(scatter.label_entries)} labels of {scatter.colour_by}: see legend.csv."
    inks = {i: [trace.meta["light"], trace.meta["dark"]] for i, trace in enumerate(figure.data) if trace.meta}
    edged = [i for i, trace in enumerate(figure.data) if trace.marker.line.color]
    name = path.stem
    plot = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="plot",
        post_script=_THEME.replace("MARKS", json.dumps(inks)).replace("EDGED", json.dumps(edged)),
        config={
            "displaylogo": False,
            "responsive": True,
            "scrollZoom": True,
            "toImageButtonOptions": {"format": "svg", "filename": name},
        },
    )
    text = _PAGE.format(title=escape(scatter.title or name), subtitle=escape(told.strip()), plot=plot)
    with replacing(path) as file:
        file.write(text.encode())
    return path


def scatter_figure(scatter: Scatter) -> Any:
    """Return a scatter as a plotly figure, without title and subtitle, which the page tells.

    Raises
    ------
    MissingExtraError
        When plotly is not installed.

    Examples
    --------
    >>> figure = scatter_figure(
    ...     Scatter(coordinates=np.eye(2), keys=["a", "b"], groups=np.array(["x", "y"]),
    ...             labels=np.array(["x", "y"]))
    ... )
    >>> [trace.name for trace in figure.data]
    ['x (1)', 'y (1)']
    """
    try:
        from plotly.graph_objects import Figure
    except ImportError as error:
        raise MissingExtraError(
            'pages need plotly, which is not installed: pip install "voxloom[analysis]".'
        ) from error
    figure = Figure(layout=_layout(scatter))
    figure.add_traces([*_points(scatter), *_group_legend(scatter)])
    if scatter.values is not None:
        low, high = limits(scatter)
        figure.update_layout(
            coloraxis={
                "colorscale": "Viridis", "cmin": low, "cmax": high,
                "colorbar": {"title": {"text": escape(scale_name(scatter)), "side": "right"},
                             "thickness": 14, "outlinewidth": 0, "len": 0.75, "y": 0, "yanchor": "bottom"},
            }
        )  # fmt: skip
    return figure


def _points(scatter: Scatter) -> Iterator[Any]:
    seen: set[str] = set()
    for series in scatter.drawn:
        trace = _trace(scatter, series, in_legend=bool(series.label) and series.label not in seen)
        if not seen and series.label:
            trace.legendgrouptitle = {"text": escape(scatter.colour_by)}
        yield trace
        seen.add(series.label)
        if scatter.values is not None:
            yield from _without_value(scatter, series)


def _kind(scatter: Scatter) -> Any:
    from plotly import graph_objects

    if scatter.dims == 3:
        return graph_objects.Scatter3d
    many = len(scatter.coordinates) > _MOST_SHAPES
    return graph_objects.Scattergl if many else graph_objects.Scatter


def _trace(scatter: Scatter, series: Series, *, in_legend: bool) -> Any:
    """Return the points of one series that have a label or a value."""
    rows = series.rows
    marker = _marker(scatter, series.mark)
    meta = None
    if scatter.values is not None:
        rows = rows[np.isfinite(scatter.values[rows])]
        marker |= {"color": scatter.values[rows], "coloraxis": "coloraxis"}
    else:
        marker["color"] = series.mark.colour
        meta = _meta(series.mark)
    name = series.label or series.group
    return _drawn(
        scatter,
        rows,
        name=escape(name) + (f" ({scatter.counts[series.label]})" if in_legend else ""),
        marker=marker,
        meta=meta,
        legendgroup=f"label {name}",
        showlegend=in_legend,
    )


def _without_value(scatter: Scatter, series: Series) -> Iterator[Any]:
    assert scatter.values is not None
    rows = series.rows[~np.isfinite(scatter.values[series.rows])]
    if len(rows):
        marker = _marker(scatter, series.mark) | {"color": MISSING_COLOUR}
        name = escape(f"{series.group}, no {scatter.colour_by}")
        yield _drawn(scatter, rows, name=name, marker=marker, showlegend=False)


def _drawn(scatter: Scatter, rows: Any, **options: Any) -> Any:
    axes = "xyz"[: scatter.dims]
    places = {axis: scatter.coordinates[rows, i] for i, axis in enumerate(axes)}
    return _kind(scatter)(
        **places,
        mode="markers",
        customdata=_told(scatter, rows),
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>group %{{customdata[1]}}{_label_line(scatter)}"
        "<extra></extra>",
        **options,
    )


def _told(scatter: Scatter, rows: Any) -> list[list[str]]:
    """Return what is told of each point: key, group, and label or value."""
    values: Any = scatter.labels if scatter.values is None else scatter.values
    texts = [f"{v:.6g}" if scatter.values is not None else str(v) for v in values[rows].tolist()]
    keys, groups = scatter.keys, scatter.groups
    return [
        [escape(str(keys[row])), escape(str(groups[row])), escape(text)]
        for row, text in zip(rows.tolist(), texts, strict=True)
    ]


def _label_line(scatter: Scatter) -> str:
    return "" if scatter.is_by_group else f"<br>{escape(scatter.colour_by)} %{{customdata[2]}}"


def _marker(scatter: Scatter, mark: Mark) -> dict[str, Any]:
    count = len(scatter.coordinates)
    size = float(np.clip(8.5 * (150 / count) ** 0.25, 3, 9)) * (0.5 if scatter.dims == 3 else 1)
    edge = {} if count > _MOST_SHAPES or scatter.dims == 3 else {"width": 0.5, "color": "#555555"}
    if not mark.is_filled:
        edge = {"width": 1.6} if count <= _MOST_SHAPES else {"width": 1.0}
    return {
        "symbol": _symbol(mark, scatter.dims),
        "size": size,
        "line": edge,
        "opacity": 0.9 if count <= 2000 else 0.65,
    }


def _symbol(mark: Mark, dims: int) -> str:
    has_outline = dims == 2 or mark.shape in ("circle", "square", "diamond")
    return mark.shape if mark.is_filled or not has_outline else f"{mark.shape}-open"


def _meta(mark: Mark) -> dict[str, str] | None:
    """Return the colour of each scheme, where they differ."""
    return {"light": mark.colour, "dark": mark.on_dark} if mark.on_dark != mark.colour else None


def _group_legend(scatter: Scatter) -> Iterator[Any]:
    """Yield a trace without points for each group, to explain its mark."""
    for entry in scatter.group_entries:
        axes = {axis: [None] for axis in "xyz"[: scatter.dims]}
        yield _kind(scatter)(
            **axes, mode="markers", name=f"{escape(entry.name)} ({entry.count})", hoverinfo="skip",
            marker=_marker(scatter, entry.mark) | {"color": "#8a8a8a", "size": 8},
            legendgroup="group", legendgrouptitle={"text": "group"}, legendrank=1,
        )  # fmt: skip


def _layout(scatter: Scatter) -> dict[str, Any]:
    names = [{"title": {"text": escape(axis)}, "zeroline": False} for axis in scatter.axes]
    space: dict[str, Any] = dict(zip(("xaxis", "yaxis", "zaxis"), names, strict=False))
    camera = {"eye": {"x": 1.45, "y": 1.45, "z": 0.95}, "center": {"x": 0, "y": 0, "z": -0.12}}
    in_space = scatter.dims == 3
    return {
        # Above the points is room for the buttons.
        "margin": {"l": 10 if in_space else 60, "r": 20, "t": 40, "b": 10 if in_space else 50},
        "autosize": True,
        "showlegend": 1 < len(scatter.label_entries) <= MOST_ENTRIES or bool(scatter.group_entries),
        "legend": {"itemsizing": "constant", "tracegroupgap": 2, "y": 1, "yanchor": "top"},
        "hoverlabel": {"align": "left"},
        **({"scene": space | {"camera": camera}} if in_space else space),
    }
