"""A small picture of a latent space: its points in the plane of the two widest directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from voxloom.analysis.axes import COLOURS, Axis, Box, drawing, grid, note
from voxloom.analysis.latents.pca import reduced
from voxloom.analysis.latents.points import Points
from voxloom.analysis.markup import Markup, element, joined
from voxloom.analysis.records import RunRecord
from voxloom.analysis.tables import amount, remark
from voxloom.errors import VoxloomError
from voxloom.formats.store import Store

__all__ = ["latents_of_run", "latents_of_runs", "latents_section", "plane"]

_MOST_DRAWN = 1500
_MOST_BYTES = 1 << 28  # of vectors held
_BOX = Box(width=560, height=420, left=56, right=14, top=34, bottom=46)
_SHAPES = ("M{x:.1f} {y:.1f}m-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0",
           "M{x:.1f} {y:.1f}m-2.4-2.4h4.8v4.8h-4.8z", "M{x:.1f} {y:.1f}m0-3.2l3 5.2h-6z",
           "M{x:.1f} {y:.1f}m0-3.4l3.4 3.4l-3.4 3.4l-3.4-3.4z")  # fmt: skip


def latents_of_run(run: RunRecord) -> Path | None:
    """Return the latents that a run has cached beside it, where just one store holds its samples.

    A folder of caches may hold those of several autoencoders; then nothing is guessed.
    """
    if not run.split:
        return None
    root = run.config.get("latent_cache_dir") or run.folder.resolve().parent / "latents"
    parts = [set(keys) for keys in run.split.values() if keys]
    found: dict[int, list[Path]] = {}
    for path in sorted(Path(str(root)).glob("*/manifest.json")):
        try:
            keys = set(Store(path.parent).keys)
        except (VoxloomError, OSError):
            continue  # unfinished, or something else
        for number, part in enumerate(parts):
            if keys == part:
                found.setdefault(number, []).append(path.parent)
    return found[0][0] if len(found.get(0, ())) == 1 else None


def latents_section(stores: Sequence[Path]) -> Markup:
    """Return a picture for each store of latents; what cannot be read is said. Nothing for none."""
    if not stores:
        return Markup()
    return joined(element("h2", "Latents", id="latents"), *map(_card, stores))


def _card(path: Path) -> Markup:
    try:
        points = Points.of_stores({path.name: Store(path)})
        picture, drawn, explained = plane(points)
    except (VoxloomError, OSError) as error:
        return element("div", remark(f"The latents in {path} cannot be shown: {error}"), class_="card")
    shares = " and ".join(f"{100 * share:.0f} %" for share in explained)
    some = "" if drawn == len(points) else f" {drawn:,} of them, evenly chosen, are drawn."
    text = (
        f"{amount(len(points), 'latent')} of {points.dim:,} numbers, as the two directions of largest "
        f"variance (principal components) show them; these hold {shares} of the variance. What lies apart "
        f"here lies apart there; what lies together here may not.{some}"
    )
    head = element("div", element("span", str(path), class_="path"), class_="head")
    return element("div", head, Markup(picture), element("p", text, class_="faint"), class_="card whole")


def plane(points: Points) -> tuple[str, int, tuple[float, ...]]:
    """Draw points in the plane of their first two principal components.

    Parameters
    ----------
    points
        Of one or several groups, which differ in colour and in shape.

    Returns
    -------
    tuple
        An ``<svg>`` element, the number of points drawn (at most 1500, evenly chosen), and the shares of
        their variance that the axes hold.

    Raises
    ------
    DataError
        When a latent holds values that are not finite.
    """
    rows = _chosen(points)
    labels = points.groups[rows]
    # Only what is drawn is read: a store may hold far more than a page has to wait for.
    vectors = points.vectors(rows)
    held = Points.of_arrays({group: vectors[labels == group] for group in points.parts if group in labels})
    found = reduced(held, 2)
    places = np.zeros((len(rows), 2))
    places[:, : found.coordinates.shape[1]] = found.coordinates[:, :2]
    axes = [_axis(places[:, 0], _BOX.left, _BOX.width - _BOX.right),
            _axis(places[:, 1], _BOX.height - _BOX.bottom, _BOX.top)]  # fmt: skip
    groups = list(held.parts)
    marks = [_marks(i, places[labels == group], axes) for i, group in enumerate(groups)]
    parts = [grid(*axes, upright=True), *marks, _legend(groups), *_titles()]
    svg = drawing(parts, width=_BOX.width, height=_BOX.height, label=f"{len(rows)} latents in two dimensions")
    return svg, len(rows), tuple(float(share) for share in found.explained[:2])


def _chosen(points: Points) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return rows evenly chosen, as many as are drawn and fit into memory; groups stay in order."""
    most = max(3, min(_MOST_DRAWN, _MOST_BYTES // (4 * points.dim)))
    return np.unique(np.linspace(0, len(points) - 1, min(len(points), most)).round().astype(np.int64))


def _titles() -> list[str]:
    middle, height = (_BOX.left + _BOX.width - _BOX.right) / 2, _BOX.height / 2
    beside = note(14, height, "component 2", "middle")
    below = note(middle, _BOX.height - 10, "component 1", "middle")
    return [below, f'<g transform="rotate(-90 14 {height:.0f})">{beside}</g>']


def _axis(values: np.ndarray[tuple[int], np.dtype[np.float64]], start: float, end: float) -> Axis:
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 1.0
    return Axis(low - margin, high + margin, start, end)


def _marks(
    number: int, places: np.ndarray[tuple[int, int], np.dtype[np.float64]], axes: Sequence[Axis]
) -> str:
    shape = _SHAPES[number % len(_SHAPES)]
    path = "".join(shape.format(x=axes[0].place(x), y=axes[1].place(y)) for x, y in places.tolist())
    return f'<path class="mark c{number % COLOURS}" style="stroke:none" fill-opacity="0.75" d="{path}"/>'


def _legend(groups: Sequence[str]) -> str:
    x, parts = float(_BOX.left), []
    for number, group in enumerate(groups):
        shape = _SHAPES[number % len(_SHAPES)].format(x=x + 5, y=14)
        parts.append(
            f'<path class="mark c{number % COLOURS}" style="stroke:none" d="{shape}"/>'
            + note(x + 14, 18, group)
        )
        x += 30 + 6.6 * len(group)
    return "".join(parts)


def latents_of_runs(runs: Mapping[str, RunRecord]) -> list[Path]:
    """Return the cached latents of some runs, each store once."""
    found = [path for run in runs.values() if (path := latents_of_run(run)) is not None]
    return list(dict.fromkeys(found))
