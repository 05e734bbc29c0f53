"""The critic of patches for adversarial training: MONAI's PatchDiscriminator, plain logits.

Shapes: B batch, C channels, H, W of the image, in 3D with the depth before them; the logits have one value
for each overlapping patch.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from voxloom.errors import SchemaError
from voxloom.models.model import ModelConfig

__all__ = ["Discriminator", "DiscriminatorConfig"]


class DiscriminatorConfig(ModelConfig):
    """Settings of `Discriminator`; names and parameter names are those of MONAI's PatchDiscriminator.

    Examples
    --------
    >>> DiscriminatorConfig().num_layers_d
    3
    """

    spatial_dims: Literal[2, 3] = 2
    """Number of spatial axes."""
    in_channels: int = Field(default=1, ge=1)
    """Channels of what is judged; for pix2pix those of the condition and the image together."""
    channels: int = Field(default=32, ge=1)
    """Channels of the first convolution; each layer doubles them."""
    num_layers_d: int = Field(default=3, ge=1)
    """Convolutions between the first and the last: all but the last of them halve every spatial axis."""
    norm: Literal["INSTANCE", "BATCH"] = "INSTANCE"
    """Normalisation; with BATCH the verdict on an image depends on its neighbours in the batch."""

    def build(self) -> Discriminator:
        """Build the network, freshly initialised."""
        return Discriminator(self)


class Discriminator(nn.Module):
    """Image -> features of each layer, the last being one logit a patch (Isola et al. 2017, section 3.2.2).

    Parameters
    ----------
    config
        Its settings.

    Attributes
    ----------
    net
        MONAI's PatchDiscriminator, with MONAI's parameter names.

    Examples
    --------
    >>> features = DiscriminatorConfig(channels=8).build()(torch.zeros(2, 1, 64, 64))
    >>> len(features), tuple(features[-1].shape)
    (5, (2, 1, 6, 6))
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        from monai.networks.nets import PatchDiscriminator  # costs seconds

        self.config = config
        self.net = PatchDiscriminator(**config.model_dump())

    def check_size(self, *size: int) -> None:
        """Check that an image of this size leaves at least one logit.

        Raises
        ------
        SchemaError
            When the image is too small.
        """
        least = 3 * 2**self.config.num_layers_d
        if min(size) < least:
            axes = "height x width" if len(size) == 2 else "depth x height x width"
            raise SchemaError(
                f"a discriminator of {self.config.num_layers_d} layers got {axes} "
                f"{' x '.join(map(str, size))}: expected at least {least} each. "
                "Use larger images, or a smaller num_layers_d."
            )

    def forward(self, x_BCHW: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of each layer; the last are plain logits, float32 (B, 1, rows, columns).

        Raises
        ------
        SchemaError
            When the image is too small.
        """
        self.check_size(*x_BCHW.shape[2:])
        *features, logits = self.net(x_BCHW)
        return [*features, logits.float()]
