"""The arrays of one patch: begun all at once, and then waited for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from voxloom.geometry import PatchSpec, Point, Pose
from voxloom.sample import Array
from voxloom.volumes.bits import Mark, PendingBits, begin_bits
from voxloom.volumes.classes import Classes
from voxloom.volumes.held import HeldVolume
from voxloom.volumes.patch import PendingPatch, Reading, begin_patch
from voxloom.volumes.relations import relate
from voxloom.volumes.volume import Volume

__all__ = ["KNOWN", "Fill", "PatchTask", "PatchWork", "begin_block"]

KNOWN = "_known"
"""Added to the name of a target: which of its classes are known in each voxel."""
Fill = Callable[[Mapping[str, Array]], None]
"""Waits for the reads of a sample, and fills its arrays."""


_TURNED = 4  # the box around a turned cube: up to 5.2 times the cube, 2 where it turns about one axis


@dataclass(frozen=True)
class PatchWork:
    """What each sample of a dataset takes.

    Attributes
    ----------
    images
        The volume of each image, and its patch.
    targets
        The patch of each target.
    marks
        The label volumes; none where nothing is annotated.
    classes
        What the bits of targets mean; None without targets.
    how
        How images are read.
    """

    images: Mapping[str, tuple[Volume, PatchSpec]]
    targets: Mapping[str, PatchSpec]
    marks: Sequence[Mark]
    classes: Classes | None
    how: Reading

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all patches as they are read, before labels become bits."""
        images = sum(
            math.prod(spec.shape) * len(volume.channels) * volume.dtype.itemsize
            for volume, spec in self.images.values()
        )
        width = sum(mark.volume.dtype.itemsize for mark in self.marks)
        return images + width * sum(math.prod(spec.shape) for spec in self.targets.values())


@dataclass(frozen=True)
class PatchTask:
    """What one sample takes, and where it lies."""

    work: PatchWork
    center: Point
    pose: Pose

    @property
    def nbytes(self) -> int:
        """About how many bytes its reads take while they are in flight."""
        return self.work.nbytes * (1 if self.pose.is_axis_aligned else _TURNED)

    def begin(self) -> Fill:
        """Begin all reads; return what fills the arrays of the sample when it is called."""
        work = self.work
        images = {
            name: begin_patch(volume, spec, self.center, pose=self.pose, how=work.how)
            for name, (volume, spec) in work.images.items()
        }
        bits = {name: self._begin_bits(spec) for name, spec in work.targets.items()}
        return _Reads(images, bits, work.classes).finish

    def _begin_bits(self, spec: PatchSpec) -> PendingBits | None:
        marks, classes = self.work.marks, self.work.classes
        if not marks or classes is None:
            return None
        return begin_bits(marks, spec, self.center, pose=self.pose, dtype=classes.reading_dtype)

    def held(self, hold: Callable[[Volume], HeldVolume]) -> PatchTask:
        """Return the task on held parts of its volumes, which are told what it needs."""
        wanted = [*self.work.images.values()]
        wanted += [(mark.volume, spec) for mark in self.work.marks for spec in self.work.targets.values()]
        for volume, spec in wanted:
            hold(volume).need(spec, self.center, pose=self.pose)
        images = {name: (hold(volume), spec) for name, (volume, spec) in self.work.images.items()}
        marks = [replace(mark, volume=hold(mark.volume)) for mark in self.work.marks]
        return replace(self, work=replace(self.work, images=images, marks=marks))


def begin_block(tasks: Sequence[PatchTask]) -> list[Fill]:
    """Begin to read what lies near each other, each volume once for all; return what fills each sample."""
    if len(tasks) == 1:
        return [tasks[0].begin()]
    held: dict[int, HeldVolume] = {}

    def hold(volume: Volume) -> HeldVolume:
        return held.setdefault(id(volume), HeldVolume(volume))

    ready = [task.held(hold) for task in tasks]
    for volume in held.values():
        volume.begin()
    return [_Later(task) for task in ready]


@dataclass(frozen=True)
class _Later:
    """A task whose volumes are held: it takes no read of its own, so it begins when it is wanted."""

    task: PatchTask

    def __call__(self, arrays: Mapping[str, Array]) -> None:
        self.task.begin()(arrays)


@dataclass(frozen=True)
class _Reads:
    """The reads of one sample that are in flight."""

    images: Mapping[str, PendingPatch]
    bits: Mapping[str, PendingBits | None]
    classes: Classes | None

    def finish(self, arrays: Mapping[str, Array]) -> None:
        """Fill the arrays of the sample."""
        for name, patch in self.images.items():
            _fill(arrays[name], patch.result, patch.shape)
        for name, bits in self.bits.items():
            _finish_bits(bits, self.classes, arrays[name], arrays[name + KNOWN])


def _fill(array: Array, result: Callable[[Array], Array], shape: tuple[int, ...]) -> None:
    """Have an array filled that lacks the axes of one voxel."""
    if array.flags.c_contiguous:
        result(array.reshape(shape))
    else:  # `reshape` would be a copy
        array[...] = result(np.empty(shape, array.dtype)).reshape(array.shape)


def _finish_bits(bits: PendingBits | None, classes: Classes | None, positive: Array, known: Array) -> None:
    """Fill the bits of a target and what is known of them."""
    if bits is None or classes is None:
        positive[...], known[...] = 0, 0
        return
    fits = all(a.dtype == bits.dtype and a.flags.c_contiguous for a in (positive, known))
    found = bits.result(positive.reshape(bits.shape) if fits else None)
    told = bits.known(known.reshape(bits.shape) if fits else None)
    relate(found, told, classes)
    for array, made in ((positive, found), (known, told)):
        if classes.witnesses:
            made &= made.dtype.type((1 << len(classes.names)) - 1)
        if not fits:
            array[...] = made.reshape(array.shape)
