"""All that the explorer's page asks for: places, pictures, distances and jobs, from many threads."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voxloom.analysis.explorer.checkpoint import (
    Decoder,
    Request,
    Translated,
    Translating,
    Translator,
    line_pictures,
)
from voxloom.analysis.explorer.choices import FieldChoice, Slider, begun, methods_of, settled
from voxloom.analysis.explorer.gallery import THUMBNAIL, Facts, Gallery
from voxloom.analysis.explorer.images import Images
from voxloom.analysis.explorer.labelling import Labelling, Labels
from voxloom.analysis.explorer.options import SessionOptions
from voxloom.analysis.explorer.pairs import Pair
from voxloom.analysis.explorer.pictures import Picture
from voxloom.analysis.explorer.projecting import Projecting
from voxloom.analysis.explorer.queue import Job, Queue
from voxloom.analysis.explorer.reading import Reading
from voxloom.analysis.explorer.recent import Recent
from voxloom.analysis.explorer.spreadsheet import csv_of
from voxloom.analysis.explorer.worker import Worker
from voxloom.analysis.latents.kept import key_of
from voxloom.analysis.latents.nearest import neighbours
from voxloom.analysis.latents.pca import Reduced, reduced
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import Projected
from voxloom.errors import ConfigError, UnknownNameError

__all__ = ["Comparison", "Session", "SessionOptions"]

_STEPS, _SAMPLES, _NEIGHBOURS = (2, 33), (1, 64), (1, 200)
_RESULTS, _PICTURES = 1 << 28, 1 << 26  # bytes that are kept
_PATIENCE = 2.0  # seconds that the end may take
_FORGOTTEN = "this is not known here any more; ask for it again."


@dataclass(frozen=True)
class Comparison:
    """Two points: their Euclidean distance in the latent space, and in the plane or space shown."""

    latent_distance: float
    plane_distance: float


class Session:
    """All that the page asks for.

    It knows nothing of the page, and its methods may be called by several threads. Vectors stay on disk;
    in memory are coordinates, labels, and what was drawn last.

    Parameters
    ----------
    points
        What is explored.
    images
        Where their pictures come from; None for no pictures.
    decoder, translator
        Of a checkpoint; None for none.
    options
        Title and the like.
    worker
        Computes projections; None starts a process with the first request.

    Examples
    --------
    >>> session = Session(Points.of_arrays({"a": np.eye(3)}))
    >>> session.methods["pca"], [each.name for each in session.fields]
    ((), ['group'])
    >>> session.labels("group")
    (('a',), array([0, 0, 0]))
    >>> session.close()
    True
    """

    def __init__(
        self,
        points: Points,
        *,
        images: Images | None = None,
        decoder: Decoder | None = None,
        translator: Translator | None = None,
        options: SessionOptions | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.points, self.options = points, options or SessionOptions()
        self.version = secrets.token_hex(6)
        """Another one in each session: in the address of a picture it lets the browser keep that."""
        self.methods: Mapping[str, tuple[Slider, ...]] = begun(
            methods_of(len(points)), self.options.method, self.options.parameters
        )
        images = images or Images(points, {})
        self._gallery = Gallery(images)
        self._labelling = Labelling(points, self.options.labels, self.options.colour)
        self._decoder = decoder
        self._reading = Reading(points)
        self._projecting = Projecting(points, self.options.fit)
        self._worker = worker or Worker(self._projecting)
        self._results: Recent[Projected] = Recent(_RESULTS, lambda found: found.coordinates.nbytes)
        self._projections = Queue(self._worker.run, self._results.put)
        self._lines: Recent[tuple[bytes, ...]] = Recent(_PICTURES, lambda parts: sum(map(len, parts)))
        self._translated: Recent[Translated] = Recent(_PICTURES, lambda found: found.nbytes)
        self._translations: Queue | None = None
        if translator is not None and images.are_there:
            translating = Translating(points, images, translator)
            self._translations = Queue(translating.run, self._translated.put)
        self._reduced: Reduced | None = None
        self._one_at_a_time = threading.Lock()

    # What there is

    @property
    def title(self) -> str:
        """Above the page."""
        return self.options.title

    @property
    def notices(self) -> tuple[str, ...]:
        """What the reader should know."""
        return self.options.notices

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, in order."""
        return tuple(self.points.parts)

    @property
    def fields(self) -> tuple[FieldChoice, ...]:
        """What points can be coloured and filtered by: the group, named expressions, attributes."""
        return self._labelling.fields

    @property
    def has_images(self) -> bool:
        """Whether there are pictures."""
        return self._gallery.images.are_there

    @property
    def can_decode(self) -> bool:
        """Whether `along` works."""
        return self._decoder is not None

    @property
    def can_translate(self) -> bool:
        """Whether `translate` works."""
        return self._translations is not None

    def labels(self, name: str) -> Labels:
        """Return the values of a field: (names, number of each point's name (N,)), or numbers (N,).

        Raises
        ------
        UnknownNameError
            When there is no such field.
        """
        return self._labelling.of(name)

    # Projections

    def begin(self) -> Job:
        """Ask for what a page asks for first, before there is one; and look the images up."""
        threading.Thread(target=self.facts, args=(0,), name="voxloom-look-up", daemon=True).start()
        return self._request(next(iter(self.methods)), {}, 2, None)

    def request(self, method: str, parameters: Mapping[str, float], dims: int = 2, *, page: str = "") -> Job:
        """Ask for a projection, and return at once how far it is.

        Parameters
        ----------
        method
            One of `methods`.
        parameters
            Of its sliders; what is left out takes the default.
        dims
            2 or 3.
        page
            Any name of the page that asks. What the same page asked for before and still waits for is
            given up; the same request of two pages is computed once.

        Raises
        ------
        UnknownNameError, ConfigError
            When there is no such method or parameter, or a value is beyond its ends.
        """
        return self._request(method, parameters, dims, page)

    def _request(self, method: str, parameters: Mapping[str, float], dims: int, page: str | None) -> Job:
        if dims not in (2, 3):
            raise ConfigError(f"{dims} dimensions: expected 2 or 3.")
        chosen = settled(self.methods, method, parameters)
        wanted = self._projecting.method(method, dims=dims, seed=self.options.seed, **chosen)
        key = self._projecting.key(wanted)
        if self._results.find(key) is not None:
            return Job(key, "ready", 1.0)
        return self._projections.request(key, wanted, page=page)

    def job(self, id: str) -> Job:
        """Return how far a projection or a translation is; what is not known counts as cancelled."""
        if self._results.find(id) is not None or self._translated.find(id) is not None:
            return Job(id, "ready", 1.0)
        queues = [queue for queue in (self._projections, self._translations) if queue is not None]
        found = [job for queue in queues if (job := queue.job(id)) is not None and job.state != "ready"]
        return found[0] if found else Job(id, "cancelled", message=_FORGOTTEN)

    def cancel(self, id: str, *, page: str | None = None) -> Job:
        """Give up a job: of a page, or of all. It ends where no other page waits for it."""
        for queue in (self._projections, self._translations):
            if queue is not None:
                queue.cancel(id, page=page)
        return self.job(id)

    def projected(self, key: str) -> Projected:
        """Return a projection that is ready.

        Raises
        ------
        UnknownNameError
            When it is not, or was let go of: ask for it again.
        """
        found = self._results.find(key)
        if found is None:
            raise UnknownNameError(f"projection {key[:40]!r}: {_FORGOTTEN}")
        return found

    def coordinates(self, key: str) -> npt.NDArray[np.float32]:
        """Return the places (N, dims) of a projection; raises as `projected` does."""
        return self.projected(key).coordinates

    # Points

    def check_row(self, row: int) -> int:
        """Return a row.

        Raises
        ------
        IndexError
            When there is no such point.
        """
        if isinstance(row, bool) or not isinstance(row, int | np.integer) or not 0 <= row < len(self.points):
            raise IndexError(f"point {row!r:.40}: expected 0 to {len(self.points) - 1}.")
        return int(row)

    def facts(self, row: int) -> Facts:
        """Return what is known of a point."""
        return self._gallery.facts(self.check_row(row), self._labelling.text(row))

    def thumbnail(self, row: int, size: int = THUMBNAIL) -> Picture:
        """Return a small picture of a point: a PNG, and why it shows words where it does."""
        return self._gallery.image(self.check_row(row), size)

    def image(self, row: int, size: int = 512) -> Picture:
        """Return the picture of a point, its longer side `size` pixels or a little less."""
        return self._gallery.image(self.check_row(row), size)

    def panel(self, a: int, b: int, size: int = 256) -> Picture:
        """Return the pictures of two points and their difference, in one window."""
        return self._gallery.panel(self.check_row(a), self.check_row(b), size)

    def strip(self, a: int, b: int, size: int = 256) -> Picture:
        """Return the same as `panel` without words."""
        return self._gallery.strip(self.check_row(a), self.check_row(b), size)

    def pair(self, a: int, b: int) -> Pair | None:
        """Return the images of two points and how they are drawn; None where one is not there."""
        return self._gallery.pair(self.check_row(a), self.check_row(b))

    def compare(self, a: int, b: int, key: str) -> Comparison:
        """Return the distances of two points, the one of the plane in the projection of that key."""
        pair = [self.check_row(a), self.check_row(b)]
        with self._reading.points() as points:
            vectors = points.vectors(pair).astype(np.float64)
        places = self.coordinates(key)[pair].astype(np.float64)
        return Comparison(*(float(np.linalg.norm(two[0] - two[1])) for two in (vectors, places)))

    def neighbours(self, row: int, k: int = 8) -> list[tuple[int, float]]:
        """Return the points nearest to one in the latent space: (row, distance), nearest first."""
        _within(k, _NEIGHBOURS, "neighbours")
        row, components = self.check_row(row), self._components()
        with self._reading.points() as points:
            rows, distances = neighbours(components, points, row, k)
        return [(int(each), float(far)) for each, far in zip(rows, distances, strict=True)]

    def export(self, rows: Sequence[int], key: str | None = None) -> bytes:
        """Return points as CSV: key, group, all other fields, and coordinates where a projection is named."""
        checked = [self.check_row(row) for row in rows]
        places = None if key is None else self.coordinates(key)
        return csv_of(self.points, checked, places, named=self._labelling.expressed)

    # What a checkpoint adds

    def along(self, a: int, b: int, steps: int = 7) -> list[bytes]:
        """Return PNGs decoded along the straight line between two latents, in one window.

        Raises
        ------
        ConfigError
            When there is no decoder, or `steps` is not within 2 to 33.
        """
        if self._decoder is None:
            raise ConfigError("there is no decoder: give a checkpoint with --checkpoint.")
        _within(steps, _STEPS, "steps")
        place = (self.check_row(a), self.check_row(b), steps)
        decoder = self._decoder
        with self._reading.points() as points:
            return list(self._lines.get(place, lambda: line_pictures(points, decoder, *place)))

    def translate(self, row: int, *, samples: int = 8, page: str = "") -> Job:
        """Ask for the translation of a point's condition, and return at once how far it is.

        Raises
        ------
        ConfigError
            When there is no translator, or `samples` is not within 1 to 64.
        """
        if self._translations is None:
            raise ConfigError("there is no translator: give a checkpoint and images.")
        _within(samples, _SAMPLES, "samples")
        request = Request(self.check_row(row), samples, self.options.seed)
        key = key_of(self.version, "translation", *request)
        if self._translated.find(key) is not None:
            return Job(key, "ready", 1.0)
        return self._translations.request(key, request, page=page)

    def translated(self, key: str) -> Translated:
        """Return a translation that is ready; raises as `projected` does."""
        found = self._translated.find(key)
        if found is None:
            raise UnknownNameError(f"translation {key[:40]!r}: {_FORGOTTEN}")
        return found

    def close(self) -> bool:
        """Give up all jobs, end the process in the background, and return whether all is at its end.

        A network that translates comes to its end with the sample that it is at, which may take a while.
        """
        queues = [queue for queue in (self._projections, self._translations) if queue is not None]
        for queue in queues:
            queue.close()
        self._worker.close()
        return all([queue.ended(_PATIENCE) for queue in queues])

    def _components(self) -> Reduced:
        """Return the principal components, which the projections have left in the cache folder."""
        with self._one_at_a_time:
            if self._reduced is None:
                fit = self.options.fit
                rows = None if fit == "joint" else self.points.rows_of(fit)
                with self._reading.points() as points:
                    self._reduced = reduced(points, rows=rows, seed=self.options.seed)
            return self._reduced


def _within(value: int, ends: tuple[int, int], what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not ends[0] <= value <= ends[1]:
        raise ConfigError(f"{value!r:.40} {what}: expected {ends[0]} to {ends[1]}.")
