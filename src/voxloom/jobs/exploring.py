"""The explorer put together: stores of latents, their images, a checkpoint, and the page's server."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from voxloom.analysis.explorer.images import Images
from voxloom.analysis.explorer.page import make_page
from voxloom.analysis.explorer.server import Serving, make_app
from voxloom.analysis.explorer.session import Session, SessionOptions
from voxloom.analysis.latents.colouring import class_of
from voxloom.analysis.latents.points import Points
from voxloom.component import Component
from voxloom.config import Config
from voxloom.errors import CheckpointError, ConfigError, MissingDataError
from voxloom.formats.store import Store
from voxloom.inference import LatentSpace, Trained, Translation
from voxloom.jobs.bare import trained_from_weights
from voxloom.jobs.device import device_of
from voxloom.jobs.encoding import encoded_source
from voxloom.jobs.reading import SourceOptions, near_name, open_named
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.source import Source, Subset

__all__ = ["ExploreOptions", "open_session", "serve"]

logger = logging.getLogger(__name__)

_NO_IMAGES = "No pictures: the images that the latents were made of are not found. Name them with --images."


class ExploreOptions(Component):
    """What the explorer shows beside the points, and how it begins."""

    title: str = ""
    """Above the page; empty for the names of the groups."""
    field: str | None = None
    """Field of the stores; None takes the posterior means."""
    images: Path | None = None
    """Images of the points, matched by their keys; None takes those that the latents were made of."""
    source: SourceOptions = SourceOptions()
    """How `images` lie on disk."""
    checkpoint: Path | None = None
    """A run or a checkpoint that decodes latents and translates images."""
    device: str | None = None
    """Where it computes; None takes a GPU where there is one."""
    config: Config | None = None
    """What bare weights of an older system belong to; a checkpoint knows by itself."""
    color_by: str = "group"
    """What colour tells first: ``group``, ``class``, the name of an attribute, or ``key:REGEX``."""
    patient: str | None = None
    """What tells whose a point is, as `color_by`: one more field to colour by."""
    fit: str = "joint"
    """All groups together, or the name of the group that is fitted; the others are then transformed."""
    method: str = "pca"
    """The one that the page begins with."""
    parameters: Mapping[str, float] = {}
    """Where its sliders, and those of other methods, begin."""
    max_points: Annotated[int, Field(ge=1)] | None = None
    """Most points of a group, its first ones; None takes all."""
    seed: int = 42
    """Of projections and translations."""


def open_session(sources: Mapping[str, Source], options: ExploreOptions | None = None) -> Session:
    """Return what the page asks for.

    Parameters
    ----------
    sources
        Group name -> vectors, for instance a store of ``voxloom encode``.
    options
        Everything else.

    Raises
    ------
    SchemaError
        When a source has no vectors, or the groups' differ in length.
    UnknownNameError, ConfigError
        When a group, a field, a method or an expression cannot be meant.
    MissingDataError
        When the images or the checkpoint that are named are not there.
    CheckpointError
        When the checkpoint can do nothing for these latents.
    """
    options = options or ExploreOptions()
    _check_once(sources)
    points = Points.of_stores(_cut(sources, options.max_points), field=options.field)
    if options.fit != "joint":
        points.rows_of(options.fit)  # what is no group is told now
    images = Images(points, _images(points, options))
    notices = [] if images.are_there else [_NO_IMAGES]
    decoder, translator, told = _abilities(points, options)
    notices += told
    for notice in notices:
        logger.warning("%s", notice)
    named = SessionOptions(
        title=options.title or ", ".join(points.parts),
        fit=options.fit,
        seed=options.seed,
        **_labels(points, options),
        method=options.method,
        parameters=options.parameters,
        notices=tuple(notices),
    )
    return Session(points, images=images, decoder=decoder, translator=translator, options=named)


def serve(session: Session, port: int, ready: Callable[[str], object]) -> bool:
    """Answer the page until Ctrl-C or SIGTERM; then the process in the background is gone too.

    Parameters
    ----------
    session
        What answers.
    port
        The wanted one; if it is taken, the next that is free.
    ready
        Told the address.

    Returns
    -------
    bool
        Whether nothing is computed any more: a network cannot be interrupted in a sample.

    Raises
    ------
    ConfigError
        When no port is free.
    MissingExtraError
        Where Plotly Dash is not installed.
    """
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        app = make_app(session)
        make_page(session, app)
        serving = Serving(app, port)
        try:
            with interrupted_by_sigterm():
                session.begin()
                ready(serving.url)
                serving.run()
        except KeyboardInterrupt:
            logger.debug("stopped")
        finally:
            serving.close()
    finally:
        has_ended = session.close()
    return has_ended


def _labels(points: Points, options: ExploreOptions) -> dict[str, Any]:
    """Return the fields that expressions name, and the one that colour tells first."""
    labels = {} if options.patient is None else {"patient": class_of(points, options.patient)}
    colour = class_of(points, options.color_by)
    if colour.startswith("key:"):
        same = [name for name, by in labels.items() if by == colour]
        labels |= {} if same else {"label": colour}
        colour = same[0] if same else "label"
    for by in labels.values():
        points.labels(by)  # what is wrong with an expression is told now
    return {"labels": labels, "colour": colour}


def _check_once(sources: Mapping[str, Source]) -> None:
    """Refuse a store under two names: each of its points would lie on itself."""
    names: dict[Path, str] = {}
    for name, source in sources.items():
        if (
            isinstance(source, Store)
            and (first := names.setdefault(Path(source.path).resolve(), name)) != name
        ):
            raise ConfigError(f"{source.path} is given twice, as {first} and as {name}: expected it once.")


def _cut(sources: Mapping[str, Source], most: int | None) -> dict[str, Source]:
    if most is None:
        return dict(sources)
    return {name: source if len(source) <= most else source[:most] for name, source in sources.items()}


def _images(points: Points, options: ExploreOptions) -> dict[str, Source | None]:
    """Return where the images of each group are."""
    if options.images is not None:
        named = open_named(options.images, options.source)
        return dict.fromkeys(points.parts, named)
    found: dict[int, Source | None] = {}
    for part in points.parts.values():
        if id(part.source) not in found:
            found[id(part.source)] = _own_images(part.source)
    return {name: found[id(part.source)] for name, part in points.parts.items()}


def _own_images(source: Source) -> Source | None:
    """Return the images that vectors lie beside, or were made of."""
    whole = source.source if isinstance(source, Subset) else source
    if any(field.kind == "image" for field in whole.schema.values()):
        return whole
    return encoded_source(whole) if isinstance(whole, Store) else None


def _abilities(points: Points, options: ExploreOptions) -> tuple[Any, Any, list[str]]:
    """Return what a checkpoint decodes and translates with, and what the reader should know of it."""
    path = options.checkpoint
    if path is None:
        return None, None, []
    if not os.path.exists(path):
        raise MissingDataError(f"checkpoint {path} does not exist.{near_name(path)}")
    trained = _trained(path, options)
    decoder, undecoded = _tried(LatentSpace.from_trained, trained)
    translator, untranslated = _tried(Translation.from_trained, trained)
    if decoder is not None and (reason := _unlike(points, decoder, path)):
        decoder, undecoded = None, reason
    elif decoder is not None:
        decoder = replace(decoder, shape=points.shape)  # of images of another size than in training
    if decoder is None and translator is None:
        raise CheckpointError(f"nothing to do for {path}: {undecoded} {untranslated}")
    return decoder, translator, [f"No decoding along a line: {undecoded}"] if decoder is None else []


def _trained(path: Path, options: ExploreOptions) -> Trained:
    device = device_of(options.device)
    try:
        return Trained.load(path, device=device)
    except CheckpointError:
        if options.config is None:
            raise
    return trained_from_weights("vae", path, options.config)


def _tried(take: Callable[[Trained], Any], trained: Trained) -> tuple[Any, str]:
    try:
        return take(trained), ""
    except CheckpointError as error:
        return None, str(error)


def _unlike(points: Points, decoder: LatentSpace, path: Path) -> str:
    """Return why a decoder is not that of the latents, or an empty string."""
    if len(points.shape) != 3 or decoder.shape[0] != points.shape[0]:
        return f"{path} decodes latents of shape {decoder.shape}, and these have {points.shape}."
    weights = decoder.weights
    for part in points.parts.values():
        store = part.source.source if isinstance(part.source, Subset) else part.source
        told = store.manifest.facts.get("encoded", {}) if isinstance(store, Store) else {}
        if told.get("weights", weights) != weights:
            return f"{path} has other weights than the checkpoint that encoded {store}."
    return ""
