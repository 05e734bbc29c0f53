"""From points and their places to what is drawn: what colour tells, and what the figure says of itself."""

from __future__ import annotations

import re

from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import Projected
from voxloom.analysis.latents.series import Scatter
from voxloom.errors import UnknownNameError

_CHANGED = re.compile(r"(?:(\w+) \S+|\S+ (principal components)) became (\S+), as ")
"""A notice of a setting that became another: a figure says only what was used."""

__all__ = ["caption", "class_of", "is_number", "scatter_of"]


def scatter_of(
    points: Points, projected: Projected, *, color_by: str = "group", title: str = "", subtitle: str = ""
) -> Scatter:
    """Return placed points as they are drawn.

    Parameters
    ----------
    points, projected
        What is drawn, and where.
    color_by
        ``group``, ``class``, the name of an attribute, or ``key:REGEX``. Numbers get a scale of colours,
        all else a colour for each label.
    title
        Above the figure; empty for the method and the groups.
    subtitle
        A line before the one that says how the figure was made.

    Raises
    ------
    UnknownNameError, ConfigError
        As `Points.labels`.
    """
    by = class_of(points, color_by)
    numbers = is_number(points, by)
    told = "\n".join(text for text in (subtitle, caption(points, projected)) if text)
    return Scatter(
        coordinates=projected.coordinates,
        keys=points.keys,
        groups=points.groups,
        labels=None if numbers else points.labels(by),
        values=points.attributes[by] if numbers else None,
        colour_by=by,
        axes=projected.axes,
        title=title or f"{projected.method.title} of {_and(_sizes(points))}",
        subtitle=told,
    )


def class_of(points: Points, by: str) -> str:
    """Return the name of the only field of classes for ``class``, and any other name as it is.

    Raises
    ------
    UnknownNameError
        When there is no such field, or there are several.
    """
    if by != "class" or by in points.attributes:
        return by
    found = [name for name in points.attributes if _kinds(points, name) == {"class"}]
    if len(found) != 1:
        told = f"{', '.join(found)}: name one of them" if found else "none; expected a store that has one"
        raise UnknownNameError(f"no field 'class'. Fields of classes: {told}.")
    return found[0]


def is_number(points: Points, by: str) -> bool:
    """Whether an attribute is a quantity, and no class whose numbers are names.

    Examples
    --------
    >>> is_number(Points.of_arrays({"a": [[0.0], [1.0]]}), "group")
    False
    """
    if by == "group" or by.startswith("key:") or by not in points.attributes:
        return False
    return points.attributes[by].dtype.kind == "f" and "class" not in _kinds(points, by)


def _kinds(points: Points, name: str) -> set[str]:
    schemas = [part.source.schema for part in points.parts.values()]
    return {schema[name].kind for schema in schemas if name in schema}


def caption(points: Points, projected: Projected) -> str:
    """Return how the places came about: method, settings, what was fitted on what, and how many points.

    Examples
    --------
    >>> import numpy as np
    >>> from voxloom.analysis.latents.projection import Pca, project
    >>> points = Points.of_arrays({"ct": np.eye(3), "mr": -np.eye(3)})
    >>> caption(points, project(points, Pca()))
    'PCA: seed 42, fitted on all groups jointly. N = 6 (ct 3, mr 3).'
    """
    method = projected.method
    first, used = {"dims", "components", "seed"}, _used(projected.notices)
    settings = [
        f"{name} {used.get(name, value)}"
        for name, value in method.model_dump(mode="json").items()
        if name not in first
    ]
    if method.name != "pca":
        of = used.get("principal components", min(method.components, points.dim))
        settings.append(f"after PCA to {of} components ({projected.explained:.1%} of the variance)")
    settings.append(f"seed {method.seed}")
    fitted = projected.fitted_on
    told = fitted if fitted.startswith("fitted") else f"fitted on {fitted}"
    sizes = _sizes(points)
    several = f" ({', '.join(f'{name} {count}' for name, count in sizes.items())})" if len(sizes) > 1 else ""
    notes = "".join(f" {notice}" for notice in projected.notices if not _CHANGED.match(notice))
    return f"{method.title}: {', '.join(settings)}, {told}. N = {len(points)}{several}.{notes}"


def _used(notices: tuple[str, ...]) -> dict[str, str]:
    """Return the settings that were used in the place of others, by name."""
    found = [match for notice in notices if (match := _CHANGED.match(notice))]
    return {match[1] or match[2]: match[3] for match in found}


def _sizes(points: Points) -> dict[str, int]:
    return {name: len(part) for name, part in points.parts.items()}


def _and(sizes: dict[str, int]) -> str:
    names = list(sizes)
    if len(names) > 4:
        return f"{len(names)} groups"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
