"""Exams of two groups side by side, as text: the same patient before and after, or real and made.

The files and their names are those of an older system, whose users read them with scripts of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.distances import squared_distances
from voxloom.analysis.latents.palette import colours
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.series import natural
from voxloom.atomic import replacing
from voxloom.errors import SchemaError
from voxloom.sample import Array

__all__ = ["Exam", "GroupGap", "exams_of", "group_gap", "label_colours", "write_exams", "write_label_colours"]

Floats = npt.NDArray[np.floating]
Strings = npt.NDArray[np.str_]


@dataclass(frozen=True)
class GroupGap:
    """How far two sets of points are apart, and how wide each is.

    Attributes
    ----------
    centres
        Distance of the centroids.
    spread_a, spread_b
        Mean over the dimensions of the standard deviation in each; 0 for one point.
    cross
        Mean distance of all points of one to all of the other.
    """

    centres: float
    spread_a: float
    spread_b: float
    cross: float


@dataclass(frozen=True)
class Exam:
    """One exam that is in both groups."""

    name: str
    counts: tuple[int, int]
    latent: GroupGap
    plane: GroupGap


def group_gap(a: Floats, b: Floats) -> GroupGap | None:
    """Return how two sets of points (n, D) and (m, D) lie to one another; None where one is empty.

    Examples
    --------
    >>> group_gap(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [3.0, 4.0]]))
    GroupGap(centres=5.0, spread_a=0.0, spread_b=0.0, cross=5.0)
    >>> group_gap(np.empty((0, 2)), np.zeros((1, 2))) is None
    True
    """
    if not len(a) or not len(b):
        return None
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return GroupGap(
        float(np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))),
        float(a.std(axis=0).mean()),
        float(b.std(axis=0).mean()),
        float(np.sqrt(squared_distances(a, b)).mean()),
    )


def exams_of(points: Points, exams: Strings, plane: Array) -> list[Exam]:
    """Return the exams that both groups have, the nearest first.

    Parameters
    ----------
    points
        Points of two groups.
    exams
        The exam of each, (N,).
    plane
        Their places, (N, dims).

    Raises
    ------
    SchemaError
        When there are not two groups.
    """
    if len(points.parts) != 2:
        names = ", ".join(points.parts)
        raise SchemaError(f"exams are compared between two groups: expected two, there are {names}.")
    first, second = (points.groups == name for name in points.parts)
    shared = sorted(set(exams[first].tolist()) & set(exams[second].tolist()), key=natural)
    found = []
    for name in shared:
        a, b = (np.flatnonzero(group & (exams == name)) for group in (first, second))
        latent, flat = group_gap(points.vectors(a), points.vectors(b)), group_gap(plane[a], plane[b])
        if latent is not None and flat is not None:
            found.append(Exam(name, (len(a), len(b)), latent, flat))
    return sorted(found, key=lambda exam: exam.latent.centres)


def write_exams(exams: Sequence[Exam], groups: Sequence[str], folder: str | Path) -> tuple[Path, Path]:
    """Write ``distance_metrics.txt`` and ``exams_sorted_by_distance.txt``; return their paths."""
    folder = Path(folder)
    by_name = sorted(exams, key=lambda exam: natural(exam.name))
    metrics = "\n".join(_described(exam, groups) for exam in by_name)
    order = "".join(
        f"{place}. {exam.name}: {exam.latent.centres:.3f}\n" for place, exam in enumerate(exams, 1)
    )
    none = f"No exam is in both {groups[0]} and {groups[1]}.\n"
    paths = folder / "distance_metrics.txt", folder / "exams_sorted_by_distance.txt"
    for path, text in zip(paths, (metrics or none, order or none), strict=True):
        with replacing(path) as file:
            file.write(text.encode())
    return paths


def _described(exam: Exam, groups: Sequence[str]) -> str:
    lines = [
        f"Exam {exam.name}",
        *(f"  {group} images: {count}" for group, count in zip(groups, exam.counts, strict=True)),
        f"  latent centre distance: {exam.latent.centres:.3f}",
        f"  projection centre distance: {exam.plane.centres:.3f}",
        f"  {groups[0]} latent std: {exam.latent.spread_a:.3f}",
        f"  {groups[1]} latent std: {exam.latent.spread_b:.3f}",
        f"  mean latent cross distance: {exam.latent.cross:.3f}",
    ]
    return "\n".join(lines) + "\n"


def label_colours(labels: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Return a number and a colour for each different label, all colours different.

    Examples
    --------
    >>> label_colours(["b", "a", "b"])
    ({'a': 0, 'b': 1}, {'a': '#0072B2', 'b': '#E69F00'})
    """
    names = sorted(set(labels), key=natural)
    found = colours(len(names))
    return {name: i for i, name in enumerate(names)}, dict(zip(names, found, strict=True))


def write_label_colours(numbers: Mapping[str, int], found: Mapping[str, str], path: str | Path) -> Path:
    """Write a line ``number: label — colour`` for each label, and return the path."""
    lines = [f"{number}: {name} — {found[name]}\n" for name, number in numbers.items()]
    with replacing(path) as file:
        file.write("".join(lines).encode())
    return Path(path)
