"""Projections: asked for by the controls, computed in the background, drawn when they are there."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from dash import ALL, Input, Output, State, html, no_update

from voxloom.analysis.explorer.figure import Colouring, figure
from voxloom.analysis.explorer.queue import Job
from voxloom.analysis.explorer.session import Session
from voxloom.analysis.explorer.state import Column, Filters, PageState, Shape, kept_rows

__all__ = ["METHOD_NAMES", "Placing", "asked_of", "columns_of", "kept_points", "told_of"]

METHOD_NAMES = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}
"""How the page calls them."""

_SLIDER = {"type": "slider", "method": ALL, "name": ALL}
_SLIDERS = {"type": "sliders", "method": ALL}


def columns_of(session: Session, fields: Iterable[str]) -> dict[str, Column]:
    """Return the columns of some fields."""
    found = {field: session.labels(field) for field in fields}
    return {name: labels if isinstance(labels, tuple) else (None, labels) for name, labels in found.items()}


def kept_points(session: Session, filters: Filters) -> npt.NDArray[np.bool_]:
    """Return which points pass all filters, (N,)."""
    return kept_rows(filters, columns_of(session, filters), count=len(session.points))


def asked_of(job: Job, **more: Any) -> dict[str, Any]:
    """Return a job that was just asked for, with a number: the same may have been asked for before."""
    return {**told_of(job), **more, "number": secrets.token_hex(6)}


def told_of(job: Job) -> dict[str, Any]:
    """Return a job as the page knows it."""
    return {"id": job.id, "state": job.state, "progress": job.progress, "message": job.message}


@dataclass(frozen=True)
class Placing:
    """Projection and picture of a session's page."""

    session: Session

    def connect(self, app: Any) -> None:
        """Connect the controls of the projection and the picture."""
        app.callback(
            Output("method", "value"), Output("dims", "value"), Output(_SLIDER, "value"),
            Output("colour", "value"), Output("filters", "data"), Output("filter-field", "value"),
            Output("picked", "data"), Output("lasso", "data"),
            Input("saved", "data"), State(_SLIDER, "id"),
            prevent_initial_call=True,
        )(self.restore)  # fmt: skip
        app.callback(
            Output("job", "data"), Output("wanted", "data"), Output(_SLIDERS, "hidden"),
            Input("method", "value"), Input("dims", "value"), Input(_SLIDER, "value"),
            Input("again", "n_clicks"), State(_SLIDER, "id"), State("page-id", "data"),
            prevent_initial_call=True,
        )(self.request)  # fmt: skip
        app.callback(
            Output("job-polled", "data"),
            Input("job-poll", "n_intervals"), State("job", "data"),
            prevent_initial_call=True,
        )(self.poll)  # fmt: skip
        # Apart from the ticks: a click that meets one would be dropped for it.
        app.callback(
            Output("job-cancelled", "data"),
            Input("cancel", "n_clicks"), State("job", "data"), State("page-id", "data"),
            prevent_initial_call=True,
        )(self.cancel)  # fmt: skip
        app.callback(
            Output("figure", "data"), Output("status", "children"),
            Input("job-ready", "data"), Input("colour", "value"), Input("filters", "data"),
            Input("theme", "data"),
            prevent_initial_call=True,
        )(self.draw)  # fmt: skip

    def restore(self, saved: Any, sliders: Sequence[Mapping[str, str]]) -> Any:
        """Set the controls to what the browser remembers, as far as it is possible."""
        session = self.session
        state = PageState.read(saved, Shape(len(session.points), session.methods, session.fields))
        values = [state.parameters[each["method"]][each["name"]] for each in sliders]
        first = next(iter(state.filters), None)
        controls = (state.method, state.dims, values, state.colour, state.filters, first)
        return (*controls, list(state.picked), list(state.lasso))

    def request(self, method: str, dims: int, values: Any, _: Any, sliders: Any, page: str) -> Any:
        """Ask for a projection, and show the sliders of its method."""
        parameters: dict[str, dict[str, float]] = {name: {} for name in self.session.methods}
        for slider, value in zip(sliders, values, strict=True):
            parameters[slider["method"]][slider["name"]] = value
        job = self.session.request(method, parameters[method], dims, page=page)
        wanted = {"method": method, "dims": dims, "parameters": parameters}
        told = asked_of(job, method=method, parameters=parameters[method])
        return told, wanted, [name != method for name in self.session.methods]

    def poll(self, _: Any, job: Mapping[str, Any] | None) -> Any:
        """Tell how far a projection is."""
        return {**job, **told_of(self.session.job(job["id"]))} if job else no_update

    def cancel(self, clicks: int | None, job: Mapping[str, Any] | None, page: str) -> Any:
        """Give a projection up; the next tick tells so."""
        return self.session.cancel(job["id"], page=page).id if clicks and job else no_update

    def draw(self, shown: Any, colour: str, filters: Filters, theme: str) -> Any:
        """Return the scatter, and what it shows in words."""
        if not shown:
            return no_update, no_update
        projected = self.session.projected(shown["id"])
        kept = kept_points(self.session, filters)
        drawn = figure(
            projected.coordinates, self._colouring(colour), rows=np.flatnonzero(kept),
            theme=theme, titles=projected.axes, key=shown["id"],
        )  # fmt: skip
        labels = {slider.name: slider.label for slider in self.session.methods[shown["method"]]}
        settings = [f"{labels[name].lower()} {value:g}" for name, value in shown["parameters"].items()]
        name = METHOD_NAMES.get(shown["method"], shown["method"])
        return drawn, _status(name, [*settings, projected.fitted_on], kept, projected.notices)

    def _colouring(self, field: str) -> Colouring:
        names, values = columns_of(self.session, [field])[field]
        groups, codes = columns_of(self.session, ["group"])["group"]
        return Colouring(field, values, names, groups or (), codes)


def _status(
    name: str, parts: Sequence[str], kept: npt.NDArray[np.bool_], notices: Sequence[str]
) -> list[Any]:
    many, count = int(kept.sum()), len(kept)
    points = f"{count:,} points" if many == count else f"{many:,} of {count:,} points pass the filter"
    told = [f" · {part}" for part in (*parts, points)]
    return [html.B(name), *told, *(html.Span(text, className="notice") for text in notices)]
