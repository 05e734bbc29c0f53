"""The first half of a VAE with the preparation that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from voxloom.errors import CheckpointError
from voxloom.inference.encode import weights_digest
from voxloom.inference.trained import Trained
from voxloom.models import Autoencoder
from voxloom.models.perceptual import PerceptualDistance
from voxloom.sample import Array, Field
from voxloom.sources import ReadPolicy
from voxloom.sources.decode import Color
from voxloom.transforms import Preparation

__all__ = ["ImageEncoder", "patch_size"]

FORMAT_VERSION = 1
"""Counts changes of how latents come about, so that older ones are not taken for them."""

_SECTIONS = {"vae": "autoencoder_train", "ldm": "diffusion_train"}


@dataclass(frozen=True)
class ImageEncoder:
    """What a checkpoint does to an image before its decoder: resize, normalise, encode.

    Attributes
    ----------
    autoencoder
        The network, on its device.
    preparation
        Resizing and normalisation, as in training.
    size
        Height and width that the network works at.
    policy
        What the training did with colour, several pages, NaN and blank images.
    perceptual
        A network whose features of the prepared images are kept beside the latents; None for none.
    """

    autoencoder: Autoencoder
    preparation: Preparation
    size: tuple[int, int]
    policy: ReadPolicy
    perceptual: PerceptualDistance | None = None

    @classmethod
    def of(cls, trained: Trained) -> ImageEncoder:
        """Take the autoencoder of a checkpoint, of a VAE's run or of a latent model's.

        Raises
        ------
        CheckpointError
            When it has none, or one of volumes or of several channels.
        """
        autoencoder = trained.models.get("autoencoder")
        if not isinstance(autoencoder, Autoencoder):
            raise CheckpointError(
                f"{trained.path} is a checkpoint of task {trained.task!r}, which has no autoencoder: "
                "expected one of `voxloom train vae` or `voxloom train ldm`."
            )
        size, config = patch_size(trained), autoencoder.config
        if config.spatial_dims != 2 or len(size) != 2:
            raise CheckpointError(
                f"{trained.path} has an autoencoder of volumes (patches of {' x '.join(map(str, size))}): "
                "expected one of images. Train one with patch_size of two numbers."
            )
        if config.in_channels != 1:
            raise CheckpointError(
                f"{trained.path} has an autoencoder of {config.in_channels} channels: expected 1."
            )
        autoencoder.check_size(*size)
        preparation = Preparation.model_validate(trained.config.get("preparation", {}))
        policy = ReadPolicy.model_validate(trained.config.get("read", {}))
        return cls(autoencoder, preparation, (size[0], size[1]), policy)

    def reading(self, color: Color | None) -> ImageEncoder:
        """Return an encoder that takes images of several channels so; None for itself."""
        if color is None:
            return self
        return replace(self, policy=self.policy.model_copy(update={"color": color}))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.autoencoder.parameters()).device

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (C, h, w) of a latent."""
        return self.autoencoder.config.latent_shape(*self.size)

    @torch.no_grad()
    def __call__(self, image_BCHW: torch.Tensor) -> tuple[Array, Array]:
        """Return mean and standard deviation of the posterior of prepared images, float32 (B, C, h, w)."""
        mu, logvar = self.autoencoder.encode(image_BCHW.to(self.device))
        return mu.cpu().numpy(), (0.5 * logvar).exp().cpu().numpy()

    def fields(self, image: str) -> list[Field]:
        """Return the fields that an image field becomes."""
        made = [
            Field(name=f"{image}_{part}", kind="latent", axes="cyx", shape=self.shape)
            for part in ("mu", "sigma")
        ]
        if self.perceptual is not None:
            shape = (self.perceptual.width,)
            made.append(Field(name=f"{image}_features", kind="latent", axes="c", shape=shape))
        return made

    @torch.no_grad()
    def arrays(self, image: str, image_BCHW: torch.Tensor) -> dict[str, Array]:
        """Return those fields of prepared images, each (B, *shape)."""
        mu, sigma = self(image_BCHW)
        arrays = {f"{image}_mu": mu, f"{image}_sigma": sigma}
        if self.perceptual is not None:
            pooled = self.perceptual.pooled(image_BCHW.to(self.device))
            arrays[f"{image}_features"] = pooled.cpu().numpy()
        return arrays

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All that decides what it makes of an image, as plain values."""
        seen = {} if self.perceptual is None else {"features": weights_digest(self.perceptual)}
        return {
            "format": FORMAT_VERSION,
            "weights": weights_digest(self.autoencoder),
            "autoencoder": self.autoencoder.config.model_dump(mode="json"),
            "preparation": self.preparation.model_dump(mode="json"),
            "size": list(self.size),
            "read": self.policy.model_dump(mode="json"),
            **seen,
        }


def patch_size(trained: Trained) -> tuple[int, ...]:
    """Return the size that the networks of a checkpoint work at: height and width, in 3D depth first."""
    section = _SECTIONS.get(trained.task, f"{trained.task}_train")
    return tuple(int(extent) for extent in trained.config[section]["patch_size"])
