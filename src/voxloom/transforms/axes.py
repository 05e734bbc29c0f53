"""Where rows, columns and channels stand in an array: by the letters of its axes, never by a guess."""

from __future__ import annotations

from typing import Literal

import numpy as np

from voxloom.errors import SchemaError
from voxloom.sample import Array, Field, Sample
from voxloom.transforms.transform import Transform, chosen_fields

__all__ = ["ChannelsFirst", "yx_back", "yx_last"]


class ChannelsFirst(Transform):
    """Bring images, masks and latents to channels, rows, columns (cyx), as networks read them.

    Channels that stand last (yxc) come first, as a view of the same memory; what has none (yx) gets
    one. What is cyx already, or has axes before that (vcyx), stays as it is.

    Raises
    ------
    SchemaError
        If a field has other axes.

    Examples
    --------
    >>> from voxloom.sample import Schema
    >>> schema = Schema([Field(name="image", axes="yxc", dtype="uint8", shape=(4, 6, 3))])
    >>> sample = Sample("a", schema, {"image": np.zeros((4, 6, 3), np.uint8)})
    >>> after = ChannelsFirst()(sample, np.random.default_rng())
    >>> after["image"].shape, after.schema["image"].axes, after.schema["image"].shape
    ((3, 4, 6), 'cyx', (3, 4, 6))
    """

    name: Literal["channels_first"] = "channels_first"
    """Name in the table of transforms."""
    fields: tuple[str, ...] | None = None
    """Fields to change; None for all images, masks and latents."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Return the sample with channels first; values and types stay."""
        names = chosen_fields(sample, ("image", "mask", "latent"), self.fields)
        others = [name for name in names if not sample.schema[name].axes.endswith("cyx")]
        arrays = {name: _channels_first(sample[name], sample.schema[name]) for name in others}
        changed = (_with_channels_first(sample.schema[name]) for name in others)
        return sample.with_arrays(arrays, sample.schema.replace(*changed))


def _channels_first(array: Array, field: Field) -> Array:
    if field.axes not in ("yx", "yxc"):
        raise SchemaError(
            f"field {field.name!r} has axes {field.axes!r}: expected yx, yxc or cyx. "
            "Take it out of the transform's fields."
        )
    _check_axes(array, field.axes, field.name)
    return array[np.newaxis] if field.axes == "yx" else np.moveaxis(array, -1, 0)


def _with_channels_first(field: Field) -> Field:
    shape = field.shape
    if shape is not None:
        shape = (1, *shape) if field.axes == "yx" else (shape[-1], *shape[:-1])
    return field.model_copy(update={"axes": "cyx", "shape": shape})


def yx_last(array: Array, axes: str, *, name: str) -> Array:
    """Return an array with rows and columns as its last two axes, without a copy.

    Parameters
    ----------
    array
        One axis a letter of `axes`.
    axes
        For instance ``yxc``.
    name
        The field's, for errors.

    Raises
    ------
    SchemaError
        If there is not one y and one x, or the array has another number of axes.

    Examples
    --------
    >>> yx_last(np.zeros((4, 6, 3)), "yxc", name="image").shape
    (3, 4, 6)
    """
    _check_axes(array, axes, name)
    if axes.count("y") != 1 or axes.count("x") != 1:
        raise SchemaError(
            f"field {name!r} has axes {axes!r}: expected one y and one x. "
            "Take it out of the transform's fields."
        )
    return array if axes.endswith("yx") else np.moveaxis(array, (axes.index("y"), axes.index("x")), (-2, -1))


def yx_back(array: Array, axes: str) -> Array:
    """Return an array from `yx_last`, or one made of it, in the order of its own axes.

    Examples
    --------
    >>> yx_back(np.zeros((3, 4, 6)), "yxc").shape
    (4, 6, 3)
    """
    if axes.endswith("yx"):
        return array
    return np.ascontiguousarray(np.moveaxis(array, (-2, -1), (axes.index("y"), axes.index("x"))))


def _check_axes(array: Array, axes: str, name: str) -> None:
    if array.ndim != len(axes):
        raise SchemaError(
            f"field {name!r} has axes {axes!r} and an array of shape {array.shape}: expected one axis "
            "a letter. Mend the axes in the schema of its source."
        )
