"""The older spatial transforms as our augmentation, and as one pose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info

from voxloom.errors import ConfigError
from voxloom.geometry import AXES, Pose
from voxloom.registry import did_you_mean
from voxloom.sample import Array
from voxloom.transforms.pose import SpatialAugment

__all__ = ["SpatialTransforms", "augment_of", "pose_of", "restored", "rng_of", "state_of", "told"]

SpatialTransforms = Mapping[str, Any]
"""For instance ``{"mirror": {"axes": {"x": 0.5}}, "rotate": {"axes": {"z": [-30, 30]}}}``."""

_KNOWN = ("mirror", "rotate", "transpose")


def augment_of(transforms: SpatialTransforms | None) -> SpatialAugment | None:
    """Return the augmentation that a script describes; None for none.

    Raises
    ------
    ConfigError
        A ValueError; for a transform or an axis that is not known.

    Examples
    --------
    >>> augment = augment_of({"mirror": {"axes": {"x": 0.5}}, "rotate": {"axes": {"z": [-30, 30]}}})
    >>> augment.mirror, augment.rotation[0], augment.transpose
    ((0.0, 0.0, 0.5), (-30.0, 30.0), ())
    """
    if not transforms:
        return None
    for name in transforms:
        if name not in _KNOWN:
            raise ConfigError(
                f"spatial transform {name!r}: expected some of {', '.join(_KNOWN)}."
                f"{did_you_mean(name, _KNOWN)}"
            )
    axes = {name: _axes(name, transforms.get(name)) for name in _KNOWN}
    transposed = tuple(axis for axis, wanted in axes["transpose"].items() if wanted)
    turns = {axis: _turn(given) for axis, given in axes["rotate"].items()}
    try:
        return SpatialAugment(
            mirror={axis: float(p) for axis, p in axes["mirror"].items()},  # type: ignore[arg-type]
            transpose=transposed if len(transposed) > 1 else (),  # type: ignore[arg-type]
            rotation=turns,  # type: ignore[arg-type]
        )
    except ValueError as error:  # pydantic's
        raise ConfigError(f"spatial_transforms {dict(transforms)}: {error}") from error


def _axes(name: str, given: Any) -> dict[str, Any]:
    """Return what is said by axis, from any way to say it: by axis, a list of axes, or True for all."""
    axes = given["axes"] if isinstance(given, Mapping) and "axes" in given else given
    if not axes:
        return {}
    if axes is True:
        axes = dict.fromkeys(AXES, 0.5 if name == "mirror" else True)
    elif not isinstance(axes, Mapping):
        axes = dict.fromkeys(axes, True)
    wrong = [axis for axis in axes if axis not in AXES]
    if wrong:
        raise ConfigError(f"{name} of axes {', '.join(map(str, wrong))}: expected z, y and x")
    return dict(axes)


def _turn(given: Any) -> tuple[float, float]:
    if isinstance(given, int | float):
        return (-abs(float(given)), abs(float(given)))
    low, high = given
    return (float(low), float(high))


def pose_of(transforms: SpatialTransforms | Pose | None) -> Pose:
    """Return the one pose that is described: each axis mirrored or not, one angle an axis.

    Examples
    --------
    >>> pose_of({"mirror": ["x"], "rotate": {"z": 90}}).rotation
    (90.0, 0.0, 0.0)
    """
    if isinstance(transforms, Pose):
        return transforms
    by_name = {name: _given(transforms, name) for name in _KNOWN}
    mirrored, turned, places = by_name["mirror"], by_name["rotate"], by_name["transpose"]
    flip_z, flip_y, flip_x = (bool(mirrored.get(axis)) for axis in AXES)
    z, y, x = (float(turned.get(axis, 0.0)) for axis in AXES)
    to_z, to_y, to_x = (int(places.get(axis, k)) for k, axis in enumerate(AXES))
    return Pose(flip=(flip_z, flip_y, flip_x), permutation=(to_z, to_y, to_x), rotation=(z, y, x))


def _given(transforms: SpatialTransforms | None, name: str) -> dict[str, Any]:
    return _axes(name, (transforms or {}).get(name))


def told(pose: Pose) -> dict[str, Any] | None:
    """Return a pose as `pose_of` takes it, for the metadata of an item; None for none.

    Examples
    --------
    >>> told(Pose(flip=(False, False, True)))
    {'mirror': ['x']}
    """
    said: dict[str, Any] = {}
    if any(pose.flip):
        said["mirror"] = [axis for axis, flipped in zip(AXES, pose.flip, strict=True) if flipped]
    if any(pose.rotation):
        said["rotate"] = dict(zip(AXES, pose.rotation, strict=True))
    if pose.permutation != (0, 1, 2):
        said["transpose"] = dict(zip(AXES, pose.permutation, strict=True))
    return said or None


def rng_of(generator: torch.Generator | None = None) -> np.random.Generator:
    """Return a generator of numpy that follows from torch's, which is drawn from once.

    In a process of a loader that is torch's global one: that process has a copy of `generator`, and so
    has each other one.
    """
    if get_worker_info() is not None:
        generator = None
    return np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))


def state_of(generator: torch.Generator | None) -> Array | None:
    """Return what `restored` makes the same generator of: torch cannot send one to another process.

    Examples
    --------
    >>> restored(state_of(torch.Generator().manual_seed(3))).initial_seed()
    3
    """
    return None if generator is None else generator.get_state().numpy()


def restored(state: Array | None) -> torch.Generator | None:
    """Return the generator of a state."""
    return None if state is None else torch.Generator().set_state(torch.from_numpy(state))
