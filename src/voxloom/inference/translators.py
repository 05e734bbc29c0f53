"""What a trained model does to an image, behind one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from torch import Tensor

from voxloom.diffusion import Generator, process_from
from voxloom.inference.trained import Trained
from voxloom.models import Autoencoder, LatentScale
from voxloom.registry import Registry

__all__ = ["TRANSLATORS", "DirectTranslator", "LatentTranslator", "Reconstructor", "Translator"]


class Translator(Protocol):
    """Turn prepared images into predictions of the same size.

    Attributes
    ----------
    is_random
        Whether several predictions of one image differ.
    """

    is_random: bool

    def __call__(self, image_BCHW: Tensor, keys: Sequence[str], sample: int = 0) -> Tensor:
        """Return the prediction for each image.

        Parameters
        ----------
        image_BCHW
            Prepared images on the model's device.
        keys
            Their names: noise derives from the seed, the name and `sample` alone, so that neither
            batch size nor order changes a prediction.
        sample
            Which of several predictions of the same image.
        """

    def describe(self) -> dict[str, Any]:
        """Return what a reader of the predictions needs to know: solver, steps, seed."""


class Reconstructor:
    """Encode to the posterior's mean and decode: what the VAE keeps of an image."""

    is_random = False

    def __init__(self, trained: Trained, *, seed: int, solver: str | None, steps: int | None) -> None:  # noqa: ARG002
        self._autoencoder = cast(Autoencoder, trained.models["autoencoder"])

    def __call__(self, image_BCHW: Tensor, keys: Sequence[str], sample: int = 0) -> Tensor:  # noqa: ARG002
        """Return the reconstructions."""
        mu, _ = self._autoencoder.encode(image_BCHW)
        return self._autoencoder.decode(mu).float()

    def describe(self) -> dict[str, Any]:
        """Return nothing: there is nothing to choose."""
        return {}


class DirectTranslator:
    """One pass through a network: regression and pix2pix."""

    is_random = False

    def __init__(self, trained: Trained, *, seed: int, solver: str | None, steps: int | None) -> None:  # noqa: ARG002
        self._network = trained.models["translator"]

    def __call__(self, image_BCHW: Tensor, keys: Sequence[str], sample: int = 0) -> Tensor:  # noqa: ARG002
        """Return the translations."""
        out: Tensor = self._network(image_BCHW)
        return out.float()

    def describe(self) -> dict[str, Any]:
        """Return nothing: there is nothing to choose."""
        return {}


class LatentTranslator:
    """Encode the condition, solve from noise (or from the condition) to the target, decode."""

    def __init__(self, trained: Trained, *, seed: int, solver: str | None, steps: int | None) -> None:
        defaults = trained.config.get("sampling", {})
        self._generate = Generator(
            process_from(trained.facts["process"]),
            solver or defaults.get("solver"),
            steps or defaults.get("steps", 20),
        )
        self.is_random = self._generate.process.is_random
        self._scale = LatentScale.model_validate(trained.facts["latent_scale"])
        self._seed = seed
        self._autoencoder = cast(Autoencoder, trained.models["autoencoder"])
        self._denoiser = trained.models["denoiser"]
        self._solver_name = self._generate.solver_name  # an unknown one is refused before anything is read

    def __call__(self, image_BCHW: Tensor, keys: Sequence[str], sample: int = 0) -> Tensor:
        """Return one translation of each image."""
        mu, _ = self._autoencoder.encode(image_BCHW)
        condition = self._scale.normalise(mu)
        z0 = self._generate(self._denoiser, condition, keys, self._seed, sample)
        return self._autoencoder.decode(self._scale.restore(z0)).float()

    def describe(self) -> dict[str, Any]:
        """Return solver, steps and seed."""
        return {"solver": self._solver_name, "num_steps": self._generate.num_steps, "seed": self._seed}


TRANSLATORS = Registry(
    "translator",
    {
        "vae": "voxloom.inference.translators:Reconstructor",
        "ldm": "voxloom.inference.translators:LatentTranslator",
        "regression": "voxloom.inference.translators:DirectTranslator",
        "pix2pix": "voxloom.inference.translators:DirectTranslator",
    },
)
"""Task -> class with the signature ``(trained, *, seed, solver, steps)``."""
