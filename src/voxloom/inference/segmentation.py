"""A trained segmenter as a callable over tiles of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from voxloom.errors import CheckpointError
from voxloom.geometry import PatchSpec
from voxloom.inference.encode import weights_digest
from voxloom.inference.trained import Trained
from voxloom.inference.volume_model import BACKGROUND, Planes, VolumeModel
from voxloom.transforms import PatchValues

__all__ = ["channels_of", "seen_beyond", "segmentation_model"]


class _Scaled(nn.Module):
    """A network behind the scaling of values that it was trained with; each image is scaled by itself."""

    def __init__(self, network: nn.Module, values: PatchValues, channels: Sequence[int]) -> None:
        super().__init__()
        self.network, self.scaling, self.channels = network, values.scaling(), list(channels)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return logits of (B, C, z, y, x)."""
        scaled = [self.scaling(image) for image in torch.split(tiles, self.channels, dim=1)]
        made: Tensor = self.network(torch.cat(scaled, dim=1))
        return made


def segmentation_model(
    trained: Trained, *, device: torch.device, precision: torch.dtype | None
) -> VolumeModel:
    """Return what a checkpoint of ``voxloom train segmentation`` does to tiles.

    Parameters
    ----------
    trained
        The checkpoint.
    device, precision
        Where and how exactly it computes.

    Returns
    -------
    VolumeModel
        With the patch it was trained with, the classes, and a background before them where they
        exclude each other.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another task.
    """
    facts, data = _facts(trained)
    specs = [PatchSpec.model_validate(data["inputs"][name]) for name in facts["inputs"]]
    segmenter = trained.models["segmenter"]
    network: nn.Module = _Scaled(segmenter, PatchValues.model_validate(facts["values"]), channels_of(trained))
    if trained.configs["segmenter"]["spatial_dims"] == 2:
        network = Planes(network, axis=specs[0].shape.index(1))
    classes = tuple(facts["classes"])
    model = VolumeModel(
        network.to(device).eval(),
        specs[0],
        (BACKGROUND, *classes) if facts["exclusive"] else classes,
        wider=tuple(specs[1:]),
        activation="softmax" if facts["exclusive"] else "sigmoid",
        device=device,
        precision=precision,
    )
    scaling = PatchValues.model_validate(facts["values"]).model_dump(mode="json", exclude={"augment"})
    return replace(model, digest=f"{weights_digest(segmenter)} scaled by {scaling}")


def channels_of(trained: Trained) -> tuple[int, ...]:
    """Return how many channels each input of a segmenter has."""
    names, told = trained.facts["inputs"], trained.facts.get("channels_of", {})
    alike = int(trained.configs["segmenter"]["in_channels"]) // len(names)
    return tuple(told.get(name, alike) for name in names)


def seen_beyond(trained: Trained) -> dict[str, Any]:
    """Return how the training laid its patches, as `TiledOptions` has it.

    What the network saw around what it was told about is its context; what lies outside a volume is
    found as in training.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another task.
    """
    _, data = _facts(trained)
    read = next(iter(data["inputs"].values()))["shape"]
    told = (data.get("target") or {"shape": read})["shape"]
    context = tuple((r - t) // 2 for r, t in zip(read, told, strict=True))
    outside = data.get("outside", "pad")
    return {
        "context": context,
        "interpolation": data.get("interpolation", "linear"),
        "outside": "mirror" if outside == "refuse" else outside,
        "fill": data.get("fill", 0),
    }


def _facts(trained: Trained) -> tuple[dict[str, Any], dict[str, Any]]:
    data = trained.config.get("segmentation_data")
    if trained.task != "segmentation" or not data:
        raise CheckpointError(
            f"{trained.path} is a checkpoint of task {trained.task!r}: expected one of 'segmentation'. Use: "
            f"voxloom predict {trained.task} --checkpoint {trained.path}"
        )
    return trained.facts, data
