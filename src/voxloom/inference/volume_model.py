"""What a network does to tiles, and what it needs to know for that.

Shape legend: B tiles, C channels read, K channels made, z y x voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from voxloom.errors import ConfigError, SchemaError
from voxloom.geometry import PatchSpec
from voxloom.inference.encode import weights_digest

__all__ = ["BACKGROUND", "Activation", "Planes", "VolumeModel"]

Activation = Literal["softmax", "sigmoid", "none"]
Array = npt.NDArray[Any]

BACKGROUND = "background"
"""A first channel of this name is none of the classes: its label is 0."""


@dataclass(frozen=True)
class VolumeModel:
    """A callable over tiles of a volume: any torch module, or any function.

    Attributes
    ----------
    network
        Turns (B, C, z, y, x) float32, the values as the volume has them, into (B, K, z, y, x), or into
        as much less as is said by `TiledOptions.context`. Normalisation is its business. A module
        predicts as after ``eval()``, whatever mode it is in.
    patch
        Voxels of a tile and their spacing in nm. The volume is read at this spacing, and the result
        has it too.
    channels
        Names of the K channels: classes, for a segmentation. A first one named "background" is the
        absence of all others.
    wider
        Further patches of the same shape, around the same centre, of other spacings: their channels
        follow those of `patch`.
    activation
        What makes probabilities of the network's output: ``softmax`` over channels, ``sigmoid`` of
        each, or nothing.
    device
        Where tiles are brought to.
    precision
        Type of the arithmetic; None is float32.
    digest
        Stands for the weights: a job that goes on with other weights is refused. None takes that of
        the module's state.

    Examples
    --------
    >>> spec = PatchSpec(shape=(8, 8, 8), spacing=(4, 4, 4))
    >>> model = VolumeModel(nn.Conv3d(1, 2, 1), spec, ("background", "cell"), activation="softmax")
    >>> made = model(np.zeros((1, 1, 8, 8, 8), np.uint8)).numpy()
    >>> made.shape, bool(np.allclose(made.sum(axis=1), 1))
    ((1, 2, 8, 8, 8), True)
    """

    network: Callable[[Tensor], Tensor]
    patch: PatchSpec
    channels: tuple[str, ...]
    wider: tuple[PatchSpec, ...] = ()
    activation: Activation = "none"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: torch.dtype | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise ConfigError(f"channels {self.channels}: expected a name for each channel made, each once.")
        if any(spec.shape != self.patch.shape for spec in self.wider):
            shapes = [spec.shape for spec in (self.patch, *self.wider)]
            raise ConfigError(f"patches of shapes {shapes}: expected one shape, of whatever spacings.")

    @property
    def identity(self) -> str:
        """What stands for the weights.

        Raises
        ------
        ConfigError
            If the network is a plain function and no digest is given.
        """
        if self.digest is not None:
            return self.digest
        if isinstance(self.network, nn.Module):
            return weights_digest(self.network)
        raise ConfigError(
            "digest None: the network is no torch module, so nothing tells its weights apart. Give a text "
            "that changes when the function does, for instance digest='my network 3'."
        )

    @torch.inference_mode()
    def __call__(self, tiles: Array) -> Tensor:
        """Return what the network makes of tiles.

        Parameters
        ----------
        tiles
            (B, C, z, y, x) of any number type.

        Returns
        -------
        torch.Tensor
            (B, K, z, y, x) float32 on the device.

        Raises
        ------
        SchemaError
            If the network makes something of another shape.
        """
        given = torch.from_numpy(np.ascontiguousarray(tiles)).to(self.device).float()
        with (
            torch.autocast(
                self.device.type, self.precision or torch.float32, enabled=self.precision is not None
            ),
            _evaluating(self.network),
        ):
            made = self.network(given)
        if made.ndim != 5 or made.shape[:2] != (len(tiles), len(self.channels)):
            raise SchemaError(
                f"the network made {tuple(made.shape)} of tiles {tiles.shape}: expected ({len(tiles)}, "
                f"{len(self.channels)}, z, y, x), a channel for each of {', '.join(self.channels)}. A "
                "network of planes goes in Planes(network)."
            )
        return _activated(made.float(), self.activation)


class Planes(nn.Module):
    """A network of planes, (B, C, h, w) to (B, K, h, w), over tiles that are one voxel thick.

    Parameters
    ----------
    network
        What sees the planes.
    axis
        Along which the tiles are one voxel thick: 0, 1, 2 for z, y, x.

    Examples
    --------
    >>> Planes(nn.Conv2d(1, 3, 1), axis=1)(torch.zeros(2, 1, 8, 1, 6)).shape
    torch.Size([2, 3, 8, 1, 6])
    """

    def __init__(self, network: nn.Module, axis: int = 0) -> None:
        super().__init__()
        self.network, self.axis = network, axis

    def forward(self, tiles: Tensor) -> Tensor:
        """Return what the network makes of each plane."""
        made: Tensor = self.network(tiles.squeeze(self.axis + 2))
        return made.unsqueeze(self.axis + 2)


@contextmanager
def _evaluating(network: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Have a module neither drop values at random nor take statistics; it is left as it was."""
    parts = network.modules() if isinstance(network, nn.Module) else ()
    training = [part for part in parts if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _activated(made: Tensor, activation: Activation) -> Tensor:
    if activation == "softmax":
        return made.softmax(dim=1)
    if activation == "sigmoid":
        return made.sigmoid()
    # A compiled network may write its next output where this one lies, before this one is blended.
    return made.clone() if made.is_cuda else made
