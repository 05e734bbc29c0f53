"""What a configuration says about patches of volumes: where they come from and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, field_validator, model_validator
from pydantic import Field as Setting

from voxloom.component import Component
from voxloom.geometry import AXES, PatchSpec
from voxloom.transforms import PatchValues, SpatialAugment
from voxloom.volumes.classes import Classes

__all__ = ["Drawing", "PathOrUrl", "SegmentationData", "SplitEntry"]

Positive = Annotated[int, Setting(gt=0)]


def _path_or_url(given: Any) -> Any:
    return Path(given) if isinstance(given, str) and "://" not in given else given


PathOrUrl = Annotated[Path | str, BeforeValidator(_path_or_url)]
"""A URL stays as it is: a path would make one slash of two."""


class SplitEntry(Component):
    """A raw volume and what was annotated in it."""

    raw: str | Mapping[str, str]
    """Path of the volume, or of one for each input by name."""
    gt: str | tuple[str, ...] | None = None
    """Path of the labels, the classes in brackets where each has a volume of its own:
    ``crop.zarr/labels/[mito,er]``; or several paths; null where nothing was
    annotated."""


class Drawing(Component):
    """Where patches to learn from lie, and how many an epoch has."""

    kind: Literal["random", "balanced"] = "random"
    """Each place equally often, or each class equally often: around a voxel of it."""
    length: Positive = 1000
    """Blocks drawn in an epoch, of all processes together; each gives `crops_per_block` patches."""
    weights: Mapping[str, Annotated[float, Setting(ge=0)]] = {}
    """How often each dataset comes, by its name; one that is not named counts 1. Nothing: for
    "random" as often as it is large, for "balanced" equally often."""
    crops_per_block: Positive = 1
    """Patches cut of one block that is read: above 1 reading is faster, and patches that follow each
    other lie near each other. With several processes, make the batch size a multiple of it."""
    spread: tuple[Positive, Positive, Positive] = (64, 64, 64)
    """Within so many voxels along z, y, x lie the patches of a block."""


class SegmentationData(Component):
    """Volumes, patches and classes of a segmentation."""

    split: PathOrUrl | Mapping[str, tuple[SplitEntry, ...]]
    """Path or URL of a CSV (split, raw, gt), or the same here:
    {"train": [{"raw": path, "gt": path}], "validate": [...]}."""
    inputs: Mapping[str, PatchSpec]
    """The patch of each image that the network sees, by name. All have one shape; their channels come
    one after the other."""
    target: PatchSpec | None = None
    """The patch of the labels, of the inputs' spacing: what is predicted may be smaller than what is
    seen. null: that of the first input."""
    classes: Classes
    """What is told apart, and how it relates; a list of names will do."""
    drawing: Drawing = Drawing()
    """Where patches to learn from lie."""
    validation_patches: Positive | None = None
    """Most patches that a validation reads, evenly spread; null: tiles that cover all of it."""
    augment: bool | SpatialAugment = False
    """Random mirrors, exchanged axes, turns and bends of the patches to learn from."""
    values: PatchValues = PatchValues()
    """How values are scaled, and changed at random."""
    outside: Literal["pad", "mirror", "refuse"] = "pad"
    """What an image holds where a patch stands out of its volume. Labels are unknown there."""
    fill: float = 0.0
    """What "pad" pads with, before values are scaled."""
    interpolation: Literal["linear", "cubic", "nearest"] = "linear"
    """Between the voxels of an image; labels take the nearest."""
    unit: str | None = None
    """Unit of volumes whose metadata tell none, for instance "nanometer"."""
    on_error: Literal["raise", "skip"] = "raise"
    """What to do with a dataset that cannot be read: stop with its row, or leave it out and tell."""

    @field_validator("classes", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        return {"names": given} if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.inputs:
            raise ValueError("inputs: none; expected the patch of at least one image")
        shapes = {name: spec.shape for name, spec in self.inputs.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(
                f"inputs of different shapes {shapes}: expected one shape, since the network sees them side "
                "by side. Their spacings may differ"
            )
        spec, target = self.spec, self.target_spec
        if spec.spacing != target.spacing or any(
            t > s for t, s in zip(target.shape, spec.shape, strict=True)
        ):
            raise ValueError(
                f"target {target.shape} of {target.spacing} nm for inputs {spec.shape} of {spec.spacing} nm: "
                "expected the same spacing, and at most as many voxels"
            )
        if self.dims < 2 or [n > 1 for n in spec.shape] != [n > 1 for n in target.shape]:
            raise ValueError(
                f"inputs {spec.shape} and target {target.shape}: expected 2 or 3 axes of more than one "
                "voxel, the same in both"
            )
        _refuse_odd(spec.shape, target.shape)
        return self

    @property
    def spec(self) -> PatchSpec:
        """The patch of the first input."""
        return next(iter(self.inputs.values()))

    @property
    def target_spec(self) -> PatchSpec:
        """The patch of the labels."""
        return self.target or self.spec

    @property
    def dims(self) -> int:
        """Axes of a patch that have more than one voxel."""
        return sum(n > 1 for n in self.spec.shape)

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels of a patch as the network sees it: without the axes of one voxel."""
        return tuple(n for n in self.spec.shape if n > 1)

    @property
    def augmentation(self) -> SpatialAugment | None:
        """How patches are laid at random, if they are."""
        if isinstance(self.augment, SpatialAugment):
            return self.augment
        return SpatialAugment() if self.augment else None


def _refuse_odd(read: Sequence[int], told: Sequence[int]) -> None:
    """Refuse a target that cannot lie in the middle of what is seen: its labels would be shifted."""
    for axis, n, t in zip(AXES, read, told, strict=True):
        if (n - t) % 2:
            raise ValueError(
                f"target {tuple(told)} in inputs {tuple(read)}: an odd number of voxels less along {axis}, "
                f"so it would lie half a voxel aside of the image. Take {t - 1} or {t + 1} along {axis}"
            )
