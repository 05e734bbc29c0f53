"""What a checkpoint can do for one who looks at latents: decode, walk a line, translate an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from voxloom.errors import CheckpointError, SchemaError
from voxloom.inference.encode import weights_digest
from voxloom.inference.image_encoder import ImageEncoder, patch_size
from voxloom.inference.trained import Trained
from voxloom.inference.translators import TRANSLATORS
from voxloom.models import Autoencoder
from voxloom.sample import Array, Field, Sample, Schema
from voxloom.transforms import Preparation

__all__ = ["LatentSpace", "Translation"]

Progress = Callable[[int, int], object]
Float32 = npt.NDArray[np.float32]

_TRANSLATE = ("ldm", "regression", "pix2pix")
_AT_ONCE = 16  # latents that are decoded together


@dataclass(frozen=True)
class LatentSpace:
    """The decoder of a checkpoint over posterior means, as `voxloom encode` writes them.

    Attributes
    ----------
    autoencoder
        The network, on the device where it shall compute.
    preparation
        Turns what is decoded back to the units of the files, where it can.
    shape
        Shape (C, h, w) of a latent.

    Examples
    --------
    >>> from voxloom.models import AutoencoderConfig
    >>> vae = AutoencoderConfig(channels=(8, 16), num_res_blocks=1, norm_num_groups=4).build().eval()
    >>> space = LatentSpace(vae, Preparation(), (4, 8, 8))
    >>> space.decode(np.zeros((2, 4, 8, 8), np.float32)).shape
    (2, 16, 16)
    """

    autoencoder: Autoencoder
    preparation: Preparation
    shape: tuple[int, ...]

    @classmethod
    def from_trained(cls, trained: Trained, device: torch.device | str | None = None) -> LatentSpace:
        """Take the decoder of a VAE's run or of a latent model's.

        Parameters
        ----------
        trained
            The checkpoint.
        device
            Where to compute; None leaves the network where it is.

        Raises
        ------
        CheckpointError
            When it has no autoencoder of images.
        """
        encoder = ImageEncoder.of(trained)
        if device is not None:
            encoder.autoencoder.to(device)
        return cls(encoder.autoencoder, encoder.preparation, encoder.shape)

    @property
    def weights(self) -> str:
        """Digest of the weights: that of ``facts["encoded"]["weights"]`` in a store of the same network."""
        return weights_digest(self.autoencoder)

    @torch.no_grad()
    def decode(self, mu: Array) -> Float32:
        """Return the images of latents.

        Parameters
        ----------
        mu
            Latents (n, C, h, w), or flattened (n, C*h*w).

        Returns
        -------
        array
            (n, H, W) in the units of the files, or normalised where the preparation cannot be turned
            back (`Preparation.is_invertible`).

        Raises
        ------
        SchemaError
            When they are of another shape.
        """
        latents = torch.from_numpy(np.ascontiguousarray(self._shaped(mu), np.float32))
        device = next(self.autoencoder.parameters()).device
        parts = [
            self.autoencoder.decode(latents[i : i + _AT_ONCE].to(device)).cpu().numpy()
            for i in range(0, len(latents), _AT_ONCE)
        ]
        return self.preparation.restore(np.concatenate(parts)[:, 0])

    def along(self, a: Array, b: Array, n: int) -> Float32:
        """Return the images of `n` latents evenly spaced on the straight line from `a` to `b`, both included.

        Parameters
        ----------
        a, b
            Two latents, (C, h, w) or flattened.
        n
            At least 2.

        Returns
        -------
        array
            (n, H, W), as `decode` gives them.
        """
        if n < 2:
            raise SchemaError(f"{n} steps from one latent to another: expected at least 2, its ends.")
        start, end = self._shaped(np.asarray(a)[None])[0], self._shaped(np.asarray(b)[None])[0]
        share = np.linspace(0, 1, n, dtype=np.float32)[:, None, None, None]
        return self.decode((1 - share) * start + share * end)

    def _shaped(self, mu: Array) -> Array:
        flat = int(np.prod(self.shape))
        if mu.ndim < 2 or not len(mu) or mu.shape[1:] not in (self.shape, (flat,)):
            raise SchemaError(
                f"latents of shape {mu.shape}: expected (n, {', '.join(map(str, self.shape))}) or "
                f"(n, {flat}). Decode with the checkpoint that encoded them."
            )
        return mu.reshape(-1, *self.shape)


@dataclass(frozen=True)
class Translation:
    """A trained translator of one image: of a latent model, a regression or pix2pix.

    Attributes
    ----------
    trained
        The checkpoint, on the device where it shall compute.
    preparation
        Resizing and normalisation, as in training.
    size
        Height and width that the network works at.
    is_random
        Whether several predictions of one image differ, so that they have a deviation.
    """

    trained: Trained
    preparation: Preparation
    size: tuple[int, int]
    is_random: bool

    @classmethod
    def from_trained(cls, trained: Trained, device: torch.device | str | None = None) -> Translation:
        """Take the translator of a checkpoint.

        Raises
        ------
        CheckpointError
            When it translates nothing, or volumes.
        """
        if trained.task not in _TRANSLATE:
            raise CheckpointError(
                f"{trained.path} is a checkpoint of task {trained.task!r}, which translates nothing: "
                f"expected one of {', '.join(_TRANSLATE)}."
            )
        size = patch_size(trained)
        if len(size) != 2:
            raise CheckpointError(
                f"{trained.path} translates volumes (patches of {' x '.join(map(str, size))}): expected a "
                "translator of images."
            )
        for model in trained.models.values() if device is not None else ():
            model.to(device)
        preparation = Preparation.model_validate(trained.config.get("preparation", {}))
        is_random = TRANSLATORS[trained.task](trained, seed=0, solver=None, steps=None).is_random
        return cls(trained, preparation, (size[0], size[1]), is_random)

    @torch.no_grad()
    def __call__(
        self,
        image: Array,
        key: str,
        samples: int = 1,
        *,
        seed: int = 42,
        progress: Progress | None = None,
    ) -> tuple[Float32, Float32 | None]:
        """Translate an image.

        Parameters
        ----------
        image
            (1, H, W), in the units of its file.
        key
            Its name: noise derives from the seed and the name, as for `voxloom predict`.
        samples
            Predictions to make; a translator that is not random makes one.
        seed
            From which all noise derives.
        progress
            Told (done, samples) after each prediction; what it raises ends the translation.

        Returns
        -------
        mean
            Mean of the predictions, (H, W) as the image has them, in the units of the files or normalised
            as `Preparation.restore` tells.
        deviation
            Their standard deviation (H, W) in the same units; None with one prediction.
        """
        translator = TRANSLATORS[self.trained.task](self.trained, seed=seed, solver=None, steps=None)
        prepared = self._prepared(image, key)
        count = samples if self.is_random else 1
        drawn = []
        for number in range(count):
            drawn.append(translator(prepared, [key], number).cpu().numpy()[0])
            if progress is not None:
                progress(number + 1, count)
        mean, height_width = np.mean(drawn, axis=0), (int(image.shape[-2]), int(image.shape[-1]))
        back = self.preparation.restore(self._at_size(mean, height_width))
        return back[0], self._deviation(drawn, height_width) if count > 1 else None

    def _prepared(self, image: Array, key: str) -> torch.Tensor:
        sample = Sample(key, Schema([Field(name="condition")]), {"condition": image.astype(np.float32)})
        prepared = self.preparation.transform(self.size)(sample, np.random.default_rng(0))
        device = next(next(iter(self.trained.models.values())).parameters()).device
        return torch.from_numpy(prepared["condition"][None]).to(device)

    def _deviation(self, drawn: list[Array], size: tuple[int, int]) -> Float32:
        # A deviation has no offset: what zero is turned into is taken off again.
        deviation = self._at_size(np.std(drawn, axis=0), size)
        restored = self.preparation.restore(deviation) - self.preparation.restore(np.zeros_like(deviation))
        return np.asarray(restored[0], np.float32)

    def _at_size(self, array: Array, size: tuple[int, int]) -> Any:
        return self.preparation.resize(self.size).invert(array, size)
