"""One dataset of a split: raw volumes, and what was annotated in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voxloom.errors import SchemaError, VolumeMetadataError
from voxloom.geometry import Box
from voxloom.registry import did_you_mean
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Labels
from voxloom.volumes.units import differ_as_units
from voxloom.volumes.volume import Volume

__all__ = ["Dataset", "check_dataset", "span"]


@dataclass(frozen=True)
class Dataset:
    """One row of a split, opened.

    Attributes
    ----------
    name
        What it is called in keys and messages.
    raw
        The volume of each input.
    labels
        What was annotated; None where nothing was.
    """

    name: str
    raw: Mapping[str, Volume]
    labels: Labels | None = None


def check_dataset(dataset: Dataset, classes: Classes | None = None) -> None:
    """Complain about what could never train: labels elsewhere than raw, or of fractions, or of no class.

    Raises
    ------
    SchemaError
        If labels are no integers, or none of the classes is annotated.
    VolumeMetadataError
        If raw and labels share no volume, or their voxels differ as units do.
    """
    if dataset.labels is None:
        return
    for volume in dataset.labels.volumes:
        if volume.dtype.kind not in "iub":
            raise SchemaError(
                f"labels {volume.path} hold {volume.dtype}: expected integers, ids or 0 and 1. For fractions "
                "decide first what belongs to the class, as in (values > 0.5).astype('uint8')."
            )
        for raw in dataset.raw.values():
            if raw.bounding_box & volume.bounding_box is None:
                raise VolumeMetadataError(_apart(raw, volume))
            one, other = raw.levels[0].grid.spacing, volume.levels[0].grid.spacing
            if differ_as_units(one, other):
                raise VolumeMetadataError(
                    f"{raw.path} has voxels of {one} nm, its labels {volume.path} of {other} nm: expected "
                    "sizes that have to do with each other. One of them probably states a wrong unit; "
                    "mend its metadata, or open that volume with spacing=(z, y, x)"
                )
    if classes is not None:  # last: another type says more
        _check_classes(dataset.labels, classes)


def _check_classes(labels: Labels, classes: Classes) -> None:
    there = sorted(labels.annotated)
    if set(there) & set(classes.all_names):
        return
    told = f", which tell about {', '.join(there)}" if there else ""
    nameless = [each.volume.path for each in labels.annotations if each.is_nameless]
    how = (
        f" {nameless[0]} names no classes, so its values above 0 are one class that is called as the volume "
        "is. Name what its values mean in its image-label metadata, or give each class a volume of its own "
        "and write gt.zarr/[first,second] in the split."
        if nameless
        else ""
    )
    raise SchemaError(
        f"none of the classes {', '.join(classes.all_names)} is annotated in its labels{told}."
        f"{did_you_mean(classes.names[0], there)}{how}"
    )


def _apart(raw: Volume, labels: Volume) -> str:
    one, other = raw.bounding_box, labels.bounding_box
    return (
        f"{raw.path} and its labels {labels.path} share no volume: raw lies in {span(one)}, labels in "
        f"{span(other)} (z, y, x, nm). Look at the translations and units of both."
    )


def span(box: Box) -> str:
    """Return where a box lies, for messages."""
    return " x ".join(f"{low:.10g} to {high:.10g}" for low, high in zip(box.low, box.high, strict=True))
