"""How the page's scatter looks: colours for light and dark, scales, sizes of marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from voxloom.analysis.latents.palette import Mark

__all__ = ["LOOKS", "Theme", "mark_size", "scale", "style_of"]

Theme = Literal["light", "dark"]

LOOKS: Mapping[str, Mapping[str, str]] = {
    "light": {
        "page": "#ffffff",
        "ink": "#27272a",
        "faint": "#71717a",
        "grid": "#ececef",
        "missing": "#b4b4bb",
    },
    "dark": {
        "page": "#18181b",
        "ink": "#f4f4f5",
        "faint": "#a1a1aa",
        "grid": "#28282d",
        "missing": "#5a5a63",
    },
}
"""Colours of text and lines by theme; the page's own stand in assets/page.css."""

# Viridis of matplotlib (CC0), nine of its colours.
_VIRIDIS = (
    "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
)  # fmt: skip
_SIZES = ((300, 9.0), (2_000, 7.0), (10_000, 5.0), (40_000, 4.0))
_SMALLEST = 3.0
# What WebGL draws in three dimensions for a shape that it does not know there.
_SOLIDS = {
    "triangle-up": "cross", "triangle-down": "x", "pentagon": "diamond-open", "star": "square-open",
}  # fmt: skip


def mark_size(count: int) -> float:
    """Return the diameter of a mark in pixels for a number of points.

    Examples
    --------
    >>> mark_size(100), mark_size(100_000)
    (9.0, 3.0)
    """
    return next((size for most, size in _SIZES if count <= most), _SMALLEST)


def scale(theme: str) -> list[list[Any]]:
    """Return a colour scale for numbers, as plotly takes it: its end that is lost on the page is left out.

    Examples
    --------
    >>> scale("light")[0], scale("dark")[-1]
    ([0.0, '#440154'], [1.0, '#fde725'])
    """
    chosen = _VIRIDIS[2:] if theme == "dark" else _VIRIDIS[:-1]
    return [[i / (len(chosen) - 1), colour] for i, colour in enumerate(chosen)]


def style_of(mark: Mark, *, theme: str, dims: int) -> dict[str, str]:
    """Return colour and symbol of a mark as plotly takes them.

    Examples
    --------
    >>> style_of(Mark("#000000", "star"), theme="dark", dims=3)
    {'color': '#f2f2f2', 'symbol': 'square-open'}
    """
    shape = mark.shape if dims == 2 else _SOLIDS.get(mark.shape, mark.shape)
    if not mark.is_filled and not shape.endswith("-open") and shape not in ("cross", "x"):
        shape += "-open"
    return {"color": mark.on_dark if theme == "dark" else mark.colour, "symbol": shape}
