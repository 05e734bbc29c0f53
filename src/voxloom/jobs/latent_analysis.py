"""Latents drawn and measured: from stores of vectors to a figure, coordinates and statistics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from voxloom.analysis.latents.colouring import class_of, is_number, scatter_of
from voxloom.analysis.latents.groups import GroupStatistics
from voxloom.analysis.latents.measuring import group_statistics
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import PROJECTIONS, Projected, Projection, project
from voxloom.analysis.latents.statistics_options import StatisticsOptions
from voxloom.component import Component
from voxloom.errors import ConfigError, Interrupted, OutputExistsError
from voxloom.formats.store import Store
from voxloom.jobs.latent_files import PICTURES, Picture, Results, planned, write_analysis
from voxloom.jobs.latent_stores import first_points
from voxloom.jobs.outputs import refuse_among
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.source import Source

__all__ = ["Analysis", "AnalyzeOptions", "analyze_latents"]

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], object]


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
    formats: tuple[Picture, ...] = PICTURES
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
    points = Points.of_stores(first_points(sources, options.max_points), field=options.field)
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


def _folders(sources: Iterable[Source | None]) -> list[Path]:
    return [Path(source.path) for source in sources if isinstance(source, Store)]


def _refuse_earlier(output: Path, options: AnalyzeOptions) -> None:
    if output.exists() and not output.is_dir():
        raise OutputExistsError(f"{output} is a file: expected a folder for the results (--output).")
    there = [
        name
        for name in planned(options.method, options.formats, texts=options.texts)
        if (output / name).exists()
    ]
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
    by = class_of(points, options.color_by)
    scatter = scatter_of(points, placed, color_by=by, title=options.title, subtitle=options.subtitle)
    if options.patient and by == class_of(points, options.patient):
        scatter = replace(scatter, colour_by="patient")
    exams = points.labels(class_of(points, options.patient)) if options.patient else np.array([], str)
    found = Results(points, placed, measured, scatter, exams if options.texts else None)
    facts = options.model_dump(mode="json")
    return write_analysis(found, output, formats=options.formats, dpi=options.dpi, facts=facts)
