"""The judgement of other libraries on the OME-Zarr that we write: yaozarrs, ome-zarr-models, zarr-python."""

from __future__ import annotations

import os
from typing import Any

import pydantic_zarr.v2
import zarr
from ome_zarr_models import v04, v05
from yaozarrs import validate_zarr_store

__all__ = ["check_ngff"]


def check_ngff(path: str | os.PathLike[str], *, version: str = "0.5", is_labels: bool = False) -> Any:
    """Let others validate an image, or a label image; return it as zarr-python's group.

    Raises
    ------
    ValueError
        If one of them finds fault: pydantic's ValidationError is one, and so are theirs.
    """
    validate_zarr_store(os.fspath(path))
    group = zarr.open_group(os.fspath(path), mode="r")
    if version == "0.5":
        (v05.ImageLabel if is_labels else v05.Image).from_zarr(group)
        return group
    model = v04.ImageLabel if is_labels else v04.Image
    # their annotations name types that some versions of pydantic do not find by themselves
    for named in (model, v04.Labels):
        named.model_rebuild(_types_namespace=vars(pydantic_zarr.v2))
    model.from_zarr(group)
    return group
