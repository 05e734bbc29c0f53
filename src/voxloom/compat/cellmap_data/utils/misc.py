"""What the older library asks of shapes, types and paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import torch

from voxloom.compat.cellmap_data.utils.sampling import min_redundant_inds
from voxloom.errors import SchemaError
from voxloom.volumes.labels import split_path

__all__ = [
    "array_has_singleton_dim",
    "expand_scale",
    "get_sliced_shape",
    "is_array_2D",
    "longest_common_substring",
    "min_redundant_inds",
    "permute_singleton_dimension",
    "split_target_path",
    "torch_max_value",
]

ArrayInfo = Mapping[str, Any]
"""One array's ``shape`` and ``scale``, or several of these by name."""


def torch_max_value(dtype: torch.dtype) -> int:
    """Return the value of a type that means white: the largest integer, and 1 for others.

    Examples
    --------
    >>> torch_max_value(torch.uint8), torch_max_value(torch.float32), torch_max_value(torch.bool)
    (255, 1, 1)
    """
    if dtype.is_floating_point or dtype.is_complex or dtype is torch.bool:
        return 1
    return torch.iinfo(dtype).max


def longest_common_substring(a: str, b: str) -> str:
    """Return the longest text that stands in both.

    Examples
    --------
    >>> longest_common_substring("jrc_cos7-1a", "my_cos7-2")
    '_cos7-'
    """
    match = SequenceMatcher(None, a, b, autojunk=False).find_longest_match()
    return a[match.a : match.a + match.size]


def split_target_path(path: str) -> tuple[str, list[str]]:
    """Return the path with ``{label}`` in the place of the class, and the classes that it names.

    Parameters
    ----------
    path
        ``"crop1/[mito,er]"``: one group a class. Without brackets, that of one class.

    Examples
    --------
    >>> split_target_path("labels/crop1/[mito, er]/raw")
    ('labels/crop1/{label}/raw', ['mito', 'er'])
    >>> split_target_path("labels/crop1/mito")
    ('labels/crop1/mito', ['mito'])
    """
    template, names = split_path(str(path))
    return template, list(names) or [template.rstrip("/").replace("\\", "/").rpartition("/")[2]]


def is_array_2D(  # noqa: N802 - the older name
    array_info: ArrayInfo | None, summary: Callable[[Iterable[bool]], bool] | None = None
) -> bool | dict[str, bool]:
    """Return whether a shape has two axes.

    Parameters
    ----------
    array_info
        One array, or several by name; None for no array.
    summary
        Makes one answer of several, for instance ``any``; None for an answer each.

    Examples
    --------
    >>> arrays = {"raw": {"shape": (4, 4)}, "labels": {"shape": (1, 4, 4)}}
    >>> is_array_2D(arrays["raw"]), is_array_2D(arrays), is_array_2D(arrays, summary=any)
    (True, {'raw': True, 'labels': False}, True)
    """
    if array_info is None:
        return False
    if "shape" in array_info:
        return len(array_info["shape"]) == 2
    answers = {name: len(info["shape"]) == 2 for name, info in array_info.items()}
    return answers if summary is None else summary(answers.values())


def array_has_singleton_dim(array_info: ArrayInfo | None, summary: bool = True) -> bool | dict[str, bool]:
    """Return whether a shape has an axis of one voxel.

    Parameters
    ----------
    array_info
        One array, or several by name; None for no array.
    summary
        Whether one such array among several is enough for one answer.

    Examples
    --------
    >>> array_has_singleton_dim({"raw": {"shape": (4, 4, 4)}, "labels": {"shape": (1, 4, 4)}})
    True
    """
    if array_info is None:
        return False
    if "shape" in array_info:
        return 1 in array_info["shape"]
    answers = {name: 1 in info["shape"] for name, info in array_info.items()}
    return any(answers.values()) if summary else answers


def get_sliced_shape(shape: Sequence[int], axis: int) -> list[int]:
    """Return a shape with three axes whose one voxel lies along `axis`.

    Examples
    --------
    >>> get_sliced_shape((4, 5), 1), get_sliced_shape((1, 4, 5), 2)
    ([4, 1, 5], [4, 5, 1])
    """
    sides = list(shape)
    if len(sides) == 3:
        if 1 not in sides:
            raise SchemaError(f"shape {tuple(shape)}: expected two axes, or three with one voxel on one")
        sides.remove(1)
    sides.insert(axis, 1)
    return sides


def expand_scale(scale: Sequence[float]) -> list[float]:
    """Return three voxel sizes: of two, the first one stands for the axis that is not there.

    Examples
    --------
    >>> expand_scale((4, 8))
    [4, 4, 8]
    """
    return [scale[0], *scale] if len(scale) == 2 else list(scale)


def permute_singleton_dimension(arr_dict: dict[str, Any], axis: int) -> None:
    """Lay 2D arrays across another axis, in place.

    Parameters
    ----------
    arr_dict
        One array, or several by name. Those with neither two axes nor an axis of one voxel stay.
    axis
        Where the axis of one voxel is to be.

    Examples
    --------
    >>> arrays = {"raw": {"shape": (1, 4, 5), "scale": (8, 8, 8)}}
    >>> permute_singleton_dimension(arrays, 1)
    >>> arrays
    {'raw': {'shape': [4, 1, 5], 'scale': [8, 8, 8]}}
    """
    for info in [arr_dict] if "shape" in arr_dict else arr_dict.values():
        if len(info["shape"]) == 2 or 1 in info["shape"]:
            info["shape"] = get_sliced_shape(info["shape"], axis)
            info["scale"] = expand_scale(info["scale"])
