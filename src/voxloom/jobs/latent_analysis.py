"""Latents drawn and measured: from stores of vectors to a figure, coordinates and statistics."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from voxloom.analysis.latents.colouring import class_of, is_number, scatter_of
from voxloom.analysis.latents.coordinates import write_coordinates, write_legend
from voxloom.analysis.latents.exams import exams_of, label_colours, write_exams, write_label_colours
from voxloom.analysis.latents.groups import GroupStatistics, StatisticsOptions, group_statistics
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import PROJECTIONS, Projected, Projection, project
from voxloom.analysis.latents.scatter import write_picture
from voxloom.analysis.latents.scatter_page import write_page
from voxloom.atomic import write_json
from voxloom.component import Component
from voxloom.errors import ConfigError, Interrupted, MissingDataError, OutputExistsError
from voxloom.formats.store import Store
from voxloom.jobs.outputs import refuse_among
from voxloom.jobs.reading import near_name
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.registry import did_you_mean
from voxloom.source import Source

__all__ = ["Analysis", "AnalyzeOptions", "analyze_latents", "named_stores", "open_latents"]

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], object]
PICTURES = ("png", "svg", "html")

_TEXTS = ("color_legend.txt", "distance_metrics.txt", "exams_sorted_by_distance.txt")
_RECORD = "analysis.json"


class AnalyzeOptions(Component):
    """What is drawn and measured of latents, and how."""

    method: str = "umap"
    """``pca``, ``umap`` or ``tsne``."""
    dims: Literal[2, 3] = 2
    """Of the figure."""
    fit: str = "joint"
    """All groups together, or the name of the group that is fitted; the others are then transformed."""
    color_by: str = "group"
    """``group``, ``class``, the name of an attribute, or ``key:REGEX``."""
    patient: str | None = None
    """What tells whose a point is, as `color_by`: patients are compared across groups, and drawn as a
    whole for confidence intervals."""
    field: str | None = None
    """Field of the stores; None takes the posterior means."""
    max_points: Annotated[int, Field(ge=1)] | None = None
    """Most points of a group, its first ones; None takes all."""
    components: Annotated[int, Field(ge=1)] | None = None
    """Principal components that vectors are reduced to before UMAP and t-SNE; None for 50."""
    n_neighbors: int | None = None
    """Of UMAP."""
    min_dist: float | None = None
    """Of UMAP."""
    perplexity: float | None = None
    """Of t-SNE."""
    seed: int = 42
    """Equal seeds give equal results."""
    title: str = ""
    """Above the figure; empty for the method and the groups."""
    subtitle: str = ""
    """A line below the title, before the one that says how the figure was made."""
    dpi: Annotated[int, Field(ge=20, le=1200)] = 200
    """Of the PNG."""
    formats: tuple[Literal["png", "svg", "html"], ...] = PICTURES
    """Files of the figure."""
    texts: bool = False
    """Also write the text files of an older system: the colours of labels, and the distances of exams
    that two groups have in common."""
    overwrite: bool = False
    """Replace files of an earlier analysis in the same folder."""

    def projection(self) -> Projection:
        """Return the method with its settings.

        Raises
        ------
        UnknownNameError, ConfigError
            When there is no such method, or a setting that it does not have.
        """
        kind: type[Projection] = PROJECTIONS[self.method]
        given = {
            name: getattr(self, name)
            for name in ("components", "n_neighbors", "min_dist", "perplexity")
            if getattr(self, name) is not None
        }
        for name in given:
            if name not in kind.model_fields:
                raise ConfigError(
                    f"{name} = {given[name]} with method {self.method}, which has no such setting: expected "
                    f"one of {', '.join(n for n in kind.model_fields if n not in ('dims', 'seed'))}. "
                    "Leave it out, or choose another method (--method)."
                )
        return kind(dims=self.dims, seed=self.seed, **given)


@dataclass(frozen=True)
class Analysis:
    """What came of it.

    Attributes
    ----------
    folder
        Where the files are.
    files
        Their names.
    points
        What was drawn.
    projected
        Where each point is.
    statistics
        What was measured.
    """

    folder: Path
    files: tuple[str, ...]
    points: Points
    projected: Projected
    statistics: GroupStatistics


def analyze_latents(
    sources: Mapping[str, Source],
    output: str | Path,
    *,
    train: Source | None = None,
    options: AnalyzeOptions | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Place points in a plane or in space, draw them, and measure how their groups lie to one another.

    All files appear in the folder together once all are made.

    Parameters
    ----------
    sources
        Group name -> vectors, for instance a store of ``voxloom encode``.
    output
        Folder of the results: ``METHOD_projection.png``, ``.svg`` and ``.html``, ``coordinates.csv``,
        ``legend.csv``, the statistics, and ``analysis.json``, which says how they were made.
    train
        Vectors that a generator has learned from: how near do the groups lie to them?
    options
        Everything else.
    progress
        Told the share done and what is being done.

    Raises
    ------
    OutputExistsError
        When files of an earlier analysis are there, or the folder lies within a store.
    UnknownNameError, ConfigError
        When a group, an attribute, an expression or a setting cannot be meant.
    MissingExtraError
        When the packages of the method or of the figure are not installed.
    Interrupted
        On Ctrl-C; the folder is as it was.
    """
    options, output = options or AnalyzeOptions(), Path(output)
    method = options.projection()
    refuse_among(output, _folders([*sources.values(), train]), "Name another folder (--output).")
    _refuse_earlier(output, options)
    points = Points.of_stores(_cut(sources, options.max_points), field=options.field)
    _check_labels(points, options)
    try:
        with interrupted_by_sigterm():
            placed = project(points, method, fit=options.fit, progress=progress)
            for notice in placed.notices:
                logger.warning("%s", notice)
            if progress is not None:
                progress(1.0, "statistics and pictures")
            measured = _measured(points, placed, train, options)
            files = _written(output, points, placed, measured, options)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"stopped: nothing was written to {output}. What was computed is kept in the cache folder."
        ) from stop
    return Analysis(output, files, points, placed, measured)


