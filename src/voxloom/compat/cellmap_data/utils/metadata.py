"""OME-NGFF 0.4 metadata as dictionaries, and the level of a volume for a scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from voxloom.atomic import write_json
from voxloom.volumes.volume import Volume

__all__ = [
    "add_multiscale_metadata_levels",
    "create_multiscale_metadata",
    "find_level",
    "generate_base_multiscales_metadata",
    "write_metadata",
]

Attributes = dict[str, Any]


def generate_base_multiscales_metadata(
    ds_name: str,
    scale_level: int,
    voxel_size: Sequence[float],
    translation: Sequence[float],
    units: str | Sequence[str],
    axes: Sequence[str],
) -> Attributes:
    """Return the attributes of an image with one level.

    Parameters
    ----------
    ds_name
        Name of the image.
    scale_level
        Number of the level: its path is ``s<number>``.
    voxel_size, translation
        Of the level along each axis: the centre of voxel 0 lies at the translation.
    units
        One for all axes, or one each.
    axes
        Their names, all of space.

    Examples
    --------
    >>> told = generate_base_multiscales_metadata("mito", 0, [8, 4, 4], [0, 0, 0], "nanometer", list("zyx"))
    >>> told["multiscales"][0]["datasets"][0]["path"]
    's0'
    """
    each = [units] * len(axes) if isinstance(units, str) else list(units)
    named = [{"name": n, "type": "space", "unit": u} for n, u in zip(axes, each, strict=True)]
    image = {
        "axes": named,
        "coordinateTransformations": [{"type": "scale", "scale": [1.0] * len(axes)}],
        "datasets": [_dataset(scale_level, voxel_size, translation)],
        "name": ds_name,
        "version": "0.4",
    }
    return {"multiscales": [image]}


def add_multiscale_metadata_levels(
    multsc: Attributes, base_scale_level: int, levels_to_add: int
) -> Attributes:
    """Add coarser levels, each twice the one before, and return the attributes.

    Parameters
    ----------
    multsc
        The attributes; they are changed in place.
    base_scale_level
        Number of the level that is there.
    levels_to_add
        How many more: a voxel of each is the mean of a block of 2 x 2 x 2, and its centre lies in
        the middle of the block.

    Examples
    --------
    >>> told = create_multiscale_metadata("mito", [8], [0], "nanometer", ["z"], levels_to_add=2)
    >>> for level in told["multiscales"][0]["datasets"]:
    ...     print(level["path"], *(list(t.values())[1] for t in level["coordinateTransformations"]))
    s0 [8] [0]
    s1 [16] [4.0]
    s2 [32] [12.0]
    """
    datasets = multsc["multiscales"][0]["datasets"]
    scale, translation = (
        list(transform[transform["type"]]) for transform in datasets[0]["coordinateTransformations"]
    )
    for step in range(1, levels_to_add + 1):
        moved = [t + (2**step - 1) / 2 * s for t, s in zip(translation, scale, strict=True)]
        datasets.append(_dataset(base_scale_level + step, [s * 2**step for s in scale], moved))
    return multsc


def create_multiscale_metadata(
    ds_name: str,
    voxel_size: Sequence[float],
    translation: Sequence[float],
    units: str | Sequence[str],
    axes: Sequence[str],
    base_scale_level: int = 0,
    levels_to_add: int = 0,
    out_path: str | PathLike[str] | None = None,
) -> Attributes:
    """Return the attributes of an image with some levels; see the two functions above.

    Parameters
    ----------
    out_path
        A group to write them to as well; None to write nothing.
    """
    attributes = generate_base_multiscales_metadata(
        ds_name, base_scale_level, voxel_size, translation, units, axes
    )
    add_multiscale_metadata_levels(attributes, base_scale_level, levels_to_add)
    if out_path is not None:
        write_metadata(attributes, out_path)
    return attributes


def write_metadata(z_attrs: Attributes, out_path: str | PathLike[str]) -> None:
    """Write attributes as the ``.zattrs`` of a group.

    Raises
    ------
    SaveError
        If it could not be written.
    """
    write_json(Path(out_path) / ".zattrs", z_attrs)


def find_level(path: str | PathLike[str], target_scale: Mapping[str, float]) -> str:
    """Return the path of the coarsest level that is at least as fine as asked, below its image.

    Parameters
    ----------
    path
        Of the image.
    target_scale
        nm by axis.

    Raises
    ------
    MissingDataError
        If there is no image.
    """
    volume = Volume.open(path, unit="nanometer")
    return volume.levels[volume.level_for([target_scale[axis] for axis in "zyx"])].path


def _dataset(level: int, scale: Sequence[float], translation: Sequence[float]) -> Attributes:
    transforms = [
        {"type": "scale", "scale": list(scale)},
        {"type": "translation", "translation": list(translation)},
    ]
    return {"path": f"s{level}", "coordinateTransformations": transforms}
