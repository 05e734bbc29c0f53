"""What a dataset reads each of its arrays from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxloom.compat.cellmap_data.annotations import annotation_of
from voxloom.compat.cellmap_data.arrays import ArrayInfo, ArraySpec
from voxloom.compat.cellmap_data.base_dataset import Transform
from voxloom.compat.cellmap_data.empty_image import EmptyImage
from voxloom.compat.cellmap_data.image import CellMapImage
from voxloom.geometry import AXES
from voxloom.volumes.labels import Labels

__all__ = ["LabelSources", "raw_image", "transform_of", "witnesses_of"]

Relations = Mapping[str, Sequence[str]]


def raw_image(
    path: str, info: ArrayInfo, transform: Transform | None, *, axis_order: str = AXES
) -> CellMapImage:
    """Return the raw image at one shape and scale; outside of it is 0."""
    spec = ArraySpec.of(info, axis_order)
    scale, shape = [spec.scale[a] for a in spec.order], [spec.shape[a] for a in spec.order]
    image = CellMapImage(path, "raw", scale, shape, axis_order=spec.order, value_transform=transform)
    image.pad, image.pad_value, image.interpolation = True, 0, "linear"
    return image


@dataclass(frozen=True)
class LabelSources:
    """What the classes of a target array are read from.

    Attributes
    ----------
    labels
        What was annotated.
    relations
        For a class, those that no voxel of it belongs to.
    empty
        What stands for unknown.
    """

    labels: Labels
    relations: Relations
    empty: float

    def annotated(self, name: str, spec: ArraySpec) -> CellMapImage | None:
        """Return the image of a class; None where it was not annotated."""
        annotation = annotation_of(self.labels, name)
        if annotation is None:
            return None
        return CellMapImage.of_annotation(annotation, name, spec, pad=True, pad_value=self.empty)

    def source(self, name: str, spec: ArraySpec) -> CellMapImage | EmptyImage | list[str]:
        """Return the image of a class; the classes that tell about it; or an empty image."""
        if (image := self.annotated(name, spec)) is not None:
            return image
        others = [other for other in self.relations.get(name, ()) if other in self.labels.annotated]
        if others:
            return others
        scale, shape = [spec.scale[a] for a in spec.order], [spec.shape[a] for a in spec.order]
        return EmptyImage(name, scale, shape, axis_order=spec.order, empty_value=self.empty)

    def witnesses(self, classes: Sequence[str], spec: ArraySpec) -> dict[str, CellMapImage]:
        """Return the images of classes that are no target, but tell about targets."""
        found = {name: self.annotated(name, spec) for name in witnesses_of(classes, self.relations)}
        return {name: image for name, image in found.items() if image is not None}


def witnesses_of(classes: Sequence[str], relations: Relations) -> list[str]:
    """Return the classes that are no target, but tell about targets.

    Examples
    --------
    >>> witnesses_of(["mito", "er"], {"mito": ["er", "nucleus"]})
    ['nucleus']
    """
    related = [other for name in classes for other in relations.get(name, ())]
    return [name for name in dict.fromkeys(related) if name not in classes]


def transform_of(transforms: Any, name: str, place: int) -> Transform | None:
    """Return what is done to a class: of one for all, one each by name, or a list in their order."""
    if isinstance(transforms, Mapping):
        chosen: Transform | None = transforms.get(name)
        return chosen
    each: Transform | None = transforms[place] if isinstance(transforms, list | tuple) else transforms
    return each
