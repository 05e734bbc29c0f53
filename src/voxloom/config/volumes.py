"""What a configuration says about volumes whose slices or patches a VAE or a translation is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from voxloom.component import Component
from voxloom.config.patches import PathOrUrl, SplitEntry
from voxloom.errors import ConfigError
from voxloom.geometry import AXES, PatchSpec
from voxloom.transforms import SpatialAugment

__all__ = ["VolumeData"]

Positive = Annotated[int, Setting(gt=0)]
Length = Annotated[float, Setting(gt=0)]


class VolumeData(Component):
    """Volumes in the place of folders of images. Values are brought from one range, the same for all of
    every volume, to [-1, 1]: `preparation.normalization` of the kind ``range``, or as the volumes have it.

    Examples
    --------
    >>> VolumeData(spacing=(8, 4, 4)).spec((64, 64), (40, 4, 4)).shape
    (1, 64, 64)
    """

    split: PathOrUrl | Mapping[str, tuple[SplitEntry, ...]] | None = None
    """Path or URL of a CSV (split, raw; for pairs split, condition as raw, target as gt), or the same
    here: {"train": [{"raw": path}], "validate": [...]}, for pairs with {"raw": {"condition": path,
    "target": path}}.
    null: `data_base_dir` is a volume, or holds one named as each side; its far end validates."""
    spacing: tuple[Length, Length, Length] | None = None
    """Distance of a patch's voxels along z, y, x in nm; null: that of the first volume's finest level."""
    axis: Literal["z", "y", "x"] = "z"
    """The axis that 2D patches lie across."""
    channels: Mapping[str, str | int] = {}
    """Which channel of its volume each field is, by name or number: {"condition": "dapi", "target": 1},
    or {"image": 0} for a VAE. A field that is not named takes a volume of one channel."""
    length: Positive = 1000
    """Patches drawn in an epoch; for a latent model, the most patches that are encoded, evenly spread."""
    validation_patches: Positive | None = 64
    """Most patches that a validation reads, evenly spread; null: tiles that cover all of it."""
    augment: bool | SpatialAugment = False
    """Random mirrors, exchanged axes, turns and bends of the patches to learn from; a latent model takes
    `augment` instead."""
    outside: Literal["pad", "mirror", "refuse"] = "mirror"
    """What a patch holds where it stands out of its volume."""
    fill: float = 0.0
    """What "pad" pads with, before values are scaled."""
    interpolation: Literal["linear", "cubic", "nearest"] = "linear"
    """Between voxels, where a patch is of another spacing than the volume, or turned."""
    unit: str | None = None
    """Unit of volumes whose metadata tell none, for instance "nanometer"."""
    on_error: Literal["raise", "skip"] = "raise"
    """What to do with a volume of a split that cannot be read: stop, or leave it out and tell."""

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        unknown = sorted(set(self.channels) - {"image", "condition", "target"})
        if unknown:
            raise ValueError(f"channels of {unknown[0]!r}: expected those of image, condition or target")
        return self

    def spec(self, size: tuple[int, ...], spacing: tuple[float, float, float]) -> PatchSpec:
        """Return the patch of a size (y, x), across `axis`, or (z, y, x).

        Parameters
        ----------
        size
            Voxels.
        spacing
            Taken where none is stated.
        """
        shape = list(size)
        if len(shape) == len(AXES) - 1:
            shape.insert(AXES.index(self.axis), 1)
        z, y, x = shape
        return PatchSpec(shape=(z, y, x), spacing=self.spacing or spacing)

    @property
    def augmentation(self) -> SpatialAugment | None:
        """How patches are laid at random, if they are."""
        if isinstance(self.augment, SpatialAugment):
            return self.augment
        return SpatialAugment() if self.augment else None

    def refuse_augment(self, *, is_latent: bool, of_images: bool) -> None:
        """Refuse an augmentation that another kind of data takes.

        Raises
        ------
        ConfigError
            If there is one.
        """
        if is_latent and self.augment:
            raise ConfigError(
                "volume_data.augment: latents are encoded once, of patches as they lie. Set augment, which "
                "changes them before they are encoded."
            )
        if of_images and not is_latent:
            raise ConfigError(
                "augment: it changes images of folders and stores. Set volume_data.augment for patches of "
                "volumes."
            )