def named_stores(paths: Sequence[Path], named: Mapping[str, Path] | None = None) -> dict[str, Path]:
    """Return paths by the names of their groups: the folders' names, as long as needed to differ.

    Examples
    --------
    >>> list(named_stores([Path("a/latents"), Path("b/latents")], {"ct": Path("c")}))
    ['a/latents', 'b/latents', 'ct']
    """
    found = dict(named or {})
    names = [path.resolve().name for path in paths]
    if len({*names, *found}) < len(names) + len(found):
        names = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in paths]
    first = dict(zip(names, paths, strict=True))
    if len({*first, *found}) < len(paths) + len(found):
        raise ConfigError(f"{', '.join(map(str, paths))}: expected stores of different names. {_GROUP}")
    return first | found


_GROUP = "Name them with --group NAME=STORE."


def open_latents(paths: Mapping[str, Path]) -> dict[str, Source]:
    """Open stores by the names of their groups.

    Raises
    ------
    MissingDataError
        When one is not there; a near name is told.
    DataError
        When one is no finished store.
    """
    for path in paths.values():
        if not os.path.exists(path):
            raise MissingDataError(
                f"{path}: no such store.{near_name(path) or ' Make one of images with voxloom encode.'}"
            )
    return {name: Store(path) for name, path in paths.items()}


def _cut(sources: Mapping[str, Source], most: int | None) -> dict[str, Source]:
    if most is None:
        return dict(sources)
    return {name: source if len(source) <= most else source[:most] for name, source in sources.items()}


def _folders(sources: Iterable[Source | None]) -> list[Path]:
    return [Path(source.path) for source in sources if isinstance(source, Store)]


def _planned(options: AnalyzeOptions) -> list[str]:
    pictures = [f"{options.method}_projection.{each}" for each in options.formats]
    return [*pictures, "coordinates.csv", "legend.csv", _RECORD, *(_TEXTS if options.texts else ())]


def _refuse_earlier(output: Path, options: AnalyzeOptions) -> None:
    if output.exists() and not output.is_dir():
        raise OutputExistsError(f"{output} is a file: expected a folder for the results (--output).")
    there = [name for name in _planned(options) if (output / name).exists()]
    if there and not options.overwrite:
        raise OutputExistsError(
            f"{output} holds {there[0]} of an earlier analysis. Name another folder (--output), or replace "
            "it with overwrite (--overwrite)."
        )


