"""Random poses of patches: how a sample is mirrored, turned and bent before it is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field as Setting
from pydantic import field_validator, model_validator

from voxloom.component import Component
from voxloom.geometry import AXES, Point, Pose

__all__ = ["Elastic", "SpatialAugment"]

Axis = Literal["z", "y", "x"]
Probability = Annotated[float, Setting(ge=0, le=1)]
Degrees = Annotated[float, Setting(ge=-360, le=360)]
Turn = tuple[Degrees, Degrees]
Length = Annotated[float, Setting(gt=0)]
Deviation = Annotated[float, Setting(ge=0)]

_SPLINE_VARIANCE = (151 / 315) ** 3
"""Variance of a cubic B-spline in 3D whose coefficients have variance 1, averaged over space."""
_MOST = 3.0  # deviations: what lies further out is cut off, so that a patch reaches only so far


class Elastic(Component):
    """A smooth random displacement: independent at control points, a cubic B-spline between them.

    Examples
    --------
    >>> Elastic(spacing=300, sd=(0, 30, 30)).sd
    (0.0, 30.0, 30.0)
    """

    spacing: tuple[Length, Length, Length] = (400.0, 400.0, 400.0)
    """Distance of two control points along z, y, x in nm, or one number for all: smaller is wavier."""
    sd: tuple[Deviation, Deviation, Deviation] = (20.0, 20.0, 20.0)
    """Standard deviation of the displacement along z, y, x in nm, or one number for all."""
    probability: Probability = 0.5
    """Share of the samples that are bent."""

    @field_validator("spacing", "sd", mode="before")
    @classmethod
    def _one_for_all(cls, given: Any) -> Any:
        return (given,) * 3 if isinstance(given, int | float) else given

    @model_validator(mode="after")
    def _does_not_fold(self) -> Self:
        if max(self.sd) > min(self.spacing) / 4:
            raise ValueError(
                f"a displacement of sd {max(self.sd):g} nm between points {min(self.spacing):g} nm apart "
                "folds space: expected sd of at most a quarter of the spacing. Raise spacing or lower sd"
            )
        return self

    def draw(self, rng: np.random.Generator, size: Sequence[float]) -> tuple[npt.NDArray[np.float64], Point]:
        """Return control points (3, n, m, k) in nm, and what they are spread over.

        Parameters
        ----------
        rng
            Decides.
        size
            Extent of the patch along z, y, x in nm. The points keep their distance whatever it is,
            and reach over it where it is no multiple of that.
        """
        steps = [
            max(1, math.ceil(extent / step - 1e-9)) for extent, step in zip(size, self.spacing, strict=True)
        ]
        drawn = rng.standard_normal((3, *(count + 3 for count in steps))).clip(-_MOST, _MOST)
        scale = np.asarray(self.sd) / math.sqrt(_SPLINE_VARIANCE)
        z, y, x = (count * step for count, step in zip(steps, self.spacing, strict=True))
        return drawn * scale[:, None, None, None], (z, y, x)


class SpatialAugment(Component):
    """How patches are laid at random: mirrored, axes exchanged, turned and bent, in this order.

    All happens in the world, in nanometres, about the patch's centre: nothing is sheared where voxels
    are longer along z, and a patch keeps its shape, whatever part of the world it reads. A turn about
    z turns about the world's z, also where the patch's axes were exchanged before; so what the
    microscope's section plane is stays one. All arrays of a sample take the same pose.

    Mirrors, and exchanged axes of equal spacing, are exact copies. Turns and bends are interpolated
    once, as the patch is read, and cost more time.

    Examples
    --------
    >>> augment = SpatialAugment(mirror={"x": 1.0}, rotation={"z": 30}, transpose=())
    >>> augment.mirror, augment.rotation
    ((0.0, 0.0, 1.0), ((-30.0, 30.0), (0.0, 0.0), (0.0, 0.0)))
    >>> pose = augment.draw(np.random.default_rng(0), (512, 512, 512))
    >>> pose.flip, pose.permutation, -30 <= pose.rotation[0] <= 30
    ((False, False, True), (0, 1, 2), True)
    """

    mirror: tuple[Probability, Probability, Probability] = (0.5, 0.5, 0.5)
    """Probability of mirroring along z, y, x; or by axis, ``{"x": 0.5}``, the others never."""
    transpose: tuple[Axis, ...] = ("y", "x")
    """Axes of the patch that are exchanged at random among themselves; fewer than two: never."""
    rotation: tuple[Turn, Turn, Turn] = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    """Range of the turn about z, y, x in degrees, [low, high]; a number stands for plus or minus it,
    one number for all axes; or by axis, ``{"z": [-45, 45]}``, the others never."""
    elastic: Elastic | None = None
    """A smooth displacement, if there is to be any."""

    @field_validator("mirror", mode="before")
    @classmethod
    def _chances(cls, given: Any) -> Any:
        return _by_axis(given, 0.0)

    @field_validator("rotation", mode="before")
    @classmethod
    def _turns(cls, given: Any) -> Any:
        turns = (given,) * 3 if isinstance(given, int | float) else _by_axis(given, 0.0)
        if not isinstance(turns, list | tuple):
            return turns
        return tuple((0.0 - abs(t), abs(t)) if isinstance(t, int | float) else t for t in turns)

    @field_validator("rotation")
    @classmethod
    def _ordered(cls, turns: tuple[Turn, Turn, Turn]) -> tuple[Turn, Turn, Turn]:
        for axis, (low, high) in zip(AXES, turns, strict=True):
            if low > high:
                raise ValueError(f"{axis} from {low:g} to {high:g} degrees: expected the lower one first")
        return turns

    @field_validator("transpose")
    @classmethod
    def _each_once(cls, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        if len(set(axes)) != len(axes):
            raise ValueError(f"an axis stands twice in {list(axes)}: expected each at most once")
        return axes

    @property
    def is_axis_aligned(self) -> bool:
        """Whether every pose is a copy: nothing is turned or bent."""
        return self.elastic is None and not any(low or high for low, high in self.rotation)

    def draw(self, rng: np.random.Generator, size: Sequence[float]) -> Pose:
        """Return a random pose.

        Parameters
        ----------
        rng
            Decides, for instance ``rng_for(seed, "pose", epoch, index)``.
        size
            Extent of the largest patch of the sample along z, y, x in nm: how many control points a
            displacement needs.
        """
        # Everything is drawn always, so that switching one change off leaves the others as they were.
        flip_z, flip_y, flip_x = (rng.random(3) < self.mirror).tolist()
        places = rng.permutation(sorted(AXES.index(axis) for axis in self.transpose))
        z, y, x = (rng.random(3) * [high - low for low, high in self.rotation]).tolist()
        (lz, _), (ly, _), (lx, _) = self.rotation
        is_bent = self.elastic is not None and rng.random() < self.elastic.probability
        grid, span = self.elastic.draw(rng, size) if self.elastic and is_bent else (None, None)
        return Pose(
            flip=(flip_z, flip_y, flip_x),
            permutation=_placed(places.tolist()),
            rotation=(z + lz, y + ly, x + lx),
            displacement=grid,
            span=span,
        )


def _placed(places: list[int]) -> tuple[int, int, int]:
    """Return where each axis lies when the axes that may change places get these, in order."""
    chosen = iter(places)
    z, y, x = (next(chosen) if axis in places else axis for axis in range(3))
    return (z, y, x)


def _by_axis(given: Any, default: float) -> Any:
    """Return z, y, x of a mapping by axis; what is no such mapping is left to be refused."""
    if not isinstance(given, Mapping) or not set(given) <= set(AXES):
        return given
    return tuple(given.get(axis, default) for axis in AXES)
