"""A network over a volume, tile by tile, into a volume.

The output is made in units, which are its shards. A unit depends on the input alone, so units can be
predicted in any order, by any number of processes, and again after a process was killed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from voxloom.errors import ConfigError, Interrupted, OutputExistsError
from voxloom.inference.line import Line
from voxloom.inference.products import finish_levels, image_of, marker_place, products_of
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions, VolumePlan
from voxloom.ranks import Rank
from voxloom.volumes import Place, Volume
from voxloom.volumes.place import same_or_inside
from voxloom.volumes.unit_marks import UnitMarks

__all__ = ["TiledReport", "VolumeTask", "predict_volume"]

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class TiledReport:
    """What a call of `predict_volume` has done.

    Attributes
    ----------
    output
        Path of the output.
    volumes
        Paths of all volumes that are written: an image, label images.
    units
        Units in all.
    done
        Those that this process has predicted.
    is_finished
        Whether the output is whole, pyramids and all.
    """

    output: str
    volumes: tuple[str, ...]
    units: int
    done: int
    is_finished: bool


class VolumeTask:
    """The prediction of one volume: what each process that works at it has to know. It can be pickled.

    Parameters
    ----------
    model, volume, options
        As `predict_volume` takes them.
    output
        Where it is written.

    Raises
    ------
    SchemaError, ConfigError
        If tiles, options and channels do not fit together.
    OutputExistsError
        If the output is the input, or lies in it, or holds it.
    """

    def __init__(
        self, model: VolumeModel, volume: Volume | Sequence[Volume], output: str, options: TiledOptions
    ) -> None:
        first, *others = (volume,) if isinstance(volume, Volume) else volume
        self.plan = VolumePlan(model, first, options, tuple(others))
        self.output = str(Place.of(output))
        for each in (first, *others):
            _refuse_input(Place.of(self.output), Place.of(each.path))
        self.products = products_of(self.plan, self.output)
        self.markers = UnitMarks(marker_place(self.output), self.plan.identity(), kind="prediction")

    def begin(self) -> None:
        """Make the empty output, or find it made by an earlier or another process.

        With the option `overwrite` what is there is replaced, but for a prediction by this same plan that
        is not finished: that is gone on with.

        Raises
        ------
        OutputExistsError
            If something else is there.
        SaveError
            If it cannot be written.
        """
        stores = [Place.of(path) for product in self.products for path in product.paths]
        self.markers.begin(stores, self._make, overwrite=self.plan.options.overwrite)

    def missing(self) -> list[int]:
        """Return the numbers of the units that are still to be predicted."""
        done = self.markers.done()
        return [] if self.markers.is_finished else [i for i in range(len(self.plan.lattice)) if i not in done]

    def run(self, numbers: Sequence[int], advance: Callable[[int], object] | None = None) -> Iterator[int]:
        """Predict units, and yield the number of each when it is whole; tell of each batch of tiles."""
        with Line(self.plan, self.products, mark=self.markers.mark, advance=advance) as line:
            yield from line.run(numbers)

    def complete(self) -> bool:
        """Make the levels that units share, if all units are there; return whether all is done.

        The process that comes last does it.
        """
        return self.markers.complete(len(self.plan.lattice), self._finish_levels)

    def report(self, done: int, *, is_finished: bool) -> TiledReport:
        """Sum up."""
        paths = tuple(path for product in self.products for path in product.paths)
        return TiledReport(self.output, paths, len(self.plan.lattice), done, is_finished)

    def _make(self, overwrite: bool) -> None:
        for product in self.products:
            product.make(self.plan.grid.shape, overwrite=overwrite)

    def _finish_levels(self) -> None:
        for product in self.products:
            finish_levels(product.open(), self.plan.options.unit)


def predict_volume(
    model: VolumeModel,
    volume: Volume | Sequence[Volume],
    output: str,
    *,
    options: TiledOptions | None = None,
    rank: Rank | None = None,
    progress: Progress | None = None,
) -> TiledReport:
    """Predict a volume tile by tile and write the result as OME-Zarr.

    A call that was cut off goes on when it is made again: what is whole is not predicted twice. Under
    several ranks each takes its share of the units, and the last one finishes the pyramid.

    Parameters
    ----------
    model
        The network, the voxels of a tile and their spacing, the names of its channels.
    volume
        What is read. Where its spacing is another than the model's, it is resampled as it is read. For a
        model of several patches also a volume for each; the first is the one that is predicted.
    output
        Path or URL of the new OME-Zarr; IMAGE/labels/NAME for labels alone below an image that is there.
    options
        Overlap, what is written, and so on.
    rank
        Which of several processes this is; None for one alone.
    progress
        Told (done, total) in tiles, of this process's share.

    Returns
    -------
    TiledReport
        What was done.

    Raises
    ------
    OutputExistsError
        If the output holds something else, or a prediction by another model, of another volume.
    SaveError
        If the disk is full, for instance; make the call again to go on.
    VolumeReadError
        If the input cannot be read.
    DivergedError
        If the network gives NaN.
    Interrupted
        After Ctrl-C; make the call again to go on.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.geometry import PatchSpec
    >>> from voxloom.volumes.creation import create
    >>> from voxloom.volumes.layout import VolumeLayout
    >>> folder = mkdtemp()
    >>> layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8")
    >>> create(f"{folder}/raw.zarr", shape=(20, 30, 30), layout=layout)
    >>> raw = Volume.open(f"{folder}/raw.zarr")
    >>> tile = PatchSpec(shape=(16, 16, 16), spacing=(8, 8, 8))
    >>> half = VolumeModel(lambda tiles: tiles * 0 + 0.5, tile, ("cell",), digest="a half")
    >>> options = TiledOptions(write=("probabilities",))
    >>> report = predict_volume(half, raw, f"{folder}/pred.zarr", options=options)
    >>> report.is_finished, set(Volume.open(report.output).read(raw.bounding_box).ravel().tolist())
    (True, {128})
    """
    rank, options = rank or Rank(), options or TiledOptions()
    if options.overwrite and rank.world > 1:
        raise ConfigError(
            f"overwrite by {rank.world} processes at once: one would remove what another writes. Remove the "
            "output first, or begin with one process."
        )
    task = VolumeTask(model, volume, output, options)
    task.begin()
    # By number, and not by what is missing: processes that look at different times leave none out. In
    # turn, so that what a stopped job has left is not all one process's.
    mine = [number for number in task.missing() if number % rank.world == rank.index]
    if mine and rank.is_main and task.plan.cost:
        logger.info(task.plan.cost)
    done = 0
    try:
        for _ in task.run(mine, _advance(task, mine, progress)):
            done += 1
        finished = task.complete()
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"stopped: {done} of {len(mine)} units were predicted by this call and are kept in "
            f"{task.output}. Give the same command again to go on."
        ) from stop
    return task.report(done, is_finished=finished)


def _advance(
    task: VolumeTask, numbers: Sequence[int], progress: Progress | None
) -> Callable[[int], object] | None:
    """Return what adds the tiles of a batch up, and tells how many are done."""
    if progress is None:
        return None
    lattice, done = task.plan.lattice, 0
    total = sum(lattice.tile_count(lattice[number]) for number in numbers)

    def advance(tiles: int) -> None:
        nonlocal done
        done += tiles
        progress(done, total)

    return advance


def _refuse_input(output: Place, given: Place) -> None:
    """Refuse to write where the input is; a label image below it is no harm."""
    # where links lead counts, and not how they are named: one below labels/ may lead to a level
    image, _ = image_of(Place.of(os.path.realpath(output.path)) if output.scheme == "file" else output)
    is_label = image is not None and same_or_inside(image, given) and same_or_inside(given, image)
    if same_or_inside(given, output) or (same_or_inside(output, given) and not is_label):
        raise OutputExistsError(
            f"output {output}: the input {given} is there. Name another output, or a label image of it: "
            f"{given}/labels/NAME."
        )
