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
from voxloom.analysis.explorer.marking import Marking, marking_of
from voxloom.analysis.latents.palette import Mark

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
    groups, group_codes
        Names of the groups, and each point's place in them; where colour does not tell the groups, two
        differ by their filling and more by shape. None for one group.
    """

    field: str
    values: Array
    names: Sequence[str] | None = None
    groups: Sequence[str] = ("",)
    group_codes: Array | None = None

    @property
    def is_by_group(self) -> bool:
        """Whether colour tells the groups."""
        return self.field == "group" and self.names is not None

    @property
    def marking(self) -> Marking:
        """What each name and group looks like."""
        names = None if self.names is None else tuple(self.names)
        groups = tuple(self.names or ()) if self.is_by_group else tuple(self.groups)
        return marking_of(names, groups, is_by_group=self.is_by_group)

    def parted(self, rows: Array) -> list[tuple[str, Array]]:
        """Return some rows by their groups, all under one where colour tells the groups."""
        if self.is_by_group or self.group_codes is None:
            return [("" if self.is_by_group else self.groups[0], rows)]
        codes = self.group_codes[rows]
        return [(name, rows[codes == place]) for place, name in enumerate(self.groups)]


def figure(
    coordinates: Array, colouring: Colouring, *, rows: Array, theme: str, titles: Sequence[str], key: str
) -> dict[str, Any]:
    """Return the scatter: a trace for each name, or for numbers and for what has none, in each group.

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
    make = _numbered if colouring.names is None else _named
    traces = make(colouring, rows, theme=theme, dims=dims)
    for trace in traces:
        chosen = trace.pop("rows")
        trace |= {axis: _packed(coordinates[chosen, i]) for i, axis in enumerate(_AXES[:dims])}
        trace |= {"customdata": _packed(chosen.astype(np.int32)), **_kind(dims)}
        trace["meta"] = {**trace.get("meta", {}), "count": len(chosen)}
        trace["marker"] = {"size": _size(len(coordinates), dims), "opacity": 0.85, **trace["marker"]}
    layout = _layout(theme, titles, key, ends=_ends(coordinates))
    layout["meta"] |= {"field": colouring.field, "groups": _group_legend(colouring, dims)}
    return {"data": traces, "layout": layout}


def _named(by: Colouring, rows: Array, *, theme: str, dims: int) -> list[Trace]:
    """Return a trace for each name in use, the most frequent ones where there are too many."""
    names = by.names or ()
    counts = np.bincount(by.values, minlength=len(names))
    own = np.sort(np.argsort(-counts, kind="stable")[:MOST_NAMES])
    codes, marking = by.values[rows], by.marking
    traces: list[Trace] = []
    rest = rows[~np.isin(codes, own)]
    if len(names) > len(own):
        traces += _rest(by, rest, f"{len(names) - len(own)} others", theme=theme, dims=dims)
    for place in own.tolist():
        name = str(names[place])
        shown = style_of(marking.names[name], theme=theme, dims=dims)["symbol"]
        for group, chosen in _some(by.parted(rows[codes == place])):
            style = style_of(marking.marks[name, group or name], theme=theme, dims=dims)
            meta = {"symbol": shown, "group": group}
            traces.append({"name": name, "rows": chosen, "marker": style, "meta": meta})
    return traces


def _some(parts: list[tuple[str, Array]]) -> list[tuple[str, Array]]:
    """Return the parts that hold points, and one that holds none where all are empty."""
    return [part for part in parts if len(part[1])] or parts[:1]


def _numbered(by: Colouring, rows: Array, *, theme: str, dims: int) -> list[Trace]:
    """Return traces of the points with a number, coloured by it, over those without."""
    finite = by.values[np.isfinite(by.values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    values = by.values[rows]
    known = np.isfinite(values)
    colours = scale(theme)
    meta = {"low": low, "high": high, "colours": [colour for _, colour in colours]}
    ends = {"cmin": low, "cmax": high if high > low else low + 1, "colorscale": colours}
    without = rows[~known]
    traces = _rest(by, without, "no value", theme=theme, dims=dims) if len(without) else []
    for group, chosen in _some(by.parted(rows[known])):
        symbol = style_of(by.marking.marks["", group], theme=theme, dims=dims)["symbol"]
        marker = {"color": _packed(by.values[chosen].astype(np.float32)), **ends, "symbol": symbol}
        told = {**meta, "group": group}
        traces.append({"name": by.field, "rows": chosen, "marker": marker, "meta": told})
    return traces


def _rest(by: Colouring, rows: Array, name: str, *, theme: str, dims: int) -> list[Trace]:
    """Return grey traces of what has no name of its own, or no value."""
    traces: list[Trace] = []
    for group, chosen in _some(by.parted(rows)):
        mark = by.marking.groups.get(group, Mark(""))
        marker = {
            "color": LOOKS[theme]["missing"],
            "symbol": style_of(mark, theme=theme, dims=dims)["symbol"],
        }
        meta = {"rest": True, "symbol": "circle", "group": group}
        traces.append({"name": name, "rows": chosen, "marker": marker, "meta": meta})
    return traces


def _group_legend(by: Colouring, dims: int) -> list[dict[str, str]]:
    """Return groups and their symbols, where colour tells something else."""
    return [
        {"name": name, "symbol": style_of(mark, theme="light", dims=dims)["symbol"]}
        for name, mark in by.marking.groups.items()
    ]


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
