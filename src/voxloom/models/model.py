"""The table of models, and the way from settings to a configuration to a network."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from voxloom.component import Component
from voxloom.errors import ConfigError, SchemaError
from voxloom.registry import Registry
from voxloom.seeding import stable_hash

__all__ = [
    "MODELS",
    "ModelConfig",
    "build_model",
    "check_divisible",
    "check_groups",
    "config_from",
    "per_level",
    "settings_of",
]

MODELS = Registry(
    "model",
    {
        "autoencoder_kl": "voxloom.models.autoencoder:AutoencoderConfig",
        "diffusion_unet": "voxloom.models.denoiser:DenoiserConfig",
        "patch_discriminator": "voxloom.models.discriminator:DiscriminatorConfig",
        "segmenter": "voxloom.models.segmenter:SegmenterConfig",
        "unet": "voxloom.models.unet:UNetConfig",
    },
)
"""Name -> configuration class."""


class ModelConfig(Component):
    """A frozen configuration that builds its network; the network keeps it as `config`."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the network, freshly initialised from torch's global generator."""


def config_from(settings: Mapping[str, Any]) -> ModelConfig:
    """Build a configuration from plain settings, as a checkpoint or a file holds them.

    Parameters
    ----------
    settings
        `model`, a name of `MODELS`, and the fields of its configuration.

    Raises
    ------
    UnknownNameError
        When `model` is missing or no name of the table.
    pydantic.ValidationError
        When a field is unknown, out of range, or at odds with another.

    Examples
    --------
    >>> config_from({"model": "unet", "channels": [16, 32]}).channels
    (16, 32)
    """
    fields = dict(settings)
    config: ModelConfig = MODELS[fields.pop("model", "")].model_validate(fields)
    return config


def settings_of(config: ModelConfig) -> dict[str, Any]:
    """Return the plain settings that `config_from` reads.

    Raises
    ------
    ConfigError
        When the configuration's class stands in no table.

    Examples
    --------
    >>> from voxloom.models import UNetConfig
    >>> settings = settings_of(UNetConfig(channels=(16, 32)))
    >>> settings["model"], settings["channels"]
    ('unet', [16, 32])
    """
    for name in MODELS:
        if MODELS[name] is type(config):
            return {"model": name, **config.model_dump(mode="json")}
    raise ConfigError(
        f"{type(config).__name__} stands in no table of models: expected the configuration of one of "
        f"{', '.join(MODELS)}. Add it under the entry-point group voxloom.models."
    )


def build_model(config: ModelConfig | Mapping[str, Any], *, seed: int) -> nn.Module:
    """Build a model whose initial weights follow from the seed; no global generator is touched.

    Parameters
    ----------
    config
        A configuration, or settings for `config_from`.
    seed
        The same seed and configuration give the same weights, bit for bit.

    Examples
    --------
    >>> a, b = (build_model({"model": "unet", "channels": [8, 16]}, seed=1) for _ in range(2))
    >>> all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    True
    """
    built = config if isinstance(config, ModelConfig) else config_from(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stable_hash(seed, "weights", type(built).__name__) % 2**63)
        return built.build()


def per_level(value: int | Sequence[int], channels: Sequence[int], name: str) -> tuple[int, ...]:
    """Return one value a level: an integer counts for all.

    Raises
    ------
    ConfigError
        When there are not as many values as levels.

    Examples
    --------
    >>> per_level(2, (32, 64, 128), "num_res_blocks")
    (2, 2, 2)
    """
    if isinstance(value, int):
        return (value,) * len(channels)
    if len(value) != len(channels):
        raise ConfigError(
            f"{name} has {len(value)} values {list(value)}: expected one for each of the {len(channels)} "
            f"levels in channels {list(channels)}, or a single value for all."
        )
    return tuple(value)


def check_groups(channels: Sequence[int], num_groups: int) -> None:
    """Check that the groups of a normalisation divide the channels of every level.

    Raises
    ------
    ConfigError
        When they do not.

    Examples
    --------
    >>> check_groups((64, 100), 32)
    Traceback (most recent call last):
    voxloom.errors.ConfigError: norm_num_groups 32 does not divide channels [64, 100]:
    expected a divisor of each. 4 would do.
    """
    if any(count % num_groups for count in channels):
        raise ConfigError(
            f"norm_num_groups {num_groups} does not divide channels {list(channels)}: expected a divisor of "
            f"each. {math.gcd(num_groups, *channels)} would do."
        )


def check_divisible(size: Sequence[int], divisor: int, what: str) -> None:
    """Check that height and width, in 3D the depth too, can be halved as often as a network does.

    Raises
    ------
    SchemaError
        When one of them is no multiple of the divisor.

    Examples
    --------
    >>> check_divisible((64, 64), 4, "an autoencoder of 3 levels")
    >>> check_divisible((64, 50), 4, "an autoencoder of 3 levels")
    Traceback (most recent call last):
    voxloom.errors.SchemaError: an autoencoder of 3 levels got height x width 64 x 50:
    expected multiples of 4. Resize or pad the images, to 64 x 52 for instance, or use fewer levels.
    """
    if any(length % divisor or not length for length in size):
        cure = " x ".join(str(max(1, -(-length // divisor)) * divisor) for length in size)
        axes = "height x width" if len(size) == 2 else "depth x height x width"
        raise SchemaError(
            f"{what} got {axes} {' x '.join(map(str, size))}: expected multiples of {divisor}. "
            f"Resize or pad the images, to {cure} for instance, or use fewer levels."
        )
