"""Whether a volume is like what a network learned from: its channels, their type, and what they are."""

from __future__ import annotations

import logging

from voxloom.errors import ConfigError
from voxloom.inference.segmentation import channels_of
from voxloom.inference.trained import Trained
from voxloom.transforms import PatchValues
from voxloom.volumes import Volume

__all__ = ["check_input"]

logger = logging.getLogger(__name__)


def check_input(raw: Volume, trained: Trained, *, name: str | None = None, any_type: bool = False) -> None:
    """Complain about a volume whose values a segmenter cannot know.

    Parameters
    ----------
    raw
        What is to be predicted, with the channels that are shown to the network.
    trained
        The checkpoint.
    name
        Of the input; None for the first, or for all if they are of one volume.
    any_type
        Whether labels, and values of another type, are meant.

    Raises
    ------
    ConfigError
        If channels are missing or too many, or the values are of another type.
    """
    name = name or trained.facts["inputs"][0]
    _check_channels(raw, trained, name)
    if not any_type:
        _check_type(raw, trained, name)
    _tell_flat(raw, trained)


def _check_channels(raw: Volume, trained: Trained, name: str) -> None:
    expected = dict(zip(trained.facts["inputs"], channels_of(trained), strict=True))[name]
    if len(raw.channels) != expected:
        raise ConfigError(
            f"{raw.path} has {len(raw.channels)} channels ({', '.join(raw.channels)}): the network expects "
            f"{expected}. Choose them with channels (--channel NAME)."
        )


def _check_type(raw: Volume, trained: Trained, name: str) -> None:
    """Refuse other numbers than those that the scaling of values was made for."""
    if raw.is_labels:
        raise ConfigError(
            f"{raw.path} is a label image of {raw.dtype}: the network learned from intensities. Expected an "
            "image as --input; where these labels are meant, add any_type=True (--any-type)."
        )
    values = PatchValues.model_validate(trained.facts["values"])
    learned = trained.facts.get("dtypes", {}).get(name)
    given = raw.dtype.newbyteorder("=").name
    if values.percentiles is None and learned and given != learned:
        raise ConfigError(
            f"{raw.path} holds {given}, and the network learned from {learned}, shifted "
            f"by {values.shift:g} and multiplied by {values.scale:g}: other values mean other things to it. "
            "Write a copy whose values are of that type and range, or, if they span that range as they are, "
            "add any_type=True (--any-type). A network that was trained with "
            "segmentation_data.values.percentiles takes any type."
        )


def _tell_flat(raw: Volume, trained: Trained) -> None:
    """Warn of one plane in the place of a volume: the network sees it mirrored again and again."""
    shape = raw.levels[0].grid.shape
    patch = trained.config["segmentation_data"]["inputs"][trained.facts["inputs"][0]]["shape"]
    if any(given == 1 < learned for given, learned in zip(shape, patch, strict=True)):
        told = " x ".join(map(str, shape))
        logger.warning(
            "%s has %s voxels (z, y, x), and the network learned from %s: it was made for volumes, and a "
            "plane is mirrored to fill its tiles. Expect less of the result, or train on planes (shape "
            "[1, y, x]).",
            raw.path, told, " x ".join(map(str, patch)),
        )  # fmt: skip
