"""A trained VAE or translator as a callable over tiles of a volume, in the volume's own values."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from voxloom.errors import CheckpointError
from voxloom.geometry import PatchSpec, Point
from voxloom.inference.encode import weights_digest
from voxloom.inference.trained import Trained
from voxloom.inference.translators import TRANSLATORS, Translator
from voxloom.inference.volume_model import Planes, VolumeModel
from voxloom.transforms import Preparation, RangeNormalize

__all__ = ["MADE", "TranslatedTiles", "translation_model"]

MADE = {"vae": "reconstruction", "ldm": "translation", "regression": "translation", "pix2pix": "translation"}
"""What each task makes of a volume: the name of the output's channel."""


class TranslatedTiles(nn.Module):
    """A translator over tiles in the values of a volume: scaled before, and back afterwards.

    A random translator draws the same noise for each tile, so that neither their number nor their order
    changes a prediction.

    Parameters
    ----------
    translator
        Turns scaled images (B, 1, H, W) or (B, 1, D, H, W) into others.
    scale
        The values that become -1 and 1.

    Examples
    --------
    >>> class Same:
    ...     def __call__(self, image, keys, sample=0):
    ...         return image
    >>> tiles = TranslatedTiles(Same(), RangeNormalize(low=0, high=255))
    >>> tiles(torch.full((1, 1, 4, 4), 51.0)).mean().round().item()
    51.0
    """

    def __init__(self, translator: Translator, scale: RangeNormalize) -> None:
        super().__init__()
        self.translator = translator
        self.low, self.width = scale.low, (scale.high - scale.low) / 2

    def forward(self, tiles: Tensor) -> Tensor:
        """Return what the translator makes of tiles, in their own values."""
        made = self.translator((tiles - self.low) / self.width - 1, ["tile"] * len(tiles))
        return (made.float() + 1) * self.width + self.low


def translation_model(
    trained: Trained,
    spacing: Point,
    *,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    how: dict[str, Any] | None = None,
) -> VolumeModel:
    """Return what a checkpoint of a VAE, a latent model, a regression or pix2pix does to tiles of a volume.

    Parameters
    ----------
    trained
        The checkpoint.
    spacing
        Of the tiles along z, y, x in nm, where the training knew none: it was on images.
    device, precision
        Where and how exactly it computes; the checkpoint's networks are there already. None: the CPU.
    how
        Seed, solver and steps of a latent model; None for those of the training.

    Returns
    -------
    VolumeModel
        With the patch it was trained with. A network of planes sees plane by plane.

    Raises
    ------
    CheckpointError
        If the checkpoint is of another task, or was trained on images that were scaled one by one: no
        values lead back from there.
    """
    scale = _scale(trained)
    given: dict[str, Any] = {"seed": 42, "solver": None, "steps": None, **(how or {})}
    translator = cast(Translator, TRANSLATORS[trained.task](trained, **given))
    spec = _patch(trained, spacing)
    network: nn.Module = TranslatedTiles(translator, scale)
    if (thin := _axis(trained)) is not None:
        network = Planes(network, axis=thin)
    weights = " ".join(f"{name} {weights_digest(each)}" for name, each in sorted(trained.models.items()))
    told = translator.describe()
    return VolumeModel(
        network.eval(),
        spec,
        (MADE[trained.task],),
        device=device or torch.device("cpu"),
        precision=precision,
        digest=f"{weights} of {scale.low} to {scale.high} {told or ''}".strip(),
    )


def _scale(trained: Trained) -> RangeNormalize:
    if trained.task not in MADE:
        raise CheckpointError(
            f"{trained.path} is a checkpoint of task {trained.task!r}: expected one of {', '.join(MADE)}. "
            f"Use: voxloom predict {trained.task} --checkpoint {trained.path}"
        )
    scale = Preparation.model_validate(trained.config.get("preparation", {})).normalization
    if not isinstance(scale, RangeNormalize):
        raise CheckpointError(
            f"{trained.path} was trained with preparation.normalization {scale.name!r}, which scales each "
            "image by itself: tiles would not fit together. Expected 'range'; train it on volumes, or with "
            "--set 'preparation.normalization={name: range, low: 0, high: 255}'."
        )
    return scale


def _patch(trained: Trained, spacing: Point) -> PatchSpec:
    data = trained.config.get("volume_data") or {}
    size = list(_size(trained))
    if (thin := _axis(trained)) is not None:
        size.insert(thin, 1)
    z, y, x = size
    return PatchSpec(shape=(z, y, x), spacing=data.get("spacing") or spacing)


def _axis(trained: Trained) -> int | None:
    """Return the axis that planes lie across, None for a network of volumes."""
    if len(_size(trained)) == 3:
        return None
    return "zyx".index((trained.config.get("volume_data") or {}).get("axis", "z"))


def _size(trained: Trained) -> tuple[int, ...]:
    sections = {"vae": "autoencoder_train", "ldm": "diffusion_train"}
    section = sections.get(trained.task, f"{trained.task}_train")
    return tuple(trained.config[section]["patch_size"])
