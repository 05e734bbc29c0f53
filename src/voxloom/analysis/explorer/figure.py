"""The scatter as plotly.js takes it: built here as plain data, drawn in the browser.

Coordinates travel as base64 of float32, rows as int32: 100,000 points in the plane are 1.6 MB.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.explorer.look import LOOKS, mark_size, scale, style_of
from voxloom.analysis.latents.palette import marks

__all__ = ["MOST_NAMES", "Colouring", "figure"]

Array = npt.NDArray[Any]
Trace = dict[str, Any]

MOST_NAMES = 60
"""Names that have a colour of their own; the rest is drawn grey, as one."""
_FAINT_REST = 0.12
_EYE = {"x": 1.5, "y": 1.5, "z": 1.1}
_AXES = ("x", "y", "z")
_MARGIN, _LEAST = 0.06, 1e-3  # round the points: a share of their extent, and at least this


@dataclass(frozen=True)
class Colouring:
    """What points are coloured by.

    Attributes
    ----------
    field
        Its name.
    values
        (N,) numbers; of names, each point's place in `names`.
    names
        Names of a category; None where the values are numbers.
    """

    field: str
    values: Array
    names: Sequence[str] | None = None


def figure(
    coordinates: Array, colouring: Colouring, *, rows: Array, theme: str, titles: Sequence[str], key: str
) -> dict[str, Any]:
    """Return the scatter: one trace a name, or one of numbers and one of what has none.

    Parameters
    ----------
    coordinates
        (N, 2) or (N, 3) float.
    colouring
        Of all N points.
    rows
        Points to draw, after filtering.
    theme
        light or dark.
    titles
        One an axis.
    key
        Of the projection: the view is kept as long as it stays the same.

    Examples
    --------
    >>> xy = np.zeros((3, 2), np.float32)
    >>> by = Colouring("group", np.array([0, 1, 0]), ["ct", "mr"])
    >>> drawn = figure(xy, by, rows=np.arange(3), theme="light", titles=["x", "y"], key="a")
    >>> [(trace["name"], trace["meta"]["count"]) for trace in drawn["data"]]
    [('ct', 2), ('mr', 1)]
    """
    dims = coordinates.shape[1]
    traces = _named(colouring, rows, theme=theme, dims=dims) if colouring.names is not None else []
    traces = traces if colouring.names is not None else _numbered(colouring, rows, theme=theme)
    for trace in traces:
        chosen = trace.pop("rows")
        trace |= {axis: _packed(coordinates[chosen, i]) for i, axis in enumerate(_AXES[:dims])}
        trace |= {"customdata": _packed(chosen.astype(np.int32)), **_kind(dims)}
        trace["meta"] = {**trace.get("meta", {}), "count": len(chosen)}
        trace["marker"] = {"size": _size(len(coordinates), dims), "opacity": 0.85, **trace["marker"]}
    layout = _layout(theme, titles, key, ends=_ends(coordinates))
    layout["meta"]["field"] = colouring.field
    return {"data": traces, "layout": layout}


def _named(by: Colouring, rows: Array, *, theme: str, dims: int) -> list[Trace]:
    """Return a trace for each name in use, the most frequent ones where there are too many."""
    names = by.names or ()
    counts = np.bincount(by.values, minlength=len(names))
    own = np.sort(np.argsort(-counts, kind="stable")[:MOST_NAMES])
    codes = by.values[rows]
    traces: list[Trace] = []
    rest = rows[~np.isin(codes, own)]
    if len(names) > len(own):
        traces.append(_rest(rest, f"{len(names) - len(own)} others", theme))
    for place, mark in zip(own.tolist(), marks(len(own)), strict=True):
        style = style_of(mark, theme=theme, dims=dims)
        traces.append({"name": str(names[place]), "rows": rows[codes == place], "marker": style})
    return traces


def _numbered(by: Colouring, rows: Array, *, theme: str) -> list[Trace]:
    """Return a trace of the points with a number, coloured by it, over one of those without."""
    finite = by.values[np.isfinite(by.values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    values = by.values[rows]
    known = np.isfinite(values)
    colours = scale(theme)
    marker = {
        "color": _packed(values[known].astype(np.float32)),
        "colorscale": colours,
        "cmin": low,
        "cmax": high if high > low else low + 1,
        "symbol": "circle",
    }
    meta = {"low": low, "high": high, "colours": [colour for _, colour in colours]}
    with_number: Trace = {"name": by.field, "rows": rows[known], "marker": marker, "meta": meta}
    return [_rest(rows[~known], "no value", theme), with_number] if not known.all() else [with_number]


def _rest(rows: Array, name: str, theme: str) -> Trace:
    marker = {"color": LOOKS[theme]["missing"], "symbol": "circle"}
    return {"name": name, "rows": rows, "marker": marker, "meta": {"rest": True}}


def _kind(dims: int) -> Trace:
    if dims == 3:
        return {"type": "scatter3d", "mode": "markers", "hoverinfo": "none"}
    faint = {"marker": {"opacity": _FAINT_REST}}
    return {"type": "scattergl", "mode": "markers", "hoverinfo": "none", "unselected": faint}


def _size(count: int, dims: int) -> float:
    return mark_size(count) if dims == 2 else max(1.5, mark_size(count) / 2)


def _ends(coordinates: Array) -> list[list[float]]:
    """Return where each axis begins and ends: of all points, so that the view stays under a filter."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    pad = np.maximum(_MARGIN * (high - low), _LEAST)
    ends: list[list[float]] = np.stack([low - pad, high + pad], axis=1).astype(float).tolist()
    return ends


def _layout(theme: str, titles: Sequence[str], key: str, *, ends: list[list[float]]) -> dict[str, Any]:
    look, dims = LOOKS[theme], len(ends)
    axes = [{**_axis(title, look), "range": each} for title, each in zip(titles, ends, strict=True)]
    layout: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": look["ink"]},
        "margin": {"l": 56, "r": 16, "t": 8, "b": 42} if dims == 2 else {"l": 0, "r": 0, "t": 0, "b": 0},
        "showlegend": False,
        "hovermode": "closest",
        "uirevision": key,
        "meta": {"key": key, "dims": dims, "ink": look["ink"], "page": look["page"], "ends": ends},
    }
    if dims == 2:  # one unit is as long across as up, or distances on the page would deceive
        return {**layout, "xaxis": axes[0], "yaxis": {**axes[1], "scaleanchor": "x"}}
    scene = {f"{axis}axis": {**made, "backgroundcolor": "rgba(0,0,0,0)", "showbackground": False}
             for axis, made in zip(_AXES, axes, strict=True)}  # fmt: skip
    return {**layout, "scene": {**scene, "aspectmode": "data", "camera": {"eye": _EYE}}}


def _axis(title: str, look: Any) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 12, "color": look["faint"]}},
        "gridcolor": look["grid"],
        "zeroline": False,
        "showline": False,
        "tickfont": {"size": 11, "color": look["faint"]},
    }


def _packed(array: Array) -> dict[str, str]:
    """Return an array of one axis as plotly.js reads it: base64 of its bytes, little-endian."""
    kind = {"f": "f4", "i": "i4"}[array.dtype.kind]
    held = np.ascontiguousarray(array, dtype=f"<{kind}")
    return {"dtype": kind, "bdata": base64.b64encode(held.tobytes()).decode("ascii")}