def _check_labels(points: Points, options: AnalyzeOptions) -> None:
    """Complain of labels and groups before anything takes long."""
    for by in (options.color_by, options.patient):
        if by is not None:
            points.labels(class_of(points, by))
    if options.fit != "joint":
        points.rows_of(options.fit)
    if options.fit == "joint" and "joint" in points.parts:
        logger.warning("fit joint means all groups together; there is also a group of that name.")


def _measured(
    points: Points, placed: Projected, train: Source | None, options: AnalyzeOptions
) -> GroupStatistics:
    """Measure by group; of one group by what colour tells."""
    by = class_of(points, options.color_by)
    alone = sum(len(part) > 0 for part in points.parts.values()) == 1
    return group_statistics(
        points,
        by if alone and not is_number(points, by) else "group",
        patient=options.patient,
        projected=placed,
        train=None if train is None else Points.of_stores({"train": train}, field=options.field),
        options=StatisticsOptions(seed=options.seed),
    )


def _written(
    output: Path, points: Points, placed: Projected, measured: GroupStatistics, options: AnalyzeOptions
) -> tuple[str, ...]:
    """Write everything beside the folder, then move it in, the record last."""
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        _write(staging, points, placed, measured, options)
        names = sorted(path.name for path in staging.iterdir())
        _record(staging, names, points, placed, options)
        output.mkdir(exist_ok=True)
        for kind in PICTURES:  # of an earlier analysis by the same method
            (output / f"{options.method}_projection.{kind}").unlink(missing_ok=True)
        for name in [*names, _RECORD]:
            (staging / name).replace(output / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return (*names, _RECORD)


def _write(
    folder: Path, points: Points, placed: Projected, measured: GroupStatistics, options: AnalyzeOptions
) -> None:
    scatter = scatter_of(
        points, placed, color_by=options.color_by, title=options.title, subtitle=options.subtitle
    )
    for kind in options.formats:
        path = folder / f"{options.method}_projection.{kind}"
        _ = write_page(scatter, path) if kind == "html" else write_picture(scatter, path, dpi=options.dpi)
    write_coordinates(points, placed, folder / "coordinates.csv")
    write_legend(scatter, folder / "legend.csv")
    measured.save(folder)
    if options.texts:
        _write_texts(folder, points, placed, options)


def _write_texts(folder: Path, points: Points, placed: Projected, options: AnalyzeOptions) -> None:
    labels = points.labels(class_of(points, options.color_by))
    numbers, found = label_colours(labels.tolist())
    write_label_colours(numbers, found, folder / _TEXTS[0])
    if options.patient is not None and len(points.parts) == 2:
        exams = exams_of(points, points.labels(options.patient), placed.coordinates)
        write_exams(exams, list(points.parts), folder)


def _record(
    folder: Path, names: Sequence[str], points: Points, placed: Projected, options: AnalyzeOptions
) -> None:
    groups = {name: _told(part.source, part.field, len(part)) for name, part in points.parts.items()}
    facts = {
        "kind": "voxloom-latent-analysis",
        "format_version": 1,
        "groups": groups,
        "points": points.digest,
        "method": {"name": placed.method.name, **placed.method.model_dump(mode="json")},
        "fitted_on": placed.fitted_on,
        "explained": placed.explained,
        "notices": list(placed.notices),
        "options": options.model_dump(mode="json"),
        "files": list(names),
    }
    write_json(folder / _RECORD, facts)


def _told(source: Source, field: str, count: int) -> dict[str, Any]:
    path = str(source.path) if isinstance(source, Store) else repr(source)
    return {"source": path, "field": field, "points": count}


def key_row(points: Points, group: str, key: str) -> int:
    """Return the row of a key in a group.

    Raises
    ------
    MissingDataError
        When there is no such key; a near one is told.
    """
    rows = points.rows_of(group)
    keys = list(points.parts[group].source.keys)
    if key not in keys:
        raise MissingDataError(f"no key {key!r} among {len(keys)} of {group}.{did_you_mean(key, keys)}")
    return int(rows[keys.index(key)])
