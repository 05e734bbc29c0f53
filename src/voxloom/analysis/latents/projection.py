"""What a projection to two or three dimensions is, and points projected by one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from voxloom.amounts import counted
from voxloom.analysis.latents.kept import Arrays, kept, key_of
from voxloom.analysis.latents.pca import Float32, Progress, Reduced, Rows, reduced, reduced_key, silent
from voxloom.analysis.latents.points import Points
from voxloom.component import Component
from voxloom.errors import DataError
from voxloom.registry import Registry

__all__ = [
    "PROJECTIONS",
    "Pca",
    "Placed",
    "Projected",
    "Projection",
    "Setting",
    "first_components",
    "project",
    "reduced_notices",
]

_VERSION = 1  # of what is kept

PROJECTIONS = Registry(
    "projection",
    {
        "pca": "voxloom.analysis.latents.projection:Pca",
        "tsne": "voxloom.analysis.latents.tsne_projection:Tsne",
        "umap": "voxloom.analysis.latents.umap_projection:Umap",
    },
)
"""Name -> class of a `Projection`."""


class Setting(NamedTuple):
    """What a projection is given.

    Attributes
    ----------
    fitted
        Coordinates of the points that it is fitted on, (n, k), by falling variance.
    others
        Coordinates of those that are then transformed, (m, k); m may be 0.
    key
        Tells these coordinates apart from all others; what is kept in the cache folder stands under it.
    progress
        Told how far it is.
    """

    fitted: Float32
    others: Float32
    key: str
    progress: Progress

    def part(self, low: float, high: float) -> Progress:
        """Return what is told of a part of the work, from one share of it to another."""
        return lambda share, text: self.progress(low + (high - low) * share, text)


class Placed(NamedTuple):
    """What a projection returns: places (n, dims) and (m, dims), and what the user should know."""

    fitted: Float32
    others: Float32
    notices: tuple[str, ...] = ()


class Projection(Component):
    """A way to place points in a plane or in space, with its settings."""

    name: ClassVar[str]
    """In the registry."""

    title: ClassVar[str]
    """In a figure."""

    fewest: ClassVar[int] = 5
    """Fitted points below which PCA places them."""

    package: ClassVar[str] = "numpy"
    """Whose next version may place points elsewhere."""

    dims: Literal[2, 3] = 2
    """Dimensions of the result."""

    seed: int = Field(default=42, ge=0, lt=2**32)
    """Equal seeds give equal results."""

    components: int = Field(default=50, ge=1)
    """Principal components that the vectors are reduced to first."""

    @abstractmethod
    def place(self, setting: Setting) -> Placed:
        """Fit some points and transform others."""

    @property
    def wanted(self) -> int:
        """Principal components that the places depend on."""
        return max(self.components, self.dims)

    def explained(self, found: Reduced) -> tuple[float, ...]:
        """Return the share of variance along each principal component that is wanted."""
        shares: list[float] = found.explained[: self.wanted].tolist()
        return (*shares, *[0.0] * (self.wanted - len(shares)))

    def axes(self, found: Reduced) -> tuple[str, ...]:  # noqa: ARG002 - principal components use it
        """Return a name for each axis."""
        return tuple(f"{self.title} {i + 1}" for i in range(self.dims))


class Pca(Projection):
    """Principal components: linear, so distances in the plane are never more than the true ones.

    Examples
    --------
    >>> Pca(dims=3).dims
    3
    """

    name: ClassVar[str] = "pca"
    title: ClassVar[str] = "PCA"
    fewest: ClassVar[int] = 0

    def place(self, setting: Setting) -> Placed:
        """Return the first components."""
        return first_components(setting, self.dims)

    @property
    def wanted(self) -> int:
        """Those that are shown."""
        return self.dims

    def axes(self, found: Reduced) -> tuple[str, ...]:
        """Return names that tell the share of variance."""
        return tuple(f"PC {i + 1} ({share:.1%})" for i, share in enumerate(self.explained(found)))


def first_components(setting: Setting, dims: int, *notices: str) -> Placed:
    """Return the first coordinates, zeros where there are fewer than `dims`."""
    return Placed(_padded(setting.fitted, dims), _padded(setting.others, dims), notices)


def reduced_notices(method: Projection, count: int, **used: float) -> tuple[str, ...]:
    """Return a notice for each setting of a method that is more than `count` fitted points allow.

    Examples
    --------
    >>> reduced_notices(Pca(), 20, components=19)
    ('components 50 became 19, as 20 points are fitted.',)
    """
    stated = {name: getattr(method, name) for name in used}
    return tuple(
        f"{name} {stated[name]:.4g} became {value:.4g}, as {count} points are fitted."
        for name, value in used.items()
        if value < stated[name]
    )


def _padded(coordinates: Float32, dims: int) -> Float32:
    return np.pad(coordinates, ((0, 0), (0, dims)))[:, :dims]


@dataclass(frozen=True)
class Projected:
    """Points placed in a plane or in space.

    Attributes
    ----------
    coordinates
        (N, dims), in the order of the points.
    method
        How they were placed; `Pca` where there were too few points for the method that was asked for.
    fitted_on
        In words, for a figure: ``all groups jointly``, or ``fitted on A; B transformed``.
    notices
        What was changed because there are few points, or what else the reader should know.
    explained
        Share of the fitted points' variance that the principal components before the method kept; for
        `Pca` that of the shown ones. From 0 to 1.
    axes
        A name for each axis.
    """

    coordinates: Float32
    method: Projection
    fitted_on: str
    notices: tuple[str, ...]
    explained: float
    axes: tuple[str, ...]


def project(
    points: Points, method: Projection, *, fit: str = "joint", progress: Progress | None = None
) -> Projected:
    """Place points in a plane or in space, or return where they were placed before.

    Parameters
    ----------
    points
        What is placed. A handful is enough: settings that need more are reduced, with a notice, and
        below 5 fitted points it is `Pca` that places them.
    method
        One of `PROJECTIONS`.
    fit
        ``joint`` fits all groups together; a group's name fits that group, and the others are
        transformed to where they fall among its points.
    progress
        Called with the share done, from 0 to 1, and with what is being done.

    Raises
    ------
    UnknownNameError
        When there is no such group.
    DataError
        When a vector is not finite, or the group to fit is empty.
    MissingExtraError
        When the package of the method is not installed.

    Examples
    --------
    >>> points = Points.of_arrays({"a": np.eye(4), "b": 2 * np.eye(4)})
    >>> found = project(points, Pca(), fit="a")
    >>> found.coordinates.shape, found.fitted_on
    ((8, 2), 'fitted on a; b transformed')
    """
    tell = progress or silent
    rows = np.arange(len(points)) if fit == "joint" else points.rows_of(fit)
    if not len(rows):
        raise DataError(f"group {fit!r} has no points: expected at least one to fit.")
    some, wanted = None if fit == "joint" else rows, max(method.components, method.dims)
    found = reduced(
        points, wanted, rows=some, seed=method.seed, progress=lambda share, text: tell(0.3 * share, text)
    )
    if why := _why_not(method, found, len(rows)):
        method = Pca(dims=method.dims, seed=method.seed, components=method.components)
    task = _Task(method, found, rows, lambda share, text: tell(0.3 + 0.7 * share, text))
    facts = (method.name, _version(method.package), method.model_dump(mode="json"), fit)
    shapes = {"coordinates": (len(points), method.dims), "notices": (None,)}
    space = (_VERSION, reduced_key(points, wanted, rows=some, seed=method.seed))
    arrays = kept(f"{method.name}-{key_of(*space, *facts)}", shapes, lambda: _placed(task, key_of(*space)))
    tell(1.0, method.title)
    return Projected(
        coordinates=arrays["coordinates"],
        method=method,
        fitted_on=_in_words(points, fit),
        notices=(*why, *arrays["notices"].tolist()),
        explained=sum(method.explained(found)),
        axes=method.axes(found),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # which is told when it is imported
        return ""


def _in_words(points: Points, fit: str) -> str:
    names = [name for name, part in points.parts.items() if len(part)]
    if fit == "joint" and len(names) > 1:
        return "all groups jointly"
    fitted = names[0] if fit == "joint" else fit
    others = [name for name in names if name != fitted]
    return f"fitted on {fitted}" + (f"; {_listed(others)} transformed" if others else "")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


class _Task(NamedTuple):
    """One projection."""

    method: Projection
    found: Reduced
    rows: Rows
    progress: Progress


def _placed(task: _Task, key: str) -> Arrays:
    coordinates, method = task.found.coordinates, task.method
    others = np.setdiff1d(np.arange(len(coordinates)), task.rows)
    setting = Setting(coordinates[task.rows], coordinates[others], key, task.progress)
    placed = method.place(setting)
    together = np.empty((len(coordinates), method.dims), np.float32)
    together[task.rows], together[others] = placed.fitted, placed.others
    return {"coordinates": together, "notices": np.array([*placed.notices, *_fewer(task)], dtype=np.str_)}


def _fewer(task: _Task) -> tuple[str, ...]:
    """Return a notice where there are fewer components than wanted because there are few points."""
    count, wanted = task.found.coordinates.shape[1], task.method.wanted
    if count >= wanted or count < len(task.rows) - 1:
        return ()
    return (f"{wanted} principal components became {count}, as {_fitted(len(task.rows))}.",)


def _fitted(count: int) -> str:
    return f"{counted(count, 'point')} {'is' if count == 1 else 'are'} fitted"


def _why_not(method: Projection, found: Reduced, count: int) -> tuple[str, ...]:
    """Return why a method that builds on neighbours cannot place these points, or nothing."""
    if count < method.fewest:
        return (f"Placed by PCA, as {_fitted(count)}, and {method.title} needs at least {method.fewest}.",)
    if method.fewest and not found.explained.any():
        return (f"Placed by PCA, as all {count} fitted points are equal: {method.title} shows nothing.",)
    return ()
