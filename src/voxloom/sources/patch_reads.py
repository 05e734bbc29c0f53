"""The arrays of one patch: begun all at once, and then waited for."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

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

logger = logging.getLogger(__name__)

KNOWN = "_known"
"""Added to the name of a target: which of its classes are known in each voxel."""
_TOO_COARSE = 2.01  # times the voxels of a level: pyramids are halved


class Fill(Protocol):
    """The reads of a sample, begun."""

    @property
    def nbytes(self) -> int:
        """Bytes that they fill, its share of what several samples hold."""

    def __call__(self, arrays: Mapping[str, Array]) -> None:
        """Wait for the reads, and fill the arrays of the sample."""


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

    def check_levels(self) -> None:
        """Warn, once, where a patch is much coarser than the level that it is read from."""
        wanted = [(name, volume, spec) for name, (volume, spec) in self.images.items()]
        wanted += [(name, mark.volume, spec) for name, spec in self.targets.items() for mark in self.marks]
        for name, volume, spec in wanted:
            grid = volume.levels[volume.level_for(spec.spacing)].grid
            ratios = [s / t for s, t in zip(spec.spacing, grid.spacing, strict=True)]
            if max(ratios) > _TOO_COARSE:
                _warn(name, spec.spacing, grid.spacing, round(math.prod(max(1.0, r) for r in ratios)))


@dataclass(frozen=True)
class PatchTask:
    """What one sample takes, and where it lies."""

    work: PatchWork
    center: Point
    pose: Pose

    def begin(self) -> Fill:
        """Begin all reads; return what fills the arrays of the sample when it is called."""
        work = self.work
        images = {
            name: begin_patch(volume, spec, self.center, pose=self.pose, how=work.how)
            for name, (volume, spec) in work.images.items()
        }
        bits = {name: self._begin_bits(spec) for name, spec in work.targets.items()}
        return _Reads(images, bits, work.classes)

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
    share = sum(volume.nbytes for volume in held.values()) // len(tasks)
    return [_Later(task, share) for task in ready]


@lru_cache(maxsize=64)  # of the first dataset: others are alike
def _warn(name: str, spacing: Point, found: Point, waste: int) -> None:
    logger.warning(
        "%s: patches of %s nm are read from voxels of %s nm, the coarsest level that is fine enough. Each "
        "takes %d times the memory and time, and skips most voxels. Make the levels between, for instance "
        "with: voxloom pack.",
        name,
        spacing,
        found,
        waste,
    )


@dataclass(frozen=True)
class _Later:
    """A task whose volumes are held: it takes no read of its own, so it begins when it is wanted."""

    task: PatchTask
    nbytes: int

    def __call__(self, arrays: Mapping[str, Array]) -> None:
        self.task.begin()(arrays)


@dataclass(frozen=True)
class _Reads:
    """The reads of one sample that are in flight."""

    images: Mapping[str, PendingPatch]
    bits: Mapping[str, PendingBits | None]
    classes: Classes | None

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for each in (*self.images.values(), *self.bits.values()) if each is not None)

    def __call__(self, arrays: Mapping[str, Array]) -> None:
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
