"""Patches of volumes as samples: raw of any shape and spacing, and classes as bits."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.errors import SchemaError
from voxloom.geometry import AXES, PatchSpec, Point, Pose
from voxloom.keys import Keys
from voxloom.registry import did_you_mean
from voxloom.sample import Array, Field, Sample, Schema
from voxloom.seeding import rng_for
from voxloom.source import Select, Source
from voxloom.sources.kept_blocks import Begun, KeptBlocks
from voxloom.sources.locations import Location, Locations
from voxloom.sources.patch_reads import KNOWN, Fill, PatchTask, PatchWork, begin_block
from voxloom.transforms.pose import SpatialAugment
from voxloom.volumes.classes import Classes
from voxloom.volumes.patch import AS_IS, Reading

if TYPE_CHECKING:
    from voxloom.sources.volume_split import Dataset

__all__ = ["KNOWN", "PatchOptions", "PatchSource"]

_UNIT = "nanometer"
_IN_FLIGHT = 256_000_000  # bytes that one call reads at once; each thread makes calls of its own


class PatchOptions(Component):
    """How patches are read.

    Examples
    --------
    >>> PatchOptions(outside="mirror").fill
    0.0
    """

    seed: int = 0
    """The poses derive from it."""
    augment: SpatialAugment | None = None
    """How patches are laid at random; None for as the volume lies."""
    outside: Literal["pad", "mirror", "refuse"] = "pad"
    """What an image holds outside its volume. Labels are unknown there."""
    fill: float = 0.0
    """What `outside="pad"` pads with."""
    interpolation: Literal["linear", "cubic", "nearest"] = "linear"
    """Between the voxels of an image; labels take the nearest."""
    squeeze: bool = True
    """Whether spatial axes of one voxel are left out of the arrays, so that 2D patches are 2D."""
    keep_blocks: Annotated[int, Setting(ge=0)] = 0
    """Blocks that stay in memory for the next calls, where locations have several crops a block and a call
    asks for some of them alone. A few more than threads that read will do; 0 to read what is asked for."""


class PatchSource(Source):
    """Patches of volumes, where and as the locations and the augmentation have them.

    All arrays of a sample are of one place and one pose, and each has its own shape and spacing. The
    reads of a whole batch are begun before the first is waited for.

    Parameters
    ----------
    datasets
        What patches are taken from: volumes to read, and their labels.
    inputs
        The patch of each image, by the name of the field and of the volume in ``Dataset.raw``.
    targets
        The patch of each field of labels. ``name`` holds bits (1, z, y, x), class k of `classes` is
        bit k; ``name_known`` tells which are known, alike.
    classes
        What targets are about.
    locations
        Where patches lie.
    options
        How they are read.

    Raises
    ------
    SchemaError
        If a dataset lacks an input, or its volumes differ in channels or type; if there are targets
        and no classes; if two fields have one name.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.geometry import Grid
    >>> from voxloom.sources.tiles import Tiled
    >>> from voxloom.sources.volume_split import Dataset
    >>> from voxloom.testing.volumes import phantom, write_volume
    >>> from voxloom.volumes.volume import Volume
    >>> volume = Volume.open(write_volume(mkdtemp(), phantom((8, 20, 20))))
    >>> spec = PatchSpec(shape=(8, 10, 10), spacing=(8, 8, 8))
    >>> tiles = Tiled([volume.levels[0].grid], spec)
    >>> source = PatchSource([Dataset("a", {"raw": volume}, None)], inputs={"raw": spec}, locations=tiles)
    >>> len(source), source[3]["raw"].shape, source.keys[3]
    (4, (1, 8, 10, 10), 'a/000003_z28_y116_x116')
    """

    reads_in_threads = True
    """TensorStore has threads of its own: the Loader reads with threads too, and does not fork."""

    def __init__(
        self,
        datasets: Sequence[Dataset],
        *,
        inputs: Mapping[str, PatchSpec],
        locations: Locations,
        targets: Mapping[str, PatchSpec] | None = None,
        classes: Classes | None = None,
        options: PatchOptions | None = None,
    ) -> None:
        self.datasets = tuple(datasets)
        self.inputs, self.targets = dict(inputs), dict(targets or {})
        self.classes = classes
        self.locations = locations
        self.options = options or PatchOptions()
        self.epoch = 0
        self._works: dict[int, PatchWork] = {}
        self._kept = KeptBlocks(self.options.keep_blocks)
        if self.targets and classes is None:
            raise SchemaError(f"targets {', '.join(self.targets)} without classes: expected their names")
        self._schema = self._made_schema()

    def __repr__(self) -> str:
        return f"PatchSource of {len(self)} patches of {len(self.datasets)} datasets"

    def __len__(self) -> int:
        return len(self.locations)

    @property
    def schema(self) -> Schema:
        """The images, then each target and what is known of it."""
        return self._schema

    @property
    def keys(self) -> Sequence[str]:
        """The dataset, the index, and the centre in nm: where patches are drawn at random, of this epoch."""
        return Keys(len(self), self._key)

    def at_epoch(self, epoch: int) -> PatchSource:
        """Return the patches of an epoch: other places, other poses."""
        if epoch == self.epoch:
            return self
        source = copy.copy(self)
        source.epoch = epoch
        return source

    def select(self, *names: str) -> Source:
        """Return the same patches with these fields alone; the others are not read."""
        fields = self.schema.only(*names)
        source = copy.copy(self)
        source.__dict__ |= {"size": self.size, "_works": {}}  # the poses stay what they are
        source._kept = KeptBlocks(self.options.keep_blocks)
        source.inputs = {name: spec for name, spec in self.inputs.items() if name in names}
        source.targets = {
            name: spec for name, spec in self.targets.items() if {name, name + KNOWN} & {*names}
        }
        source._schema = source._made_schema()
        return source if tuple(source._schema) == tuple(fields) else Select(source, names)

    def location(self, index: int) -> Location:
        """Return where patch `index` lies in this epoch."""
        return self.locations.at(self.epoch, index)

    def pose(self, index: int) -> Pose:
        """Return how patch `index` lies in this epoch."""
        augment = self.options.augment
        if augment is None:
            return AS_IS
        return augment.draw(rng_for(self.options.seed, "pose", self.epoch, index), self.size)

    @cached_property
    def size(self) -> Point:
        """Extent of the largest patch along each axis, nm."""
        sizes = [spec.size for spec in (*self.inputs.values(), *self.targets.values())]
        z, y, x = map(max, zip(*sizes, strict=True))
        return z, y, x

    def read(self, index: int) -> Sample:
        """Return one patch."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return several patches, read at once; each has memory of its own."""
        places = [self.place(index) for index in indices]
        rooms = [
            {name: np.empty(field.shape or (), field.dtype) for name, field in self.schema.items()}
            for _ in places
        ]
        self._fill(places, rooms)
        return [
            Sample(self._key(place), self.schema, room) for place, room in zip(places, rooms, strict=True)
        ]

    def gather(self, indices: Sequence[int], *, out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return several patches stacked; the reads of all are in flight before one is waited for."""
        places = [self.place(index) for index in indices]
        arrays = {}
        for name, field in self.schema.items():
            room = (out or {}).get(name)
            arrays[name] = (
                np.empty((len(places), *(field.shape or ())), field.dtype) if room is None else room
            )
        self._fill(
            places, [{name: array[row] for name, array in arrays.items()} for row in range(len(places))]
        )
        return arrays

    def _fill(self, places: Sequence[int], rooms: Sequence[Mapping[str, Array]]) -> None:
        """Read patches into rooms, as many in flight at once as there is memory for."""
        in_flight: deque[tuple[Fill, Mapping[str, Array]]] = deque()
        held = 0
        rows = zip(places, rooms, strict=True)
        for number, block in groupby(rows, key=lambda row: row[0] // self.locations.crops_per_block):
            members = list(block)
            begun = self._begun(number, [place for place, _ in members])
            for (_, fill), (_, room) in zip(begun, members, strict=True):
                in_flight.append((fill, room))
                held += fill.nbytes
            while held > _IN_FLIGHT:
                fill, its_room = in_flight.popleft()
                fill(its_room)
                held -= fill.nbytes
        for fill, its_room in in_flight:
            fill(its_room)

    def _begun(self, number: int, places: Sequence[int]) -> list[Begun]:
        """Begin to read some crops of a block: all of it, if the next call is to find the others."""
        crops = self.locations.crops_per_block
        if not self.options.keep_blocks or len({*places}) == crops:
            tasks = [self._task(place) for place in places]
            return list(zip(tasks, begin_block(tasks), strict=True))

        def begin() -> list[Begun]:
            tasks = [self._task(place) for place in range(number * crops, (number + 1) * crops)]
            return list(zip(tasks, begin_block(tasks), strict=True))

        block = self._kept.get((self.epoch, number), begin)
        return [block[place % crops] for place in places]

    def _task(self, index: int) -> PatchTask:
        volume, center = self.location(index)
        return PatchTask(self._work(volume), center, self.pose(index))

    def _work(self, volume: int) -> PatchWork:
        """Return what the samples of a dataset take, worked out once."""
        found = self._works.get(volume)
        if found is None:
            dataset, classes, options = self.datasets[volume], self.classes, self.options
            marks = (
                dataset.labels.marks(classes) if dataset.labels is not None and classes is not None else ()
            )
            images = {name: (dataset.raw[name], spec) for name, spec in self.inputs.items()}
            how = Reading(options.interpolation, options.outside, options.fill)
            found = self._works[volume] = PatchWork(images, self.targets, marks, classes, how)
            found.check_levels()
        return found

    def _key(self, index: int) -> str:
        volume, center = self.location(index)
        z, y, x = (f"{c:.10g}" for c in center)
        return f"{self.datasets[volume].name}/{index:06}_z{z}_y{y}_x{x}"

    def _made_schema(self) -> Schema:
        fields = [self._image(name, spec) for name, spec in self.inputs.items()]
        for name, spec in self.targets.items():
            fields += [self._bits(name, spec), self._bits(name + KNOWN, spec)]
        return Schema(fields)

    def _image(self, name: str, spec: PatchSpec) -> Field:
        kinds = {self._kind(dataset, name): dataset.name for dataset in reversed(self.datasets)}
        if len(kinds) != 1:
            told = ", ".join(f"{c} channels of {d} ({where!r})" for (c, d), where in kinds.items())
            raise SchemaError(
                f"input {name!r} differs between the datasets: {told or 'there is none'}; expected the same "
                "channels and type in each. Make a source of each kind, and bring them to one type with Map"
            )
        channels, dtype = next(iter(kinds))
        return self._field(name, spec, channels=channels, dtype=dtype)

    def _kind(self, dataset: Dataset, name: str) -> tuple[int, str]:
        if name not in dataset.raw:
            known = ", ".join(dataset.raw)
            raise SchemaError(
                f"dataset {dataset.name!r} has no input {name!r}. Inputs: {known}."
                f"{did_you_mean(name, dataset.raw)}"
            )
        volume = dataset.raw[name]
        return len(volume.channels), volume.dtype.newbyteorder("=").name

    def _bits(self, name: str, spec: PatchSpec) -> Field:
        assert self.classes is not None
        field = self._field(name, spec, channels=1, dtype=self.classes.dtype.name)
        return field.model_copy(update={"kind": "mask", "categories": self.classes.names})

    def _field(self, name: str, spec: PatchSpec, *, channels: int, dtype: str) -> Field:
        kept = [axis for axis, n in enumerate(spec.shape) if n > 1 or not self.options.squeeze]
        return Field(
            name=name,
            axes="c" + "".join(AXES[axis] for axis in kept),
            dtype=dtype,
            shape=(channels, *(spec.shape[axis] for axis in kept)),
            spacing=tuple(spec.spacing[axis] for axis in kept),
            unit=_UNIT,
        )
