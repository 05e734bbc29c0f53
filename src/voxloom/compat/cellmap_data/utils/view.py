"""Links to neuroglancer for what a sample shows."""

from __future__ import annotations

import json
import re
import webbrowser
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from voxloom.volumes.volume import Volume

__all__ = ["get_neuroglancer_link", "open_neuroglancer"]

_VIEWER = "https://neuroglancer-demo.appspot.com/#!"
_BUCKET = "s3://janelia-cosem-datasets"
_DATASET = re.compile(r"(?:^|/)([\w.-]+)/\1\.zarr(/.*)?$")


def get_neuroglancer_link(metadata: Mapping[str, Any]) -> str:
    """Return a link that shows a sample's raw data and labels, at its centre.

    Parameters
    ----------
    metadata
        As an item's ``__metadata__`` has it: ``raw_path``, and where there are ``target_path_str``
        with ``{label}``, ``class_weights`` by class, and ``current_center`` in nm by axis. A local
        copy ``<dataset>/<dataset>.zarr`` is looked up in Janelia's public bucket; another local path
        is named as it is, and needs a server.

    Examples
    --------
    >>> from urllib.parse import unquote
    >>> link = get_neuroglancer_link({"raw_path": "/d/jrc_hela-2/jrc_hela-2.zarr/recon-1/em/fibsem-uint8"})
    >>> "zarr://s3://janelia-cosem-datasets/jrc_hela-2/jrc_hela-2.zarr/recon-1" in unquote(link)
    True
    """
    layers = [{"type": "image", "name": "raw", "source": _source(metadata["raw_path"])}]
    template = metadata.get("target_path_str") or ""
    for name in metadata.get("class_weights") or {} if template else ():
        source = _source(template.replace("{label}", name))
        layers.append({"type": "segmentation", "name": name, "source": source})
    state: dict[str, Any] = {
        "dimensions": {axis: [1e-9, "m"] for axis in "xyz"},
        "crossSectionScale": 1,
        "layers": layers,
        "layout": "4panel",
    }
    if center := metadata.get("current_center"):
        state["position"] = [float(center[axis]) for axis in "xyz"]
    return _VIEWER + quote(json.dumps(state, separators=(",", ":")))


def open_neuroglancer(metadata: Mapping[str, Any]) -> str:
    """Open the link of `get_neuroglancer_link` in a browser, and return it."""
    link = get_neuroglancer_link(metadata)
    webbrowser.open(link)
    return link


def get_multiscale_voxel_sizes(path: str) -> dict[str, list[float]]:
    """Return the voxel size of each level, z, y, x in nm, by the level's path."""
    volume = Volume.open(path, unit="nanometer")
    return {level.path: list(level.grid.spacing) for level in volume.levels}


def _source(path: str) -> str:
    path = str(path).rstrip("/")
    found = _DATASET.search(path)
    if "://" not in path and found:
        path = f"{_BUCKET}/{found[1]}/{found[1]}.zarr{found[2] or ''}"
    return f"zarr://{path}"
