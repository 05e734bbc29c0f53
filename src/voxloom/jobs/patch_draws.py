"""One patch of a volume under the poses and the changes of values that a training would draw."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from voxloom.config import Config
from voxloom.geometry import AXES, Pose
from voxloom.jobs.objectives import Material
from voxloom.sample import Sample, Schema
from voxloom.seeding import rng_for
from voxloom.sources.locations import Location, Locations
from voxloom.sources.patches import KNOWN, PatchSource
from voxloom.transforms.values import Values, generators_for

__all__ = ["Drawn", "patch_draws"]


@dataclass(frozen=True)
class Drawn:
    """One state of a sample: its title, what was drawn, and the arrays."""

    title: str
    told: str
    sample: Sample


class _Held(Locations):
    """The places of the first epoch, in each epoch: then only the pose differs."""

    def __init__(self, locations: Locations) -> None:
        self.locations = locations

    def __len__(self) -> int:
        return len(self.locations)

    def draw(self, epoch: int, index: int) -> Location:  # noqa: ARG002
        return self.locations.draw(0, index)


def patch_draws(
    config: Config, material: Material, source: PatchSource, index: int, *, draws: int
) -> Iterator[Drawn]:
    """Return a patch as it lies, as it is prepared, and as the first epochs would see it.

    Parameters
    ----------
    config
        Its seed decides.
    material
        What happens to the patches.
    source
        The patches to learn from.
    index
        Which of them.
    draws
        How many epochs.
    """
    plain = _held(source, is_posed=False)[index]
    yield Drawn("as it lies", "", _with_ids(plain))
    yield Drawn("prepared", "", _with_ids(_prepared(plain, config, material, index, None)))
    if not _is_random(source, material):
        return
    held = _held(source, is_posed=True)
    for epoch in range(draws):
        at = held.at_epoch(epoch)
        words = [_told(at.pose(index)), *(["values drawn"] if _has_values(material) else [])]
        moved = _prepared(at[index], config, material, index, epoch)
        yield Drawn(f"draw {epoch}", ", ".join(filter(None, words)) or "as it lies", _with_ids(moved))


def _held(source: PatchSource, *, is_posed: bool) -> PatchSource:
    """Return the source with the places of the first epoch, with its poses or without."""
    kept: dict[str, object] = {"keep_blocks": 0} | ({} if is_posed else {"augment": None})
    held = copy.copy(source)
    held.locations = _Held(source.locations)
    held.options = source.options.model_copy(update=kept)
    return held


def _has_values(material: Material) -> bool:
    return material.patches is not None and material.patches.values.augment is not None


def _is_random(source: PatchSource, material: Material) -> bool:
    steps = material.train_transform
    return source.options.augment is not None or _has_values(material) or (steps is not None and steps.random)


def _prepared(sample: Sample, config: Config, material: Material, index: int, epoch: int | None) -> Sample:
    """Return a sample after what a training does in an epoch, or after what it does always."""
    steps = material.validation_transform if epoch is None else material.train_transform
    if steps is not None:
        sample = steps(sample, rng_for(config.seed, "transform", epoch or 0, index))
    patches = material.patches
    if patches is None:
        return sample
    dims = sum(axis in AXES for axis in sample.schema[patches.inputs[0]].axes)
    values = patches.values.scaling() if epoch is None else patches.values.training(dims=dims)
    changed = {
        name: _valued(values, sample[name], (config.seed, name), epoch, index) for name in patches.inputs
    }
    fields = [sample.schema[name].model_copy(update={"dtype": "float32"}) for name in changed]
    return sample.with_arrays(changed, sample.schema.replace(*fields))


def _valued(
    values: Values, array: np.ndarray, key: tuple[int, str], epoch: int | None, index: int
) -> np.ndarray:
    seed, name = key
    generators = None if epoch is None else generators_for(seed, "values", name, epoch=epoch, indices=[index])
    return np.asarray(values(torch.from_numpy(array)[None], generators)[0].float())


def _with_ids(sample: Sample) -> Sample:
    """Return a sample whose bits of classes are ids, the first class of several in a voxel."""
    names = [name for name in sample.schema if name + KNOWN in sample.schema]
    kept = [field for field in sample.schema.values() if not field.name.endswith(KNOWN)]
    arrays = {field.name: sample[field.name] for field in kept}
    fields = []
    for field in kept:
        if field.name in names:
            bits = sample[field.name]
            ids = np.zeros(bits.shape, np.int32)
            for place in reversed(range(len(field.categories))):
                ids[bits >> place & 1 == 1] = place + 1
            arrays[field.name] = ids
            field = field.model_copy(update={"dtype": "int32", "categories": ("none", *field.categories)})
        fields.append(field)
    return Sample(sample.key, Schema(fields), arrays)


def _told(pose: Pose) -> str:
    """Name what a pose does."""
    words = [f"flip {axis}" for axis, flipped in zip(AXES, pose.flip, strict=True) if flipped]
    if pose.permutation != (0, 1, 2):
        words.append(f"axes {' '.join(AXES[axis] for axis in pose.permutation)}")
    turns = zip(AXES, pose.rotation, strict=True)
    words += [f"{angle:.0f}° about {axis}" for axis, angle in turns if abs(angle) >= 0.5]
    return ", ".join([*words, *(["bent"] if pose.displacement is not None else [])])
